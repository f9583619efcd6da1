"""The whole gate as systemd starts it: a real process with real decode children, simulated parts and no broker at all."""

import datetime as dt
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image

from device.send.audit import audit_file
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Colour
from protocol.trust import seal_trust

pytestmark = [pytest.mark.slow, pytest.mark.system]

ROOT = Path(__file__).parents[2]
SEED = hashlib.sha256(b"device").digest()
MIB = 1024 * 1024
SMALL_DISK_MIB = 8
"""The spool's reserve takes four of them."""

NO_DECODER = "import sys; sys.executable = '/bin/false'; from device.cli import main; sys.exit(main(sys.argv[1:]))"

CONFIG = """
device_id = "00112233445566aa"
place = "mall-1"
gate = "north"
state_dir = "state"
[keys]
signing = "device.key"
hub = "hub.pub"
root = "root.pub"
[trust]
bundle = "trust.cose"
[broker]
host = "localhost"
port = {port}
ca = "cert.pem"
cert = "cert.pem"
key = "key.pem"
[camera]
kind = "pictures"
path = "pictures"
frames_each = {frames_each}
loop = {loop}
[hardware]
kind = "sim"
journal = "journal"
[policy]
open_ms = 60000
[clock]
source = "assume"
"""


class Gate:
    """A gate of its own under `folder`; what it looks at is drawn before it starts, by `show`."""

    def __init__(self, folder, world):
        self.folder, self.world = folder, world
        self.process = None
        self.pictures = 0
        world.now_s = int(time.time())
        (folder / "pictures").mkdir()
        (folder / "device.key").write_text(f"ed25519 {SEED.hex()}\n")
        (folder / "device.key").chmod(0o600)
        (folder / "hub.pub").write_bytes(encode_key(Ed25519SigningKey(bytes(32)).public))
        (folder / "root.pub").write_bytes(encode_key(world.root.public))
        (folder / "trust.cose").write_bytes(seal_trust(world.bundle(), key=world.root))
        make_certificate(folder)

    @property
    def spool(self):
        return self.folder / "state" / "spool.db"

    def text(self, **claims):
        return self.world.text(**{"subject": os.urandom(16), "expires_s": self.world.now_s + 100, **claims})

    def show(self, *texts, size=(640, 480)):
        """One picture after the other; None is an empty gate."""
        for text in texts:
            picture = Image.new("L", size, 128)
            if text is not None:
                code = segno.make(text, error="m", micro=False)
                rows = np.array([list(row) for row in code.matrix_iter(scale=5, border=4)])
                picture.paste(Image.fromarray(np.where(rows, 20, 235).astype(np.uint8)), (20, 20))
            self.pictures += 1
            picture.save(self.folder / "pictures" / f"{self.pictures:03}.png")

    def show_a_crowd(self, count):
        for _ in range(count):
            self.show(self.text(), None)

    def start(self, *, boot=("-m", "device.cli"), frames_each=18, loop=True, **environment):
        with closing(socket.socket()) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        (self.folder / "device.toml").write_text(
            CONFIG.format(port=port, frames_each=frames_each, loop=str(loop).lower())
        )
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *boot, "run", "--config", str(self.folder / "device.toml")],
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env=os.environ | environment,
            )

    def events(self, name=None):
        lines = (self.folder / "out").read_text(encoding="utf-8").splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if name in {None, event["event"]}]

    def scans(self):
        return [(scan["colour"], scan["reason"]) for scan in self.events("scan")]

    def changes(self, part):
        lines = (self.folder / "journal").read_text(encoding="utf-8").splitlines()
        return [change["value"] for change in map(json.loads, lines) if change["part"] == part]

    def errors(self):
        return (self.folder / "err").read_text(encoding="utf-8")

    def until(self, condition, timeout_s=20):
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, [*self.events(), self.errors()]
            assert time.monotonic() < end_s, [*self.events(), self.errors()]
            time.sleep(0.02)

    def ended(self, timeout_s=20):
        return self.process.wait(timeout_s)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.ended(8)

    def children(self):
        """The decoder's processes, the one at work first."""
        pids = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(OSError):  # a thread that has just ended
                pids += map(int, (task / "children").read_text().split())
        return sorted(pids)

    def chain(self):
        return audit_file(self.spool, key=Ed25519SigningKey(SEED).public)


