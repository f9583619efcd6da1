"""Bundles -> a TUF repository (specification 1.0, consistent snapshots), a folder that any web server can offer.

    metadata/    N.root.json, N.targets.json, N.snapshot.json, timestamp.json
    targets/     <sha256>.gatelight-<version>-<platform>.tar.gz

What is pointed at is written before what points at it: whoever reads meanwhile finds the old state or the new one.
"""

import datetime as dt
import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # its __all__ is made at run time
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from deploy.firmware.bundle import PLATFORMS
from deploy.firmware.errors import FirmwareError
from deploy.firmware.keys import ROLES, ROOT, Keys
from protocol.errors import MalformedError
from protocol.release import release_of

LIFE_DAYS: Final = {"root": 3 * 365, "targets": 365, "snapshot": 90, "timestamp": 30}
"""How long devices believe each. A timestamp's is how long a release can be kept from them unseen; a site whose hub
is fed from a stick must get a new one within it."""

_NAME: Final = re.compile(r"gatelight-(\d{1,3}\.\d{1,3}\.\d{1,3})-([a-z0-9-]+)\.tar\.gz", re.ASCII)


class Repository:
    """The folder. `now` is the time of whatever is signed."""

    def __init__(self, folder: Path, *, keys: Keys, now: dt.datetime) -> None:
        self._metadata, self._targets = folder / "metadata", folder / "targets"
        self._keys, self._now = keys, now.astimezone(dt.UTC).replace(microsecond=0)

    def begin(self) -> Path:
        """New keys for every role, and a repository without bundles.

        Returns:
            the root that devices and hubs are given.

        Raises:
            FirmwareError: there is one already.
        """
        if self._metadata.exists() or any(map(self._keys.has, ROLES)):
            raise FirmwareError("there are keys or metadata already; nothing was changed")
        for folder in (self._metadata, self._targets):
            folder.mkdir(parents=True)
        root = Root(expires=self._end(ROOT), consistent_snapshot=True)
        for role in ROLES:
            root.add_key(self._keys.make(role).public_key, role)
        self._write_root(Metadata(root), (self._keys.signer(ROOT),))
        self._publish(Metadata(Targets()), Metadata(Snapshot()), first=True)
        return self._metadata / "1.root.json"

    def add(self, bundles: Sequence[Path]) -> None:
        """Publishes bundles. What was published under a name stays: a mended bundle is a newer release.

        Raises:
            FirmwareError: one is none, or another one has this name.
        """
        targets = self._newest("targets")
        for path in bundles:
            info = _target(path)
            known = targets.signed.targets.get(path.name)
            if known is not None and known.hashes != info.hashes:
                raise FirmwareError(f"{path.name} was published with other content; make a newer release")
            targets.signed.targets[path.name] = info
            place = self._targets / f"{info.hashes['sha256']}.{path.name}"
            arriving = place.with_name(".arriving")
            shutil.copyfile(path, arriving)
            arriving.replace(place)
        self._publish(targets, self._newest("snapshot"))

    def remove(self, names: Sequence[str]) -> None:
        """Takes bundles back: no device fetches them any more. The files stay for who is at it now.

        Raises:
            FirmwareError: one was never published.
        """
        targets = self._newest("targets")
        for name in names:
            if targets.signed.targets.pop(name, None) is None:
                raise FirmwareError(f"{name} is not published")
        self._publish(targets, self._newest("snapshot"))

    def renew(self) -> None:
        """Signs anew that this is the newest; the list of bundles and the snapshot only near their ends."""
        targets, snapshot = self._newest("targets"), self._newest("snapshot")
        if self._ends_soon(targets) or self._ends_soon(snapshot):
            self._publish(targets, snapshot)
        else:
            self._publish_timestamp(snapshot)

    def rotate(self, role: str) -> None:
        """A new key for a role, in a new root that the old root's key and, for `root`, the new one vouch for.

        A role's own metadata are signed anew by its new key. Devices follow the chain of roots from theirs.
        """
        root, old_root = self._newest(ROOT), self._keys.signer(ROOT)
        for keyid in list(root.signed.roles[role].keyids):
            root.signed.revoke_key(keyid, role)
        root.signed.add_key(self._keys.make(role).public_key, role)
        root.signed.version += 1
        root.signed.expires = self._end(ROOT)
        self._write_root(root, (old_root, self._keys.signer(ROOT)) if role == ROOT else (old_root,))
        if role != ROOT:
            self._publish(self._newest("targets"), self._newest("snapshot"))

    def _publish(self, targets: Metadata[Any], snapshot: Metadata[Any], *, first: bool = False) -> None:
        for metadata in (targets, snapshot):
            metadata.signed.version += not first
        self._write("targets", targets)
        snapshot.signed.meta["targets.json"] = MetaFile(version=targets.signed.version)
        self._write("snapshot", snapshot)
        self._publish_timestamp(snapshot, first=first)

    def _publish_timestamp(self, snapshot: Metadata[Any], *, first: bool = False) -> None:
        timestamp = Metadata(Timestamp()) if first else _read(self._metadata / "timestamp.json")
        timestamp.signed.version += not first
        timestamp.signed.snapshot_meta = MetaFile(version=snapshot.signed.version)
        self._write("timestamp", timestamp)

    def _write(self, role: str, metadata: Metadata[Any]) -> None:
        metadata.signed.expires = self._end(role)
        metadata.sign(self._keys.signer(role))
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        _put(self._metadata / name, metadata.to_bytes())

    def _write_root(self, root: Metadata[Any], signers: Sequence[Any]) -> None:
        root.signatures.clear()
        for signer in signers:
            root.sign(signer, append=True)
        _put(self._metadata / f"{root.signed.version}.root.json", root.to_bytes())

    def _newest(self, role: str) -> Metadata[Any]:
        versions = (int(path.name.partition(".")[0]) for path in self._metadata.glob(f"*.{role}.json"))
        newest = max(versions, default=0)
        if not newest:
            raise FirmwareError(f"{self._metadata}: there is no {role}.json; begin with `init`")
        return _read(self._metadata / f"{newest}.{role}.json")

    def _end(self, role: str) -> dt.datetime:
        return self._now + dt.timedelta(days=LIFE_DAYS[role])

    def _ends_soon(self, metadata: Metadata[Any]) -> bool:
        left: dt.timedelta = metadata.signed.expires - self._now
        return left < dt.timedelta(days=2 * LIFE_DAYS["timestamp"])


def _read(path: Path) -> Metadata[Any]:
    try:
        return Metadata.from_file(str(path))
    except (RepositoryError, OSError) as error:
        raise FirmwareError(f"{path}: {error}") from error


def _target(path: Path) -> TargetFile:
    """What is signed of a bundle."""
    found = _NAME.fullmatch(path.name)
    if found is None or found[2] not in PLATFORMS:
        raise FirmwareError(f"{path.name} is no name of a bundle: gatelight-<version>-<platform>.tar.gz")
    try:
        data = path.read_bytes()
        said = {"release": release_of(found[1]), "version": found[1], "platform": found[2]}
    except MalformedError as error:
        raise FirmwareError(f"{path.name}: {error}") from error
    except OSError as error:
        raise FirmwareError(f"{path}: {error.strerror}") from error
    hashes = {"sha256": hashlib.sha256(data).hexdigest()}
    return TargetFile(len(data), hashes, path.name, {"custom": said})


def _put(path: Path, data: bytes) -> None:
    """Whole, or not there; on disk when this returns."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
