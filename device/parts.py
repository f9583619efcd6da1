"""Configuration -> the gate's hardware. With `main`, the only module that names the Pi's classes."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from device.config import (
    AlsaVoiceConfig,
    CameraConfig,
    Mlx90614Thermometer,
    NoThermometer,
    OledScreenConfig,
    PeopleCameraConfig,
    PiCameraConfig,
    PicturesCameraConfig,
    PiHardware,
    ScreenConfig,
    SimHardware,
    SimScreen,
    SimVoice,
    ThermometerConfig,
    VoiceConfig,
)
from device.hardware.pi import safe
from device.hardware.pi.pins import Pins
from device.hardware.ports import Button, Buzzer, Camera, Gate, HardwareError, Lights, Prompter, Thermometer
from device.hardware.sim.button import SimButton
from device.hardware.sim.journal import Journal
from device.hardware.sim.prompts import SimPrompts
from device.hardware.sim.thermometer import SimThermometer
from device.hardware.spoken import SPOKEN

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a gate is made of, besides its camera. `button` and `thermometer` are None where there is none."""

    gate: Gate
    lights: Lights
    buzzer: Buzzer
    button: Button | None
    thermometer: Thermometer | None = None
    prompters: tuple[Prompter, ...] = ()

    def temperature_cc(self) -> int | None:
        """The temperature of what stands at the gate now, in 0.01 °C; None where it cannot be measured."""
        try:
            return self.thermometer.read() if self.thermometer is not None else None
        except HardwareError:
            # No reason to end the process, as with other parts: the gate says so to everybody whom it concerns.
            return None

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
def hardware(
    config: PiHardware | SimHardware,
    *,
    thermometer: ThermometerConfig | None = None,
    screen: ScreenConfig | None = None,
    voice: VoiceConfig | None = None,
) -> Iterator[Parts]:
    """The parts, switched off at the start and, the relay first, at the end, whatever happens between.

    Raises:
        HardwareError: a part is not there.
    """
    with ExitStack() as at_end:
        measuring = _thermometer(thermometer)
        if measuring is not None:
            at_end.callback(measuring.shutdown)
        journal = _journal(config, at_end)
        prompters = tuple(_prompters(screen, voice, journal=journal))
        for prompter in prompters:
            at_end.callback(prompter.shutdown)
        parts = _pi(config, at_end) if isinstance(config, PiHardware) else _sim(journal, at_end)
        yield replace(parts, thermometer=measuring, prompters=prompters)


def camera(config: CameraConfig, *, around: Parts | None = None) -> Camera:
    """The camera, not started yet. Rendered people bring their temperature to a simulated thermometer of the parts
    `around`, and may hold down their simulated button.

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
            warm=around.thermometer.set if around and isinstance(around.thermometer, SimThermometer) else None,
            press=around.button.hold if around and isinstance(around.button, SimButton) else None,
        )
    if isinstance(config, PicturesCameraConfig):
        from device.hardware.sim.pictures import PictureCamera

        return PictureCamera(pictures=config.path, frames_each=config.frames_each, fps=config.fps, loop=config.loop)
    from device.hardware.sim.video import VideoCamera

    return VideoCamera(path=config.path, loop=config.loop)


def _thermometer(config: ThermometerConfig | None) -> Thermometer | None:
    if config is None or isinstance(config, NoThermometer):
        return None
    if isinstance(config, Mlx90614Thermometer):
        from device.hardware.pi.thermometer import Mlx90614

        return Mlx90614(bus=config.bus, address=config.address)
    return SimThermometer(reading_cc=config.reading_cc)


def _pi(config: PiHardware, at_end: ExitStack) -> Parts:
    from device.hardware.pi.button import PiButton
    from device.hardware.pi.buzzer import PiBuzzer
    from device.hardware.pi.gate import PiGate
    from device.hardware.pi.lights import PiLights
    from device.hardware.pi.pins import lgpio_factory

    wired = pins(config)
    safe.leave((pin, int(level)) for pin, level in wired.off_levels())
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


def _journal(config: PiHardware | SimHardware, at_end: ExitStack) -> Journal:
    """What simulated parts write to; nothing but memory where the others are real."""
    sim = config if isinstance(config, SimHardware) else SimHardware()
    journal = Journal(path=sim.journal, terminal=sys.stderr if sim.terminal else None)
    at_end.callback(journal.close)
    return journal


def _prompters(screen: ScreenConfig | None, voice: VoiceConfig | None, *, journal: Journal) -> Iterator[Prompter]:
    """Screen and voice, as far as they are there: a gate without them serves people all the same."""
    for make in (partial(_screen, screen, journal), partial(_voice, voice, journal)):
        try:
            made = make()
        except HardwareError as error:
            _LOG.warning("%s", error)
        else:
            if made is not None:
                yield made


def _screen(config: ScreenConfig | None, journal: Journal) -> Prompter | None:
    if isinstance(config, OledScreenConfig):
        from device.hardware.pi.screen import OledScreen

        return OledScreen(chip=config.chip, bus=config.bus, address=config.address, font=config.font)
    return SimPrompts(journal=journal, part="screen") if isinstance(config, SimScreen) else None


def _voice(config: VoiceConfig | None, journal: Journal) -> Prompter | None:
    if isinstance(config, AlsaVoiceConfig):
        from device.hardware.pi.voice import AlsaVoice

        return AlsaVoice(folder=config.folder, names=SPOKEN, languages=config.languages, device=config.device)
    return SimPrompts(journal=journal, part="voice") if isinstance(config, SimVoice) else None


def _sim(journal: Journal, at_end: ExitStack) -> Parts:
    from device.hardware.sim.buzzer import SimBuzzer
    from device.hardware.sim.gate import SimGate
    from device.hardware.sim.lights import SimLights

    lights = SimLights(journal=journal)
    at_end.callback(lights.shutdown)
    buzzer = SimBuzzer(journal=journal)
    at_end.callback(buzzer.shutdown)
    button = SimButton()
    at_end.callback(button.shutdown)
    gate = SimGate(journal=journal)
    at_end.callback(gate.shutdown)
    return Parts(gate=gate, lights=lights, buzzer=buzzer, button=button)
