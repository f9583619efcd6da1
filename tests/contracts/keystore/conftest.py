"""A key store of each kind, with the machine around it: SoftHSM is a token in software, swtpm a TPM in software.

Both are real programs, as Debian packages them (`deploy/setup` installs them); where one is missing, its tests are
skipped and say so. Tokens are initialised once with the tools an operator has, and copied for each test.
"""

import ctypes
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from device.keystore.choose import open_store
from device.machinefile import FileKeys, Pkcs11Keys, TpmKeys

LABEL, PIN, SO_PIN = "gatelight", "2718 2818", "3141592653"
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
TPM_LIBRARY = "libtpm2_pkcs11.so.1"
TPM_SHUTDOWN_CLEAR = bytes.fromhex("80010000000c000001450000")

IN_ANOTHER_PROCESS = """
import json, secrets, sys, time
from pathlib import Path
import msgspec
from device.keystore.choose import open_store
from device.machinefile import KeyStoreConfig
given = json.loads(sys.argv[1])
config = msgspec.convert(given["config"], KeyStoreConfig, dec_hook=lambda wanted, value: wanted(value))
store = open_store(config, folder=Path(given["folder"]), random_bytes=secrets.token_bytes)
print("begun", flush=True)
begun = time.monotonic()
key = getattr(store, given["do"])(given["name"])
print(json.dumps({"s": time.monotonic() - begun, "x": key.public.x.hex() if key else ""}), flush=True)
"""


@dataclass
class Rig:
    """`store` under test. `fresh()` is another one on the same keys, as after a start; the rest is the world outside."""

    kind: str
    config: Any
    folder: Path
    store: Any = None
    restart_machine: Callable[[], None] = lambda: None
    take_away: Callable[[], None] = lambda: None
    bring_back: Callable[[], None] = lambda: None
    opened: list[Any] = field(default_factory=list)

    def fresh(self) -> Any:
        store = open_store(self.config, folder=self.folder, random_bytes=secrets.token_bytes)
        self.opened.append(store)
        return store

    def begin(self, do: str, name: str) -> subprocess.Popen:
        """Another process that does it; the first line it writes says that it begins now."""
        if self.opened and self.kind != "file":
            self.close()
        given = {"do": do, "name": name, "folder": str(self.folder), "config": _plain(self.config)}
        process = subprocess.Popen(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, json.dumps(given)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begun\n"
        return process

    def elsewhere(self, do: str, name: str) -> dict[str, Any]:
        """What another process finds."""
        process = self.begin(do, name)
        # Not `communicate`, which does not look into what `readline` has read ahead.
        said = process.stdout.read()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        self.restart_machine()
        return json.loads(said)

    def close(self) -> None:
        for store in self.opened:
            if hasattr(store, "close"):
                store.close()


def _plain(config: Any) -> dict[str, Any]:
    kind = {FileKeys: "file", Pkcs11Keys: "pkcs11", TpmKeys: "tpm"}[type(config)]
    return {"kind": kind} | {name: str(getattr(config, name)) for name in config.__struct_fields__}


def _needs(*programs: str, library: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    with suppress(OSError):
        ctypes.CDLL(library)
        library = ""
    if missing or library:
        pytest.skip(f"NOT TESTED: {', '.join([*missing, library]).strip(', ')} missing; deploy/setup installs it")


def init_token(module: str, *where: str, label: str = LABEL) -> None:
    command = ["softhsm2-util", "--module", module, "--init-token", *where, "--label", label, "--pin", PIN, "--so-pin"]
    subprocess.run([*command, SO_PIN], check=True, capture_output=True, timeout=60)


def pin_file(folder: Path) -> Path:
    path = folder / "pin"
    path.write_text(PIN + "\n")
    path.chmod(0o600)
    return path


def softhsm_conf(folder: Path) -> Path:
    path = folder / "softhsm2.conf"
    path.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    return path


@pytest.fixture(scope="session")
def new_softhsm(tmp_path_factory) -> Path:
    """A folder with one initialised token."""
    _needs("softhsm2-util", library=str(SOFTHSM))
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(softhsm_conf(folder)))
        init_token(str(SOFTHSM), "--free")
    return folder / "tokens"


@pytest.fixture
def init_second_token() -> Callable[[], None]:
    """Initialises one more token of the same label."""
    return lambda: init_token(str(SOFTHSM), "--free")


class SoftTpm:
    """A TPM in software on loopback, whose memory is the folder `state`.

    It has no resource manager, which /dev/tpmrm0 is on a device: what a killed process left loaded stays until the
    TPM starts again.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen | None = None
        self.port = 0
        self.start()

    @property
    def tcti(self) -> str:
        return f"swtpm:host=127.0.0.1,port={self.port}"

    def start(self) -> None:
        for _ in range(20):
            port = self.port or _two_free_ports()
            self._process = subprocess.Popen(
                [
                    *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._state}"),
                    *("--server", f"type=tcp,port={port},bindaddr=127.0.0.1"),
                    *("--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"),
                    *("--flags", "not-need-init,startup-clear"),
                ],
                stderr=subprocess.DEVNULL,
            )
            if self._answers(port):
                self.port = port
                return
        pytest.fail("swtpm does not start")

    def _answers(self, port: int) -> bool:
        end, unopened = time.monotonic() + 20, [port, port + 1]
        while unopened and self._process.poll() is None and time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", unopened[0]), timeout=1):
                del unopened[0]
                continue
            time.sleep(0.01)
        return not unopened

    def stop(self) -> None:
        """As when a machine is shut down. A TPM counts being cut off as a guess at a PIN."""
        if self._process is None:
            return
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=10) as caller:
            caller.sendall(TPM_SHUTDOWN_CLEAR)
            caller.recv(10)
        self.cut_off()

    def cut_off(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()


def _two_free_ports() -> int:
    """The first of two neighbours: the library of the TPM takes the second to be one higher."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


@pytest.fixture(scope="session")
def new_tpm(tmp_path_factory) -> Path:
    """A folder with the memory of a TPM and the database of one initialised token in it."""
    _needs("swtpm", "softhsm2-util", library=TPM_LIBRARY)
    folder = tmp_path_factory.mktemp("tpm")
    for name in ("state", "store"):
        (folder / name).mkdir()
    tpm = SoftTpm(folder / "state")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TPM2_PKCS11_STORE", str(folder / "store"))
            patch.setenv("TPM2_PKCS11_TCTI", tpm.tcti)
            patch.setenv("TSS2_LOG", "all+none")
            init_token(TPM_LIBRARY, "--slot", "1")
    finally:
        tpm.stop()
    return folder


def _file_rig(request, folder: Path, monkeypatch) -> Iterator[Rig]:
    yield Rig("file", FileKeys(), folder / "keys")


def _softhsm_rig(request, folder: Path, monkeypatch) -> Iterator[Rig]:
    shutil.copytree(request.getfixturevalue("new_softhsm"), folder / "tokens")
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_conf(folder)))
    config = Pkcs11Keys(module=SOFTHSM, token_label=LABEL, pin_file=pin_file(folder))
    kept = {path: path.read_bytes() for path in (folder / "tokens").glob("*/token.object")}

    def mend() -> None:
        """SoftHSM empties the file of the token itself before it writes it anew, at each login: a kill in between
        loses the token, and no key store could help. A token of hardware does not lose itself.
        """
        for path, data in kept.items():
            if not path.stat().st_size:
                path.write_bytes(data)

    yield Rig(
        "pkcs11",
        config,
        folder / "keys",
        restart_machine=mend,
        take_away=lambda: (folder / "tokens").rename(folder / "pulled out"),
        bring_back=lambda: (folder / "pulled out").rename(folder / "tokens"),
    )


