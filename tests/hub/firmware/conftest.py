"""A publisher with real keys and python-tuf's own metadata, into a folder; it may also be a careless or hostile one."""

import datetime as dt
import hashlib
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from hub.firmware.mirror import Mirror
from protocol.release import release_of

ROLES = ("root", "targets", "snapshot", "timestamp")


class Publisher:
    """Change what is published, then `publish`. Each publishing has new versions of all but root."""

    def __init__(self, folder: Path, *, days: float = 30):
        self.folder = folder
        self.keys = {role: CryptoSigner.generate_ed25519() for role in ROLES}
        expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=days)
        self.root = Metadata(Root(expires=expires, consistent_snapshot=True))
        for role, signer in self.keys.items():
            self.root.signed.add_key(signer.public_key, role)
        self.targets = Metadata(Targets(expires=expires))
        self.snapshot = Metadata(Snapshot(expires=expires))
        self.timestamp = Metadata(Timestamp(expires=expires))
        self.published = False
        for name in ("metadata", "targets"):
            (folder / name).mkdir(parents=True)
        self._sign(self.root, "root", "1.root.json")

    @property
    def root_bytes(self) -> bytes:
        return (self.folder / "metadata" / "1.root.json").read_bytes()

    def add(self, version: str, platform: str = "sandbox", data: bytes = b"bundle", **custom) -> bytes:
        path = f"gatelight-{version}-{platform}.tar.gz"
        said = {"release": release_of(version), "version": version, "platform": platform}
        self.put(path, data, said | custom)
        return data

    def put(self, path: str, data: bytes, custom: dict | None = None) -> None:
        info = TargetFile.from_data(path, data, ["sha256"])
        if custom is not None:
            info.unrecognized_fields["custom"] = custom
        self.targets.signed.targets[path] = info
        (self.folder / "targets" / f"{hashlib.sha256(data).hexdigest()}.{path}").write_bytes(data)

    def remove(self, path: str) -> None:
        del self.targets.signed.targets[path]

    def publish(self) -> "Publisher":
        for each in (self.targets, self.snapshot, self.timestamp):
            each.signed.version += self.published
        self.published = True
        versions = self.targets.signed.version, self.snapshot.signed.version
        self._sign(self.targets, "targets", f"{versions[0]}.targets.json")
        self.snapshot.signed.meta["targets.json"] = MetaFile(version=versions[0])
        self._sign(self.snapshot, "snapshot", f"{versions[1]}.snapshot.json")
        self.timestamp.signed.snapshot_meta = MetaFile(version=versions[1])
        self._sign(self.timestamp, "timestamp", "timestamp.json")
        return self

    def rotate_root(self) -> None:
        """A new root key, vouched for by the old one."""
        old, new = self.keys["root"], CryptoSigner.generate_ed25519()
        self.root.signed.revoke_key(old.public_key.keyid, "root")
        self.root.signed.add_key(new.public_key, "root")
        self.root.signed.version += 1
        self.keys["root"] = new
        self.root.sign(old)
        self.root.sign(new, append=True)
        self.root.to_file(str(self.folder / "metadata" / f"{self.root.signed.version}.root.json"))

    def _sign(self, metadata, role, name):
        metadata.sign(self.keys[role])
        metadata.to_file(str(self.folder / "metadata" / name))


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "published")


@pytest.fixture
def mirror(tmp_path):
    return Mirror(tmp_path / "mirror")
