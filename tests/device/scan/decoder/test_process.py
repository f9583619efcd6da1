"""Real decode children: what the jail lets through, and what a picture that kills one costs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from device.model import Frame
from device.scan.decode import DecoderProcess
from device.scan.decoder.engines import ENGINES
from device.scan.decoder.process import (
    START_S,
    ChildFailedError,
    ChildProcess,
    FrameMemory,
    probe_jail,
)
from device.scan.decoder.wire import Effort, Request

pytestmark = [pytest.mark.system, pytest.mark.sockets]

SIDE_PX = 480
PX = SIDE_PX * SIDE_PX
TEXT = "GL1:" + "6BF+70790T9WJWG.FKY*4GO0.O1CV2 O5" * 6
KILLER_PX = 13
"""A picture whose first pixel has this value is the crafted one: it makes the library under test abort."""

ABORTS = """
import os, sys; sys.path.insert(3, sys.argv[1])
from device.scan.decoder import child, engines
class Fragile(engines.ZxingEngine):
    def read(self, luma):
        if luma[0, 0] == {pixel}:
            {deed}
        return super().read(luma)
engines.ENGINES = child.ENGINES = {{"zxing": Fragile}}
child.main(sys.argv[2:])
"""
NO_LIBSECCOMP = """
import ctypes, sys; sys.path.insert(3, sys.argv[1])
class Without(ctypes.CDLL):
    def __init__(self, name, *rest, **named):
        if name == "libseccomp.so.2":
            raise OSError("not installed")
        super().__init__(name, *rest, **named)
