"""Configuration -> the gate's hardware. With `main`, the only module that names the Pi's classes."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from device.config import (
    CameraConfig,
    PeopleCameraConfig,
    PiCameraConfig,
    PicturesCameraConfig,
    PiHardware,
    SimHardware,
)
from device.hardware.pi.pins import Pins
from device.hardware.ports import Button, Buzzer, Camera, Gate, Lights


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a gate is made of, besides its camera. `button` is None where there is none."""

    gate: Gate
    lights: Lights
    buzzer: Buzzer
    button: Button | None

    def failures(self) -> Iterator[tuple[str, Exception]]:
        """The parts whose own thread has died, and of what."""
        for name, part in (
            ("gate", self.gate),
            ("lights", self.lights),
            ("buzzer", self.buzzer),
            ("button", self.button),
        ):
            if part is not None and part.failed is not None:
                yield name, part.failed


def pins(config: PiHardware) -> Pins:
    """Where the parts are wired.

    Raises:
        ValueError: two parts on one line.
    """
    return Pins(
        relay=config.relay,
        red=config.red,
        green=config.green,
        blue=config.blue,
        buzzer=config.buzzer,
        button=config.button,
        relay_active_high=config.relay_active_high,
        lights_active_high=config.lights_active_high,
        button_pull_up=config.button_pull_up,
    )


@contextmanager
def hardware(config: PiHardware | SimHardware) -> Iterator[Parts]:
    """The parts, switched off at the start and, the relay first, at the end, whatever happens between.

    Raises:
        HardwareError: a part is not there.
    """
    with ExitStack() as at_end:
        parts = _pi(config, at_end) if isinstance(config, PiHardware) else _sim(config, at_end)
        yield parts


def camera(config: CameraConfig) -> Camera:
    """The camera, not started yet.

    Raises:
        ValueError: there are no pictures to look at.
    """
    if isinstance(config, PiCameraConfig):
        from device.hardware.pi.camera import PiCamera

        return PiCamera(
            width_px=config.width_px,
            height_px=config.height_px,
            fps=config.fps,
            exposure_us=config.exposure_us,
            gain=config.gain,
            focus_dioptre=config.focus_dioptre,
            camera_index=config.index,
        )
    if isinstance(config, PeopleCameraConfig):
        from device.hardware.sim.people import PeopleCamera

        return PeopleCamera(
            socket_path=config.socket,
            width_px=config.width_px,
            height_px=config.height_px,
            fps=config.fps,
            seed=config.seed,
        )
    if isinstance(config, PicturesCameraConfig):
        from device.hardware.sim.pictures import PictureCamera

        return PictureCamera(pictures=config.path, frames_each=config.frames_each, fps=config.fps, loop=config.loop)
    from device.hardware.sim.video import VideoCamera

    return VideoCamera(path=config.path, loop=config.loop)


def _pi(config: PiHardware, at_end: ExitStack) -> Parts:
    from device.hardware.pi.button import PiButton
    from device.hardware.pi.buzzer import PiBuzzer
    from device.hardware.pi.gate import PiGate
    from device.hardware.pi.lights import PiLights
    from device.hardware.pi.pins import lgpio_factory

    wired = pins(config)
    factory = lgpio_factory()
    at_end.callback(factory.close)
    lights = PiLights(pins=wired, factory=factory)
    at_end.callback(lights.shutdown)
    buzzer = PiBuzzer(pins=wired, factory=factory)
    at_end.callback(buzzer.shutdown)
    button = PiButton(pins=wired, factory=factory) if wired.button is not None else None
    if button is not None:
        at_end.callback(button.shutdown)
    gate = PiGate(pins=wired, factory=factory)
    at_end.callback(gate.shutdown)
    return Parts(gate=gate, lights=lights, buzzer=buzzer, button=button)


def _sim(config: SimHardware, at_end: ExitStack) -> Parts:
    from device.hardware.sim.button import SimButton
    from device.hardware.sim.buzzer import SimBuzzer
    from device.hardware.sim.gate import SimGate
    from device.hardware.sim.journal import Journal
    from device.hardware.sim.lights import SimLights

    journal = Journal(path=config.journal, terminal=sys.stderr if config.terminal else None)
    at_end.callback(journal.close)
    lights = SimLights(journal=journal)
    at_end.callback(lights.shutdown)
    buzzer = SimBuzzer(journal=journal)
    at_end.callback(buzzer.shutdown)
    button = SimButton()
    at_end.callback(button.shutdown)
    gate = SimGate(journal=journal)
    at_end.callback(gate.shutdown)
    return Parts(gate=gate, lights=lights, buzzer=buzzer, button=button)
