"""Frame -> Decoded. Stage 2 of the scan: the parent's side of the decode child.

Every decoder has had a picture that crashes or hangs it, so reading happens in a child (`decoder/`), and this page
makes sure that such a picture costs one frame: a child that dies, is silent for a second or speaks nonsense is killed
and a spare, started in advance, takes the next frame. Whoever keeps showing such a picture gets growing pauses, and in
the end a `DecoderFailedError`, so that the fault is seen and not only survived.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from device.model import Decoded, Frame
from device.scan.decoder.process import START_S, Begun, ChildFailedError, ChildProcess, FrameMemory
from device.scan.decoder.scene import SceneGate
from device.scan.decoder.wire import Answer, Effort, Hello, Request

_log = logging.getLogger(__name__)

# The slowest honest answer measured, a 1456 x 1088 frame that holds nothing, is 40 ms on a PC, so some 200 on a Pi.
ANSWER_S = 1.0
# Deaths in the last minute: two are forgiven at once, the eleventh ends the process.
_DEATHS_WINDOW_S = 60.0
_DEATHS_MAX = 10
_DEATHS_FORGIVEN = 2
_PAUSE_FIRST_S = 0.2
_PAUSE_MAX_S = 5.0


class DecoderFailedError(Exception):
    """The decoder does not start, or died too often. The process should end; systemd starts it again."""


class Child(Protocol):
    """What a decode child can be asked (`process.ChildProcess`)."""

    def await_hello(self, *, timeout_s: float) -> Hello:
        """Wait until it is ready."""
        ...

    def ask(self, request: Request, *, timeout_s: float) -> Answer:
        """Have the picture in the memory read."""
        ...

    def kill(self) -> str:
        """End it; say how it ended."""
        ...


@dataclass(slots=True, kw_only=True)
class DecodeCounts:
    """What happened to frames and texts since the start, for health reports. Other threads only read it."""

    decoded: int = 0
    kept_back: int = 0
    lost: int = 0
    restarts: int = 0
    undecodable: int = 0
    overflows: int = 0


class DecoderProcess:
    """Reads frames of up to `frame_px_max` pixels with `engine` ("zxing" or "pyzbar"). Used by one thread.

    Children end with the thread that started them: call `start` and `decode` on threads that last. The scene gate is
    off where single pictures are read (`scene_gate=False`): there every frame counts. A child that has `begun` already
    is the first to work.

    Raises, on any call:
        DecoderFailedError: no child starts, or more than ten died within a minute.
    """

    def __init__(
        self,
        *,
        engine: str = "zxing",
        frame_px_max: int,
        scene_gate: bool = True,
        begun: Begun | None = None,
        spawn: Callable[[FrameMemory], Child] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frame_px_max = frame_px_max
        self._frames = begun.frames if begun is not None else FrameMemory(frame_px_max=frame_px_max)
        self._scene = SceneGate() if scene_gate else None
        self._spawn = spawn or (lambda frames: ChildProcess(engine=engine, frames=frames))
        self._now_s = now_s
        self._child: Child | None = None
        self._spare: Child | None = begun.child if begun is not None else None
        self._deaths_s: deque[float] = deque(maxlen=_DEATHS_MAX + 1)
        self._resume_s = 0.0
        self._texts: tuple[str, ...] = ()
        self.counts = DecodeCounts()

    def start(self) -> None:
        """Start a child and its spare, and wait until the first is ready."""
        try:
            self._promote()
        except ChildFailedError as error:
            self.close()
            raise DecoderFailedError(f"no decoder: {error}") from error

    def close(self) -> None:
        """Kill the children and give the memory back, after the last `decode`. May be called twice."""
        for child in (self._child, self._spare):
            if child is not None:
                child.kill()
        self._child = self._spare = None
        self._frames.close()

    def decode(self, frame: Frame) -> Decoded:
        """Read the codes in `frame`. A frame that shows what the last one showed is answered as that was.

        Raises:
            ValueError: the frame is not uint8 of two dimensions, or too large: our mistake, not the camera's.
        """
        luma = frame.luma
        if luma.ndim != 2 or luma.dtype != "uint8" or not 0 < luma.size <= self._frame_px_max:
            raise ValueError(f"a frame of {luma.shape} {luma.dtype} for a memory of {self._frame_px_max} px")
        began_s = self._now_s()
        if self._child is None and began_s < self._resume_s:
            return self._lost(frame, began_s)
        effort = Effort.STILL if self._scene is None else self._scene.effort(luma)
        if effort is None:
            self.counts.kept_back += 1
            return self._decoded(frame, began_s)
        height, width = luma.shape
        try:
            child = self._child or self._promote()
            self._frames.write(luma)
            answer = child.ask(Request(seq=frame.seq, width=width, height=height, effort=effort), timeout_s=ANSWER_S)
        except ChildFailedError as error:
            self._bury(error)
            return self._lost(frame, began_s)
        if self._scene is not None:
            self._scene.saw(code_like=answer.code_like)
        self._texts = self._checked(answer)
        self.counts.decoded += 1
        return self._decoded(frame, began_s)

    def _decoded(self, frame: Frame, began_s: float, *, lost: bool = False) -> Decoded:
        return Decoded(
            texts=self._texts,
            frame_seq=frame.seq,
            at_mono_ns=frame.at_mono_ns,
            decode_ms=(self._now_s() - began_s) * 1000,
            lost=lost,
        )

    def _lost(self, frame: Frame, began_s: float) -> Decoded:
        self.counts.lost += 1
        self._texts = ()
        if self._scene is not None:
            self._scene.forget()
        return self._decoded(frame, began_s, lost=True)

    def _checked(self, answer: Answer) -> tuple[str, ...]:
        """Bytes -> str. What is not UTF-8 is no code of any scheme: dropped and counted."""
        texts = []
        for raw in answer.texts:
            try:
                texts.append(raw.decode("utf-8"))
            except UnicodeDecodeError:
                self.counts.undecodable += 1
        self.counts.overflows += answer.overflow
        return tuple(texts)

    def _promote(self) -> Child:
        """Put the spare to work and start another one. Raises ChildFailedError."""
        self._child = self._spare or self._spawn(self._frames)
        self._spare = None
        hello = self._child.await_hello(timeout_s=START_S)
        if not hello.seccomp:
            _log.warning("no libseccomp: the decoder's system calls are not filtered, only its limits hold")
        # After the hello, so that the two do not share a small board's time while a gate waits for the first.
        self._spare = self._spawn(self._frames)
        return self._child

    def _bury(self, error: ChildFailedError) -> None:
        """Kill the child that failed and settle when its successor starts. Raises DecoderFailedError."""
        ended = self._child.kill() if self._child is not None else ""
        self._child = None
        now_s = self._now_s()
        self._deaths_s.append(now_s)
        deaths = sum(now_s - at_s < _DEATHS_WINDOW_S for at_s in self._deaths_s)
        self.counts.restarts += 1
        _log.warning("decoder child restarted: error=%s ended=%s deaths_in_a_minute=%d", error, ended, deaths)
        if deaths > _DEATHS_MAX:
            raise DecoderFailedError(f"the decoder died {deaths} times within a minute: {error}") from error
        self._resume_s = now_s + pause_s(deaths)


def pause_s(deaths: int) -> float:
    """How long to wait for a new child after so many deaths within a minute: 0, 0, then 0.2 doubling up to 5 s.

    Ten deaths take 21 s, so a picture held up for that long ends the process and one shown in passing does not.
    """
    if deaths <= _DEATHS_FORGIVEN:
        return 0.0
    return min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2.0 ** (deaths - _DEATHS_FORGIVEN - 1))
