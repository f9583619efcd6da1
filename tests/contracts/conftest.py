"""One rig per port and implementation: the part under test, and what an observer outside would see of it.

The Pi side runs on gpiozero's MockFactory: real gpiozero, no pins. What it cannot show (lines held by other
processes, permissions, what a kernel does with the lines of a killed process) is left to an emulated or a real Pi.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin
from PIL import Image

from device.hardware.pi.button import PiButton
from device.hardware.pi.buzzer import PiBuzzer
from device.hardware.pi.camera import PiCamera
from device.hardware.pi.gate import PiGate
from device.hardware.pi.lights import PiLights
from device.hardware.pi.pins import Pins
from device.hardware.pi.thermometer import TOBJ1, Mlx90614, pec
from device.hardware.sim.button import SimButton
from device.hardware.sim.buzzer import SimBuzzer
from device.hardware.sim.gate import SimGate
from device.hardware.sim.journal import Journal
from device.hardware.sim.lights import SimLights
from device.hardware.sim.people import PeopleCamera
from device.hardware.sim.pictures import PictureCamera
from device.hardware.sim.thermometer import SimThermometer
from device.hardware.sim.video import VideoCamera

PINS = Pins(relay=26, red=5, green=6, blue=13, buzzer=12, button=21)
HOLD_MS = 30


@dataclass(frozen=True)
class Rig:
    """`part` under test; `seen()` what it does to the world now; `break_switch(error)` makes each switch raise."""

    part: Any
    seen: Callable[[], Any]
    break_switch: Callable[[Exception], None] = lambda error: None
    press: Callable[[], None] = lambda: None
    release: Callable[[], None] = lambda: None
    warm: Callable[[int | None], None] = lambda reading_cc: None


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], bool]:
    """Waits for what a part's own thread does; returns whether it came within two seconds."""

    def wait(condition: Callable[[], bool]) -> bool:
        end = time.monotonic() + 2.0
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.001)
        return True

    return wait


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    factory = MockFactory(pin_class=MockPWMPin)
    yield factory
    factory.close()


class PassingTime:
    """Time that passes only when told to, for the thread inside a part."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._now_ns = worker._clock_ns()
        worker._clock_ns = lambda: self._now_ns

    def pass_ms(self, ms: int) -> None:
        with self._worker._changed:
            self._now_ns += ms * 1_000_000
            self._worker._changed.notify()


@pytest.fixture
def passing_time() -> Callable[[Any], PassingTime]:
    """Takes the clock of a player or relay into the test's hands."""
    return PassingTime


def _breaking(owner: Any, name: str) -> Callable[[Exception], None]:
    def break_switch(error: Exception) -> None:
        def fail(*_: object) -> None:
            raise error

        setattr(owner, name, fail)

    return break_switch


@pytest.fixture(params=["sim", "pi active high", "pi active low"])
def gate_rig(request: pytest.FixtureRequest, factory: MockFactory) -> Iterator[Rig]:
    if request.param == "sim":
        gate = SimGate(journal=Journal())
        yield Rig(gate, lambda: gate.energised, _breaking(gate._relay, "_switch"))
        gate.shutdown()
        return
    high = request.param == "pi active high"
    pins = Pins(relay=26, red=5, green=6, blue=13, buzzer=12, relay_active_high=high)
    pi_gate = PiGate(pins=pins, factory=factory)
    pin = factory.pin(26)
    yield Rig(pi_gate, lambda: pin.state == high, _breaking(pi_gate._relay, "_switch"))
    pi_gate.shutdown()


@pytest.fixture(params=["sim", "pi"])
def lights_rig(request: pytest.FixtureRequest, factory: MockFactory) -> Iterator[Rig]:
    if request.param == "sim":
        lights = SimLights(journal=Journal())
        yield Rig(lights, lambda: lights.rgb, _breaking(lights._player, "_apply"))
        lights.shutdown()
        return
    pi_lights = PiLights(pins=PINS, factory=factory)
    pins = [factory.pin(line) for line in (PINS.red, PINS.green, PINS.blue)]
    yield Rig(pi_lights, lambda: tuple(pin.state for pin in pins), _breaking(pi_lights._player, "_apply"))
    pi_lights.shutdown()


