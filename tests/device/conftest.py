"""A small world for the device's tests: one platform with an issuer, real keys, codes on demand."""

import hashlib
import logging
import os
import shutil
import stat
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device import durable
from protocol.codes import Claims, VerifiedCode, parse_text, seal_code, to_text, verify
from protocol.keys import Ed25519SigningKey, P256SigningKey, SigningKey
from protocol.terms import Colour
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey

NOW_S = 1_800_000_000


@dataclass
class World:
    """Everything is at `now_s`; live codes were issued 10 s ago."""

    now_s: int = NOW_S
    root: SigningKey = field(default_factory=lambda: Ed25519SigningKey(hashlib.sha256(b"root").digest()))
    issuer: SigningKey = field(default_factory=lambda: Ed25519SigningKey(hashlib.sha256(b"issuer").digest()))
    second_issuer: SigningKey = field(
        default_factory=lambda: P256SigningKey(ec.derive_private_key(0x1234567, ec.SECP256R1()))
    )

    @property
    def now_ms(self) -> int:
        return self.now_s * 1000

    def bundle(self, *, not_after_s: int | None = None, uses=frozenset({KeyUse.CODE})) -> TrustBundle:
        def trusted(key):
            return TrustedKey(
                key=key.public,
                uses=uses,
                not_before_s=self.now_s - 1000,
                not_after_s=self.now_s + 10**6 if not_after_s is None else not_after_s,
            )

        return TrustBundle(
            version=1,
            issued_s=self.now_s - 1000,
            expires_s=self.now_s + 10**6,
            issuers=(
                Issuer(name="重庆", region="CQ", keys=(trusted(self.issuer),)),
                Issuer(name="江西", region="JX", keys=(trusted(self.second_issuer),)),
            ),
        )

    def claims(self, **changes) -> Claims:
        given = {
            "subject": b"subject-of-16-by",
            "issued_s": self.now_s - 10,
            "expires_s": self.now_s + 50,
            "colour": Colour.GREEN,
        }
        return Claims(**{**given, **changes})

    def text(self, *, key: SigningKey | None = None, **changes) -> str:
        return to_text(seal_code(self.claims(**changes), key=key or self.issuer))

    def verified(self, **changes) -> VerifiedCode:
        return verify(parse_text(self.text(**changes)), key=self.issuer.public)


@pytest.fixture
def world() -> World:
    return World()


class PowerCutError(BaseException):
    """Nothing runs after this, no handler and no `finally`."""


class Cut:
    """A FAKE of what an operating system loses: stands in for `os` in `modules`, and ends before one call.

    mode `kill`: the process ends, what it did stays. `power`: whatever was not synced is gone. `names`: names stay,
    and what was not synced into the files is gone. A write is two steps; between them half of it is done.
    """

    COUNTED = ("open", "fsync", "fdatasync", "replace", "unlink", "mkdir", "rmdir", "symlink", "ftruncate")

    def __init__(self, root, *, at, mode, modules):
        self.root, self.at, self.mode, self.modules = root, at, mode, modules
        self.completed = False
        self.steps = 0
        self._ids = count()
        self._id_of = {}  # inode -> our number, since inodes are used again
        self._data = {}  # our number -> what is on disk
        self._mode_of = {}  # our number -> who may do what
        self._names = {}  # folder -> {name: number, link target or None for a folder}

    def __enter__(self):
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir() and not path.is_symlink())):
            for path in folder.iterdir():
                if path.is_file() and not path.is_symlink():
                    self._created(path, path.read_bytes())
            self._names[folder] = self._listing(folder)
        for module in self.modules:
            module.os = self
        return self

    def __exit__(self, kind, error, trace):
        for module in self.modules:
            module.os = os
        self.completed = error is None
        if kind is not PowerCutError:
            return False
        if self.mode != "kill":
            if self.mode == "names":
                folders = [self.root, *(path for path in self.root.rglob("*") if path.is_dir())]
                self._names = {folder: self._listing(folder) for folder in folders}
            shutil.rmtree(self.root)
            self._restore(self.root)
        return True

    def __getattr__(self, name):
        call = getattr(os, name)
        return self._counted(call) if name in self.COUNTED else call

    def write(self, descriptor, data):
        self._step()
        if self.steps + 1 == self.at:
            os.write(descriptor, data[: len(data) // 2])
        self._step()
        return os.write(descriptor, data)

    def _step(self):
        self.steps += 1
        if self.steps >= self.at:
            raise PowerCutError

    def _counted(self, call):
        def counted(*args):
            self._step()
            new = call is os.open and args[1] & os.O_CREAT and not os.path.lexists(args[0])
            done = call(*args)
            if new:
                self._created(args[0], b"")
            elif call is os.mkdir:
                self._names[args[0]] = {}
            elif call is os.replace and args[0] in self._names:
                self._moved(*args)
            elif call in {os.fsync, os.fdatasync}:
                self._synced(args[0])
            return done

        return counted

    def _moved(self, old, new):
        """A folder with all that is in it."""
        below = [folder for folder in self._names if folder.is_relative_to(old)]
        self._names |= {new / folder.relative_to(old): self._names.pop(folder) for folder in below}

    def _created(self, path, data):
        number, found = next(self._ids), Path(path).stat()
        self._id_of[found.st_ino] = number
        self._mode_of[number] = stat.S_IMODE(found.st_mode)
        self._data[number] = data

    def _synced(self, descriptor):
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        folder = next((folder for folder in self._names if str(folder) == path), None)
        if folder is None:
            self._data[self._id_of[os.fstat(descriptor).st_ino]] = Path(path).read_bytes()
        else:
            self._names[folder] = self._listing(folder)

    def _listing(self, folder):
        names = {}
        for path in folder.iterdir():
            if path.is_symlink():
                names[path.name] = str(path.readlink())
            else:
                names[path.name] = None if path.is_dir() else self._id_of[path.stat().st_ino]
        return names

    def _restore(self, folder):
        folder.mkdir()
        for name, what in self._names.get(folder, {}).items():
            if what is None:
                self._restore(folder / name)
            elif isinstance(what, str):
                (folder / name).symlink_to(what)
            else:
                (folder / name).write_bytes(self._data[what])
                (folder / name).chmod(self._mode_of[what])


@pytest.fixture
def cuts(tmp_path):
    """Every power cut that may happen: `for cut in cuts(): prepare; with cut: act; look at cut.root`.

    It happens in `device.durable`; what else changes files by its own calls is named: `cuts(module)`.

    Each has a folder of its own. The last of each mode lets the act complete (`cut.completed`).
    """

    def each(*modules):
        for mode in ("kill", "power", "names"):
            for at in count(1):
                root = tmp_path / f"{mode}-{at}"
                root.mkdir()
                cut = Cut(root, at=at, mode=mode, modules=(durable, *modules))
                yield cut
                shutil.rmtree(root)
                if cut.completed:
                    assert at > 1, "the act never touched the disk"
                    break

    return each


@pytest.fixture(autouse=True)
def root_logging():
    """What a command led into its own output does not go there after its test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = [handler for handler in root.handlers if handler in handlers]
    root.setLevel(level)
