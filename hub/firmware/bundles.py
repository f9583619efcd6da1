"""What lies in a repository of firmware: the names of its files, and what one bundle is. Pure.

A name comes from whoever asks, or from somebody's folder: what does not fit these patterns is never looked for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub.registry.checks import RegistryError
from protocol.errors import MalformedError
from protocol.release import release_of

BUNDLE_BYTES: Final = 256 * 1024 * 1024
"""Four times what a bundle with all its packages has."""
BUNDLES_MOST: Final = 64
"""Some twenty releases for three platforms."""
METADATA_BYTES: Final = 5_000_000
"""python-tuf takes no longer one."""

_VERSION: Final = r"\d{1,3}\.\d{1,3}\.\d{1,3}"
_PLATFORM: Final = r"[a-z0-9]{1,32}(?:[-_][a-z0-9]{1,32}){0,3}"
_PATH: Final = re.compile(rf"gatelight-({_VERSION})-({_PLATFORM})\.tar\.gz", re.ASCII)
_TARGET: Final = re.compile(rf"[0-9a-f]{{64}}\.gatelight-{_VERSION}-{_PLATFORM}\.tar\.gz", re.ASCII)
_METADATA: Final = re.compile(r"timestamp\.json|[1-9]\d{0,8}\.(?:root|snapshot|targets)\.json", re.ASCII)


class MirrorError(RegistryError):
    """A repository cannot be taken over, or the mirror cannot be used; the sentence says what and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One release for one platform."""

    version: str
    release: int
    platform: str
    size_bytes: int
    sha256: str

    @property
    def path(self) -> str:
        """How the publisher's metadata name it."""
        return f"gatelight-{self.version}-{self.platform}.tar.gz"

    @property
    def file(self) -> str:
        """How it is asked for: TUF §6.2, consistent snapshots."""
        return f"{self.sha256}.{self.path}"


def is_metadata(name: str) -> bool:
    """Whether a file of metadata may have this name."""
    return _METADATA.fullmatch(name) is not None


def is_target(name: str) -> bool:
    """Whether a bundle's file may have this name."""
    return _TARGET.fullmatch(name) is not None


def bundle_of(path: str, *, length: int, hashes: Mapping[str, str], said: Mapping[str, Any]) -> Bundle | None:
    """A target of the publisher's metadata -> a bundle; None for what is no bundle of firmware.

    1. Its name is one of a bundle, of a release.
    2. What the metadata say of it is what its name says.
    3. Its length is within the limit, and SHA-256 is its first hash: by it the file is asked for.

    Raises:
        MirrorError: it is named like a bundle, and something else of it does not fit.
    """
    # 1.
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    version, platform = found.groups()
    try:
        release = release_of(version)
    except MalformedError as error:
        raise MirrorError(f"{path}: {error}") from error
    # 2.
    if said != {"release": release, "version": version, "platform": platform}:
        raise MirrorError(f"{path}: the metadata say something else of it: {dict(said)!r:.120}")
    # 3.
    if not 0 < length <= BUNDLE_BYTES:
        raise MirrorError(f"{path}: {length} bytes, from 1 to {BUNDLE_BYTES} are taken")
    kind, digest = next(iter(hashes.items()), ("none", ""))
    if kind != "sha256":
        raise MirrorError(f"{path}: its first hash is {kind}, not sha256")
    return Bundle(version=version, release=release, platform=platform, size_bytes=length, sha256=digest)