def make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "00112233445566aa")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "key.pem").chmod(0o600)


@pytest.fixture
def gate(tmp_path, world):
    gate = Gate(tmp_path, world)
    yield gate
    if gate.process is not None and gate.process.poll() is None:
        gate.process.kill()
        gate.process.wait()


def test_people_are_answered_without_a_broker_and_a_signal_shuts_the_gate(gate):
    gate.show(gate.text(), None, gate.text(colour=Colour.RED), None, "HTTPS://EXAMPLE.COM/BUY", None)
    gate.start()
    gate.until(lambda: len(gate.scans()) >= 3)
    assert gate.scans()[:3] == [("green", "ok"), ("red", "colour_red"), ("grey", "already_used")]
    assert [scan["seq"] for scan in gate.events("scan")[:3]] == [1, 2, 3]
    assert gate.changes("gate")[-1] is True, "it would stay open for a minute"
    assert [0.0, 1.0, 0.0] in gate.changes("lights")
    began_s = time.monotonic()
    assert gate.stop() == 0
    assert time.monotonic() - began_s < 5
    assert gate.changes("gate")[-1] is False
    assert gate.changes("lights")[-1] == [0.0, 0.0, 0.0]
    assert gate.changes("buzzer")[-1] == 0
    assert gate.errors() == ""
    audit = gate.chain()
    assert (audit.newest_seq, audit.faults) == (gate.events("scan")[-1]["seq"], ())


def test_the_last_picture_is_answered_before_the_gate_ends(gate):
    gate.show(gate.text())
    gate.start(frames_each=1, loop=False)
    assert gate.ended() == 0
    assert gate.scans() == [("green", "ok")]
    # The uplink may just then say that there is no broker.
    end, uplink = [event for event in gate.events() if event["event"] != "log"][-2:]
    assert end == {"event": "end_of_frames", "scans": 1}
    assert (uplink["event"], uplink["sent"], uplink["receipts"]) == ("uplink", 0, 0)


def test_a_decoder_that_does_not_start_ends_the_process(gate):
    gate.show(gate.text())
    gate.start(boot=("-c", NO_DECODER))
    assert gate.ended() == 1
    (failed,) = gate.events("failed")
    assert (failed["part"], failed["error"].partition(":")[0]) == ("scan", "DecoderFailedError")
    assert gate.errors() == "", "no second fault while it ends"
    assert gate.changes("gate")[-1] is False


def test_a_scan_that_fails_while_the_gate_is_open_shuts_it(gate):
    gate.show(gate.text(), None)
    gate.show(None, size=(2048, 1024))
    gate.start()
    assert gate.ended() == 1
    (failed,) = gate.events("failed")
    assert failed["part"] == "scan"
    assert True in gate.changes("gate")
    assert gate.changes("gate")[-1] is False


def test_a_spool_that_was_removed_admits_nobody_and_ends_the_process(gate):
    gate.show_a_crowd(8)
    gate.start()
    gate.until(lambda: len(gate.scans()) == 1)
    shutil.rmtree(gate.spool.parent)
    assert gate.ended() == 1
    (failed,) = gate.events("failed")
    assert (failed["part"], failed["error"].partition(":")[0]) == ("scan", "SpoolGoneError")
    assert len(gate.scans()) == 1
    assert gate.changes("buzzer").count(1760) == 1, "the tone of an admission"
    assert gate.changes("gate")[-1] is False


def test_a_decoder_that_is_killed_or_stopped_costs_frames_and_not_the_gate(gate):
    gate.show_a_crowd(4)
    gate.start()
    for number in (signal.SIGKILL, signal.SIGSTOP):
        answered = len(gate.scans())
        gate.until(lambda answered=answered: len(gate.scans()) > answered and len(gate.children()) == 2)
        os.kill(gate.children()[0], number)
        restarts = 1 if number == signal.SIGKILL else 2
        gate.until(lambda restarts=restarts: restarted(gate) == restarts)
    answered = len(gate.scans())
    gate.until(lambda: len(gate.scans()) >= answered + 2)
    assert gate.stop() == 0


