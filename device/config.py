"""The device's configuration: a TOML file -> frozen values, every one checked.

Each setting's meaning stands beside it; `gatelight-device check-config` prints what is in force. An unknown key is
an error that names it and its table. Relative paths are relative to the file. Durations and sizes carry their unit.
"""

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.limits import CODE_LEEWAY_S, INT64_MAX, NAME_CHARS

Name = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9._-]{{1,{NAME_CHARS}}}\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
PictureSide = Annotated[int, Meta(ge=64, le=4096)]
FramesPerSecond = Annotated[float, Meta(gt=0, le=240)]
HeaderPin = Annotated[int, Meta(ge=2, le=27)]


FILE_LIMIT_BYTES = 64 * 1024
"""Every setting with a long comment each is a tenth of this."""


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file, the table and the key."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Keys(_Table, frozen=True, kw_only=True):
    """`[keys]`: files. `signing` is this device's own; `hub` and `root` are public COSE_Keys that it trusts."""

    signing: Path
    hub: Path
    root: Path


class Trust(_Table, frozen=True, kw_only=True):
    """`[trust]`: the issuers' bundle, signed by the root key."""

    bundle: Path


class Broker(_Table, frozen=True, kw_only=True):
    """`[broker]`: MQTT over TLS 1.3. `ca` signs the broker, `cert` and `key` are this device's, CN = device id."""

    host: str
    ca: Path
    cert: Path
    key: Path
    port: Port = 8883


class PiCameraConfig(_Table, frozen=True, kw_only=True, tag="pi", tag_field="kind"):
    """`[camera] kind = "pi"`: a Raspberry Pi camera by picamera2; None leaves a setting to the camera."""

    width_px: PictureSide = 640
    height_px: PictureSide = 480
    fps: FramesPerSecond = 30.0
    exposure_us: Annotated[int, Meta(ge=10, le=1_000_000)] | None = 2500
    gain: Annotated[float, Meta(ge=1, le=64)] | None = None
    focus_dioptre: Annotated[float, Meta(ge=0, le=32)] | None = None
    index: Annotated[int, Meta(ge=0, le=7)] = 0


class PeopleCameraConfig(_Table, frozen=True, kw_only=True, tag="people", tag_field="kind"):
    """`[camera] kind = "people"`: rendered people who show what comes in over the Unix socket `socket`."""

    socket: Path
    width_px: PictureSide = 640
    height_px: PictureSide = 480
    fps: FramesPerSecond = 20.0
    seed: int = 0


class PicturesCameraConfig(_Table, frozen=True, kw_only=True, tag="pictures", tag_field="kind"):
    """`[camera] kind = "pictures"`: picture files, or those of a folder, `frames_each` frames each."""

    path: Path
    frames_each: Annotated[int, Meta(ge=1, le=1000)] = 4
    fps: FramesPerSecond = 20.0
    loop: bool = False


class VideoCameraConfig(_Table, frozen=True, kw_only=True, tag="video", tag_field="kind"):
    """`[camera] kind = "video"`: a film at its own rate."""

    path: Path
    loop: bool = False


CameraConfig = PiCameraConfig | PeopleCameraConfig | PicturesCameraConfig | VideoCameraConfig


class DecoderConfig(_Table, frozen=True, kw_only=True):
    """`[decoder]`: zxing reads 98 of 100 typical frames in a tenth of the time in which pyzbar reads 80."""

    engine: Literal["zxing", "pyzbar"] = "zxing"
    frame_px_max: Annotated[int, Meta(ge=64 * 64, le=4096 * 4096)] = 1456 * 1088


class PiHardware(_Table, frozen=True, kw_only=True, tag="pi", tag_field="kind"):
    """`[hardware] kind = "pi"`: BCM numbers of the pins."""

    relay: HeaderPin = 26
    red: HeaderPin = 5
    green: HeaderPin = 6
    blue: HeaderPin = 13
    buzzer: HeaderPin = 12
    button: HeaderPin | None = 21
    relay_active_high: bool = True
    lights_active_high: bool = True
    button_pull_up: bool = True