ctypes.CDLL = Without
from device.scan.decoder import child
child.main(sys.argv[2:])
"""


@pytest.fixture
def frames():
    memory = FrameMemory(frame_px_max=PX)
    yield memory
    memory.close()


@pytest.fixture
def start(frames):
    started = []

    def start(**options):
        child = ChildProcess(**{"engine": "zxing", "frames": frames} | options)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()


@pytest.fixture
def decoder():
    built = []

    def decoder(**options):
        built.append(DecoderProcess(frame_px_max=PX, **options))
        built[-1].start()
        return built[-1]

    yield decoder
    for one in built:
        one.close()


def frame(luma, seq):
    return Frame(luma=luma, seq=seq, at_mono_ns=time.monotonic_ns())


def fragile(deed):
    boot = ABORTS.format(pixel=KILLER_PX, deed=deed)
    return lambda frames: ChildProcess(engine="zxing", frames=frames, boot=boot)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_nothing_gets_out_of_the_jail(engine):
    outcome = probe_jail(engine=engine)
    assert outcome.pop("take_all_memory") == "ENOMEM"
    assert outcome == dict.fromkeys(outcome, "EPERM")
    assert {"read_a_file", "write_the_frame", "open_a_socket", "fork", "run_a_program"} <= outcome.keys()


def proc(child, name):
    return Path(f"/proc/{child.pid}/{name}").read_text(encoding="ascii")


def test_without_libseccomp_the_child_says_so_and_the_limits_still_hold(start):
    child = start(boot=NO_LIBSECCOMP)
    assert not child.await_hello(timeout_s=START_S).seccomp
    limits = {line[:25].strip(): line.split()[-3:-1] for line in proc(child, "limits").splitlines()}
    for name in ("Max open files", "Max processes", "Max file size", "Max core file size"):
        assert "0" in limits[name], name
    assert "NoNewPrivs:\t1" in proc(child, "status")


def test_the_child_has_no_more_than_it_needs(start):
    child = start()
    assert child.await_hello(timeout_s=START_S).seccomp
    status = dict(line.split(":\t", 1) for line in proc(child, "status").splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT MAY LOOK INTO THE CHILD: its open files were not counted")
def test_the_child_holds_no_file_and_no_secret(start):
    child = start()
    child.await_hello(timeout_s=START_S)
    # Three standard streams, the socket, the frame's memory, and that memory once more under its mapping.
    assert len(list(Path(f"/proc/{child.pid}/fd").iterdir())) == 6
    assert "HOME" not in proc(child, "environ")


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_codes_are_read_in_the_jail(engine, decoder, draw):
    wide = np.full((SIDE_PX, 2 * SIDE_PX), 90, dtype=np.uint8)
    wide[:, :SIDE_PX] = draw(TEXT, side_px=SIDE_PX)
    padded = wide[:, :SIDE_PX]
    assert not padded.flags.c_contiguous
    assert decoder(engine=engine).decode(frame(padded, 1)).texts == (TEXT,)


def test_a_crafted_picture_costs_one_frame(decoder, draw):
    good = draw(TEXT, side_px=SIDE_PX)
    crafted = good.copy()
    crafted[0, 0] = KILLER_PX
    running = decoder(spawn=fragile("os.abort()"), scene_gate=False)
    decoded = [running.decode(frame(luma, seq)) for seq, luma in enumerate([good, crafted, good, good])]
    assert [one.texts for one in decoded] == [(TEXT,), (), (TEXT,), (TEXT,)]
    assert [one.lost for one in decoded] == [False, True, False, False]
    assert running.counts.restarts == 1


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["while True: pass", "bytearray(1 << 30)", "raise RuntimeError('boom')"])
def test_a_picture_that_hangs_or_fills_the_memory_costs_one_frame_too(decoder, draw, deed):
    good = draw(TEXT, side_px=SIDE_PX)
    crafted = good.copy()
    crafted[0, 0] = KILLER_PX
    running = decoder(spawn=fragile(deed), scene_gate=False)
    decoded = [running.decode(frame(luma, seq)) for seq, luma in enumerate([good, crafted, good])]
    assert [one.texts for one in decoded] == [(TEXT,), (), (TEXT,)]
    assert decoded[1].decode_ms < 1500


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_meant_for_the_gate_leave_the_child_to_its_parent(decoder, draw, number):
    running = decoder(scene_gate=False)
    os.kill(running._child.pid, number)
    assert running.decode(frame(draw(TEXT, side_px=SIDE_PX), 1)).texts == (TEXT,)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_child_that_is_killed_or_stopped_is_replaced(decoder, draw, number):
    picture = draw(TEXT, side_px=SIDE_PX)
    running = decoder(scene_gate=False)
    os.kill(running._child.pid, number)
    decoded = [running.decode(frame(picture, seq)) for seq in (1, 2)]
    assert [one.lost for one in decoded] == [True, False]
    assert decoded[1].texts == (TEXT,)


def test_last_words_reach_the_parent(start):
    child = start(boot="raise SystemExit('no such library')")
    with pytest.raises(ChildFailedError, match="died"):
        child.await_hello(timeout_s=START_S)
    assert "no such library" in child.kill()
    child.kill = lambda: None


def test_a_child_that_talks_nonsense_is_refused(start, frames):
    liar = (
        "import socket, sys; fd = int(sys.argv[3].partition('=')[2]); s = socket.socket(fileno=fd); "
        "s.send(b'GLD1\\x01'); s.recv(99); s.send(b'x' * 100_000); s.recv(99)"
    )
    child = start(boot=liar)
    child.await_hello(timeout_s=START_S)
    with pytest.raises(ChildFailedError, match="nonsense"):
        child.ask(Request(seq=1, width=9, height=9, effort=Effort.STILL), timeout_s=1)


def test_a_child_ends_with_its_parent(start):
    child = start()
    child.await_hello(timeout_s=START_S)
    child._control.close()
    assert child._process.wait(timeout=5) == 0


ORPHANS = """
import os, signal, sys; sys.path.insert(0, sys.argv[1])
from device.scan.decoder.process import START_S, ChildProcess, FrameMemory
child = ChildProcess(engine="zxing", frames=FrameMemory(frame_px_max=4096))
child.await_hello(timeout_s=START_S)
os.kill(child.pid, signal.SIGSTOP)
print(child.pid, flush=True)
signal.pause()
"""


def wait_for_state(pid, states):
    stat = Path(f"/proc/{pid}/stat")
    deadline_s = time.monotonic() + 10
    while stat.exists() and stat.read_text().rpartition(") ")[2][0] not in states:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_hanging_child_does_not_outlive_a_killed_parent():
    root = str(Path(__file__).parents[4])
    with subprocess.Popen([sys.executable, "-c", ORPHANS, root], stdout=subprocess.PIPE) as parent:
        try:
            pid = int(parent.stdout.readline())
            wait_for_state(pid, "T")
        finally:
            parent.kill()
    # Nobody may be left to reap it: a zombie is as dead as a process gets.
    wait_for_state(pid, "ZX")


def test_the_memory_cannot_be_shrunk_under_the_parent(frames):
    with pytest.raises(PermissionError):
        os.ftruncate(frames.fd, 10)