def restarted(gate):
    return sum("decoder child restarted" in event["text"] for event in gate.events("log"))


def test_a_damaged_spool_is_set_aside_and_said(gate):
    gate.show(gate.text(), None)
    gate.spool.parent.mkdir()
    gate.spool.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    gate.start()
    gate.until(gate.scans)
    (damaged,) = gate.events("spool_damaged")
    (aside,) = gate.spool.parent.glob("spool.db.damaged-*[0-9]")
    assert str(aside) in damaged["damage"]
    assert aside.read_bytes().endswith(b"\xff" * 8000)
    assert gate.events("scan")[0]["seq"] == 1
    assert gate.stop() == 0


def test_the_watchdog_is_fed_while_frames_are_decoded_and_not_after(gate):
    """A camera that hangs inside its driver: here a picture that is a pipe nobody writes to."""
    gate.show(gate.text(), None, None)
    os.mkfifo(gate.folder / "pictures" / "999.png")
    address = gate.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(20)
        gate.start(NOTIFY_SOCKET=str(address))
        assert systemd.recv(99) == b"READY=1"
        systemd.settimeout(2)
        said = until_silent(systemd)
    assert set(said) == {b"WATCHDOG=1"}
    assert 3 < len(said) < 40
    assert gate.process.poll() is None, "alive, and it is for systemd to see that it does nothing"
    assert gate.stop() == 0
    assert gate.changes("gate")[-1] is False


def until_silent(systemd):
    said = []
    while True:
        try:
            said.append(systemd.recv(99))
        except TimeoutError:
            return said


@pytest.fixture
def small_disk(gate):
    """A file system of a few MiB under the spool."""
    if os.geteuid() != 0:
        pytest.skip("MOUNTING A SMALL TMPFS NEEDS ROOT: the full disk was not tried on a real file system")
    mount = gate.spool.parent
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m", "tmpfs", mount],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"A SMALL TMPFS CANNOT BE MOUNTED HERE, the full disk was not tried for real: {made.stderr}")
    yield mount
    subprocess.run(["umount", "--lazy", mount], check=True)


def fill_up(mount):
    hog = mount / "hog"
    with hog.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    return hog


def test_a_full_disk_admits_nobody_says_so_and_is_over_when_there_is_room(gate, small_disk):
    gate.show_a_crowd(30)
    gate.start()
    gate.until(lambda: len(gate.scans()) >= 2)
    hog = fill_up(small_disk)
    # The journal of the spool has some room of its own: what is committed there may still pass.
    gate.until(lambda: gate.scans()[-1] == ("grey", "storage_failed"), timeout_s=40)
    before = gate.events("scan")
    gate.until(lambda: len(gate.scans()) >= len(before) + 3)
    full = gate.events("scan")[len(before) - 1 :]
    assert {scan["reason"] for scan in full} == {"storage_failed"}
    assert all(scan["seq"] for scan in full), "the state itself is recorded, from the reserve"
    hog.unlink()
    gate.until(lambda: gate.scans()[-1] == ("green", "ok"))
    assert gate.stop() == 0
    audit = gate.chain()
    scans = gate.events("scan")
    assert audit.faults == ()
    assert [scan["seq"] for scan in scans] == list(range(1, audit.newest_seq + 1))
    assert gate.changes("gate").count(True) <= sum(scan["verdict"] == "admit" for scan in scans)


EVERY_STEP = """
import signal, sys
from device.stop import Stop
stop = Stop()
signal.signal(signal.SIGTERM, stop.signalled)
def at_each_step(frame, event, arg):
    frame.f_trace_opcodes = True
    signal.raise_signal(signal.SIGTERM)
    return at_each_step
sys.settrace(at_each_step)
asked = stop.wait(0.01)
sys.settrace(None)
sys.exit(not asked)
"""


def test_a_signal_between_any_two_steps_of_the_wait_is_heard():
    assert subprocess.run([sys.executable, "-c", EVERY_STEP], cwd=ROOT, check=False, timeout=20).returncode == 0