@pytest.fixture(params=["sim", "pi"])
def buzzer_rig(request: pytest.FixtureRequest, factory: MockFactory) -> Iterator[Rig]:
    if request.param == "sim":
        buzzer = SimBuzzer(journal=Journal())
        yield Rig(buzzer, lambda: buzzer.tone_hz, _breaking(buzzer._player, "_apply"))
        buzzer.shutdown()
        return
    pi_buzzer = PiBuzzer(pins=PINS, factory=factory)
    pin = factory.pin(PINS.buzzer)
    yield Rig(pi_buzzer, lambda: round(pin.frequency) if pin.state else 0, _breaking(pi_buzzer._player, "_apply"))
    pi_buzzer.shutdown()


@pytest.fixture(params=["sim", "pi"])
def button_rig(request: pytest.FixtureRequest, factory: MockFactory) -> Iterator[Rig]:
    if request.param == "sim":
        button = SimButton(hold_ms=HOLD_MS)
        yield Rig(button, lambda: None, press=button.press, release=button.release)
        button.shutdown()
        return
    pi_button = PiButton(pins=PINS, factory=factory, hold_ms=HOLD_MS)
    pin = factory.pin(PINS.button)
    yield Rig(pi_button, lambda: None, press=pin.drive_low, release=pin.drive_high)
    pi_button.shutdown()


@pytest.fixture
def fake_picamera2(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts the FAKE picamera2 where the adapter looks for the real one; gives its Picamera2 class."""
    return _in_place_of("picamera2", monkeypatch).Picamera2


@pytest.fixture
def fake_smbus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts the FAKE smbus2 where the adapter looks for the real one; gives its SMBus class."""
    return _in_place_of("smbus2", monkeypatch).SMBus


def _in_place_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "fakes" / f"{name}.py")
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    monkeypatch.setitem(sys.modules, name, fake)
    return fake


@pytest.fixture(params=["sim", "mlx90614 (fake smbus2)"])
def thermometer_rig(request: pytest.FixtureRequest, fake_smbus: Any) -> Iterator[Rig]:
    if request.param == "sim":
        sim = SimThermometer()
        yield Rig(sim, lambda: None, warm=sim.set)
        return

    def warm(reading_cc: int | None) -> None:
        fake_smbus.thermometer = None if reading_cc is None else 0x5A
        if reading_cc is not None:
            word = round((reading_cc + 27_315) / 2).to_bytes(2, "little")
            fake_smbus.registers = {TOBJ1: [word + bytes([pec(bytes([0xB4, TOBJ1, 0xB5]) + word)])]}

    mlx = Mlx90614()
    yield Rig(mlx, lambda: None, warm=warm)
    mlx.shutdown()


def _picture_camera(folder: Path) -> Any:
    path = folder / "hall.png"
    Image.fromarray(np.full((480, 640), 90, dtype=np.uint8)).save(path)
    return PictureCamera(pictures=path, fps=1000.0)


def _video_camera(folder: Path) -> Any:
    path = folder / "hall.mkv"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "gray"
        for shade in range(4):
            picture = np.full((480, 640), 10 * shade, dtype=np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        film.mux(stream.encode())
    return VideoCamera(path=path, loop=True)


CAMERAS: dict[str, Callable[[Path], Any]] = {
    "pictures": _picture_camera,
    "video": _video_camera,
    "people": lambda folder: PeopleCamera(socket_path=folder / "people", fps=1000.0),
    "pi (fake picamera2)": lambda folder: PiCamera(),
}


@pytest.fixture(params=CAMERAS)
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    camera = CAMERAS[request.param](tmp_path)
    yield camera
    camera.stop()