class SimHardware(_Table, frozen=True, kw_only=True, tag="sim", tag_field="kind"):
    """`[hardware] kind = "sim"`: no parts; changes go to the file `journal` and, with `terminal`, to stderr."""

    journal: Path | None = None
    terminal: bool = False


class Policy(_Table, frozen=True, kw_only=True):
    """`[policy]`: what this gate does until policies come signed from the hub.

    `enabled` and `closed` are the operator's and the authority's "nobody passes here"; `reuse_s` is how long a card
    counts as used; `keep_masked` lets records carry surname and digits; `light_ms` and `open_ms` are for one person.
    """

    version: Annotated[int, Meta(ge=0, le=INT64_MAX)] = 0
    enabled: bool = True
    closed: bool = False
    keep_masked: bool = False
    leeway_s: Annotated[int, Meta(ge=0, le=300)] = CODE_LEEWAY_S
    reuse_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    light_ms: Milliseconds = 3000
    open_ms: Milliseconds = 3000


class ClockConfig(_Table, frozen=True, kw_only=True):
    """`[clock]`: whose word is taken for the clock being set; `assume` is for machines without time service."""

    source: Literal["kernel", "assume"] = "kernel"


class DeviceConfig(_Table, frozen=True, kw_only=True):
    """The whole file. `device_id` is 16 hex digits; `state_dir` holds the spool and must survive a power cut."""

    device_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    place: Name
    gate: Name
    state_dir: Path
    keys: Keys
    trust: Trust
    broker: Broker
    camera: CameraConfig
    hardware: PiHardware | SimHardware
    direction: Literal["in", "out"] = "in"
    decoder: DecoderConfig = DecoderConfig()
    policy: Policy = Policy()
    clock: ClockConfig = ClockConfig()

    def __post_init__(self) -> None:
        """Refuse a camera whose first frame would end the process."""
        camera = self.camera
        if isinstance(camera, PiCameraConfig | PeopleCameraConfig):
            frame_px = camera.width_px * camera.height_px
            if frame_px > self.decoder.frame_px_max:
                raise ValueError(f"camera: {frame_px} px a frame, decoder.frame_px_max is {self.decoder.frame_px_max}")

    @property
    def device(self) -> bytes:
        """The device id, 8 bytes."""
        return bytes.fromhex(self.device_id)

    @property
    def spool(self) -> Path:
        """The spool's file."""
        return self.state_dir / "spool.db"


def load(path: Path) -> DeviceConfig:
    """The file `path` -> configuration.

    Raises:
        ConfigError: it cannot be read, is not TOML, or a key is unknown, missing or out of its range.
    """
    table = _toml(path)

    def resolve(kind: type, value: Any) -> Any:
        if kind is Path and isinstance(value, str):
            return path.parent / value
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")

    try:
        return msgspec.convert(table, DeviceConfig, dec_hook=resolve)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def load_wiring(path: Path) -> PiHardware | SimHardware:
    """What can be read of `[hardware]` in the file `path`, each key for itself, whatever else is wrong there.

    For `safe`, which must not drive a relay to the wrong level because of a slip elsewhere in the file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    table = _toml(path).get("hardware")
    given = table if isinstance(table, dict) else {}
    if given.get("kind") == "sim":
        return SimHardware()
    known: dict[str, Any] = {"kind": "pi"}
    for key, value in given.items():
        with suppress(msgspec.ValidationError):
            msgspec.convert({"kind": "pi", key: value}, PiHardware)
            known[key] = value
    return msgspec.convert(known, PiHardware)


def _toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
        if len(data) > FILE_LIMIT_BYTES:
            raise ConfigError(f"{path}: over {FILE_LIMIT_BYTES} bytes, no configuration is that long")
        return tomllib.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or an integer of more digits than Python reads.
        raise ConfigError(f"{path}: {error}") from error


def in_force(config: DeviceConfig) -> str:
    """Every setting with its value, defaults included, as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2).decode()
