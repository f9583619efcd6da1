"""Picture in shared memory -> texts, over and over, inside the jail. The entry of the decode child."""

import argparse
import json
import mmap
import os
import signal
import socket
from collections.abc import Sequence

import numpy as np

from device.scan.decoder import jail, selftest
from device.scan.decoder.engines import ENGINES, Engine
from device.scan.decoder.enhance import Luma
from device.scan.decoder.wire import Effort, Hello, pack_answer, pack_hello, parse_request

_REQUEST_BYTES = 64

# A QR symbol of version 1-M that holds "GATELIGHT", one row of modules a number. It warms every path of the library
# up before the jail closes, and is read once more inside: a child that cannot read it must not say that it can.
_TEST_TEXT = b"GATELIGHT"
_TEST_ROWS = (
    0x1FD37F,
    0x104241,
    0x17445D,
    0x174B5D,
    0x17575D,
    0x104941,
    0x1FD57F,
    0x001F00,
    0x13E9D1,
    0x081F11,
    0x17C86D,
    0x09E58D,
    0x0470EC,
    0x0B7700,
    0x16B17F,
    0x041C41,
    0x13495D,
    0x1C1A5D,
    0x03CE5D,
    0x146041,
    0x1EF57F,
)
_TEST_SIDE = 21


def main(argv: Sequence[str]) -> None:
    """Serve frames until the parent closes the socket. `argv` is built by `process.ChildProcess`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--frames-fd", type=int, required=True)
    parser.add_argument("--self-test", action="store_true", help="try to break out of the jail, answer JSON, end")
    args = parser.parse_args(argv)
    run(
        ENGINES[args.engine](),
        control_fd=args.control_fd,
        frames_fd=args.frames_fd,
        self_test=args.self_test,
    )


def run(engine: Engine, *, control_fd: int, frames_fd: int, self_test: bool = False) -> None:
    """Warm up, enter the jail, say hello, then answer every request."""
    # Ctrl-C and systemd's SIGTERM reach every process of the gate, but the parent still reads frames until it has shut
    # down in order; it ends this process by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=control_fd) as control:
        frames = mmap.mmap(frames_fd, os.fstat(frames_fd).st_size, prot=mmap.PROT_READ)
        _check(engine)
        hello = Hello(seccomp=jail.enter())
        if self_test:
            control.send(json.dumps(selftest.escape_attempts(frames_fd=frames_fd)).encode())
            return
        _check(engine)
        control.send(pack_hello(hello))
        _serve(engine, control, np.frombuffer(frames, dtype=np.uint8))


def _serve(engine: Engine, control: socket.socket, frames: Luma) -> None:
    """Answer until the other end closes. Whatever goes wrong ends the process: the parent starts a new one."""
    while data := control.recv(_REQUEST_BYTES):
        request = parse_request(data, frame_px_max=frames.size)
        luma = frames[: request.width * request.height].reshape(request.height, request.width)
        if request.effort is Effort.STILL:
            control.send(pack_answer(request.seq, engine.read(luma)))
        else:
            seen = engine.watch(luma, closer=request.effort is Effort.CLOSER)
            control.send(pack_answer(request.seq, seen.texts, code_like=seen.code_like))


def _check(engine: Engine) -> None:
    """Read the test picture, and one of noise that takes the long way. Raises RuntimeError when it is not read."""
    modules = np.array([[row >> bit & 1 for bit in range(_TEST_SIDE)] for row in _TEST_ROWS], dtype=np.uint8)
    picture = np.pad(np.where(modules == 1, 0, 255).astype(np.uint8), 4, constant_values=255)
    if engine.read(np.kron(picture, np.ones((4, 4), dtype=np.uint8))) != [_TEST_TEXT]:
        raise RuntimeError("the engine does not read its test picture")
    engine.read(np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8))
