"""A camera before which rendered people hold up their phones, as a Unix socket tells them to.

A stand-in for a camera, a hall and a crowd. Phones are rendered when they are first held up, in a few poses between
which the hand drifts; a frame is then only one pose with fresh noise, and costs far less than its decoding.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from device.hardware.ports import HardwareError
from device.hardware.sim.commands import CommandSocket
from device.hardware.sim.looks import GATE, Look
from device.hardware.sim.pace import Pace
from device.hardware.sim.render import show_codes
from device.hardware.sim.surroundings import Luma, add_noise, background, noise_field
from device.model import Frame

POSES = 3
"""A hand drifts to the last pose and back again, so that no frame equals the one before."""

NOISE_MARGIN_PX = 64
"""Each frame takes another window of one field of noise: 4,096 different ones."""


class PeopleCamera:
    """`Camera` on rendered people. Listens at `socket_path` from `start` to `stop`; the same `seed` and the same
    commands give the same poses. `warm` is told how warm they are, where there is a thermometer, and `press` whether
    somebody holds the button down.
    """

    def __init__(
        self,
        *,
        socket_path: Path,
        width_px: int = 640,
        height_px: int = 480,
        fps: float = 30.0,
        seed: int = 0,
        look: Look = GATE,
        warm: Callable[[int | None], None] | None = None,
        press: Callable[[bool], None] | None = None,
    ) -> None:
        self._socket_path = socket_path
        self._fps = fps
        self._look = look
        self._warm = warm
        self._press = press
        # Two generators, because phones and noise are drawn by different threads.
        self._phone_rng, self._noise_rng = np.random.default_rng(seed).spawn(2)
        self._hall = background(size=(width_px, height_px), rng=self._phone_rng)
        self._noise = noise_field(
            size=(width_px + NOISE_MARGIN_PX, height_px + NOISE_MARGIN_PX), sigma=look.noise, rng=self._noise_rng
        )
        self._in_view = threading.Lock()
        self._scenes: tuple[Luma, ...] = (self._hall,)
        self._pace: Pace | None = None
        self._commands: CommandSocket | None = None
        self._seq = 0

    def start(self) -> None:
        """As `Camera.start`."""
        if self._commands is None:
            self._commands = CommandSocket(path=self._socket_path, show=self.show, warm=self._warm, press=self._press)
        self._pace = Pace(fps=self._fps)

    def read(self, timeout_s: float) -> Frame | None:
        """As `Camera.read`."""
        if self._pace is None or self._commands is None:
            raise HardwareError("the camera was not started")
        if self._commands.failed is not None:
            raise HardwareError("nobody takes commands any more") from self._commands.failed
        if not self._pace.wait(timeout_s):
            return None
        self._seq += 1
        scene = _back_and_forth(self._scenes, self._seq)
        top, left = self._noise_rng.integers(0, NOISE_MARGIN_PX, 2)
        height_px, width_px = scene.shape
        luma = add_noise(scene, self._noise[top : top + height_px, left : left + width_px])
        return Frame(luma=luma, seq=self._seq, at_mono_ns=time.monotonic_ns())

    def stop(self) -> None:
        """As `Camera.stop`. Whatever was held up stays in view for the next start."""
        self._pace = None
        commands, self._commands = self._commands, None
        if commands is not None:
            commands.close()

    def show(self, texts: tuple[str, ...]) -> None:
        """Hold up one phone for each of `texts`, from the next frame on; none clears the view.

        Raises:
            ValueError: no QR code holds one of the texts, or they do not fit the frame.
        """
        with self._in_view:
            scenes: tuple[Luma, ...] = (self._hall,)
            if texts:
                scenes = show_codes(texts, hall=self._hall, rng=self._phone_rng, look=self._look, poses=POSES)
            self._scenes = scenes


def _back_and_forth(scenes: tuple[Luma, ...], seq: int) -> Luma:
    """The scene of frame `seq` when they are gone through forwards and backwards in turn."""
    last = len(scenes) - 1
    if last == 0:
        return scenes[0]
    place = seq % (2 * last)
    return scenes[min(place, 2 * last - place)]