def _tpm_rig(request, folder: Path, monkeypatch) -> Iterator[Rig]:
    new = request.getfixturevalue("new_tpm")
    for name in ("state", "store"):
        shutil.copytree(new / name, folder / name)
    monkeypatch.setenv("TSS2_LOG", "all+none")
    for name in ("TPM2_PKCS11_STORE", "TPM2_PKCS11_TCTI"):
        monkeypatch.setenv(name, "")  # the store sets them; this puts back what was there
    tpm = SoftTpm(folder / "state")
    try:
        config = TpmKeys(store=folder / "store", pin_file=pin_file(folder), token_label=LABEL, tcti=tpm.tcti)
        yield Rig(
            "tpm",
            config,
            folder / "keys",
            restart_machine=tpm.restart,
            take_away=tpm.stop,
            bring_back=tpm.start,
        )
    finally:
        tpm.stop()


RIGS = {"file": _file_rig, "pkcs11 (SoftHSM)": _softhsm_rig, "tpm (swtpm)": _tpm_rig}


def _built(request, tmp_path, monkeypatch) -> Iterator[Rig]:
    for rig in RIGS[request.param](request, tmp_path, monkeypatch):
        rig.store = rig.fresh()
        yield rig
        rig.close()


@pytest.fixture(params=RIGS)
def keystore_rig(request, tmp_path, monkeypatch) -> Iterator[Rig]:
    yield from _built(request, tmp_path, monkeypatch)


@pytest.fixture(params=[name for name in RIGS if name != "file"])
def token_rig(request, tmp_path, monkeypatch) -> Iterator[Rig]:
    yield from _built(request, tmp_path, monkeypatch)


@pytest.fixture(params=["pkcs11 (SoftHSM)"])
def softhsm_rig(request, tmp_path, monkeypatch) -> Iterator[Rig]:
    yield from _built(request, tmp_path, monkeypatch)


@pytest.fixture(params=["tpm (swtpm)"])
def tpm_rig(request, tmp_path, monkeypatch) -> Iterator[Rig]:
    yield from _built(request, tmp_path, monkeypatch)
