"""shipped.toml -> the system's packages and the browser's files of a target."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from deploy.sbom.errors import SbomError
from deploy.sbom.targets import TARGETS, Target

FILE = Path("deploy/sbom/shipped.toml")

_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Debian(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package of the system. `needed_by` names the Python package that loads it; without, it is Gatelight itself."""

    name: _Line
    targets: tuple[str, ...]
    licence: _Line
    archive: str = "debian"
    needed_by: str | None = None
    when: str | None = None
    note: str | None = None


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package of npm."""

    name: _Line
    version: _Line


class Asset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that a browser is given, and the packages that they are made of."""

    targets: tuple[str, ...]
    files: tuple[_Line, ...]
    licence: _Line
    made_of: tuple[Origin, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    debian: tuple[Debian, ...]
    asset: tuple[Asset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """`sha256` has the hash of each file of `assets`, by its path in the checkout."""

    debian: tuple[Debian, ...]
    assets: tuple[Asset, ...]
    sha256: dict[str, str]


def read_shipped(target: Target, root: Path) -> Shipped:
    """Read what of shipped.toml concerns `target`.

    Raises:
        SbomError: the file is not as it must be, or names a file or a target that is not there.
    """
    try:
        file = msgspec.toml.decode((root / FILE).read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        raise SbomError(f"{FILE}: {error}") from error
    named = {name for entry in file.debian for name in entry.targets} | {
        name for entry in file.asset for name in entry.targets
    }
    if strange := named - set(TARGETS):
        raise SbomError(f"{FILE}: no target is called {', '.join(sorted(strange))}")
    assets = tuple(entry for entry in file.asset if target.name in entry.targets)
    return Shipped(
        debian=tuple(entry for entry in file.debian if target.name in entry.targets),
        assets=assets,
        sha256={name: _sha256(root, name) for entry in assets for name in entry.files},
    )


def _sha256(root: Path, name: str) -> str:
    try:
        return hashlib.sha256((root / name).read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise SbomError(f"{FILE}: {name} is not there") from error
