"""What `device.toml` says of the machine itself: camera, pins, key store, state; not where it stands."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from device.tomlfile import Table
from protocol.limits import CODE_LEEWAY_S

Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
PictureSide = Annotated[int, Meta(ge=64, le=4096)]
FramesPerSecond = Annotated[float, Meta(gt=0, le=240)]
HeaderPin = Annotated[int, Meta(ge=2, le=27)]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
TokenLabel = Annotated[str, Meta(min_length=1, max_length=32)]


class PiCameraConfig(Table, frozen=True, kw_only=True, tag="pi", tag_field="kind"):
    """`[camera] kind = "pi"`: a Raspberry Pi camera by picamera2; None leaves a setting to the camera."""

    width_px: PictureSide = 640
    height_px: PictureSide = 480
    fps: FramesPerSecond = 30.0
    exposure_us: Annotated[int, Meta(ge=10, le=1_000_000)] | None = 2500
    gain: Annotated[float, Meta(ge=1, le=64)] | None = None
    focus_dioptre: Annotated[float, Meta(ge=0, le=32)] | None = None
    index: Annotated[int, Meta(ge=0, le=7)] = 0


class PeopleCameraConfig(Table, frozen=True, kw_only=True, tag="people", tag_field="kind"):
    """`[camera] kind = "people"`: rendered people who show what comes in over the Unix socket `socket`."""

    socket: Path
    width_px: PictureSide = 640
    height_px: PictureSide = 480
    fps: FramesPerSecond = 20.0
    seed: int = 0


class PicturesCameraConfig(Table, frozen=True, kw_only=True, tag="pictures", tag_field="kind"):
    """`[camera] kind = "pictures"`: picture files, or those of a folder, `frames_each` frames each."""

    path: Path
    frames_each: Annotated[int, Meta(ge=1, le=1000)] = 4
    fps: FramesPerSecond = 20.0
    loop: bool = False


class VideoCameraConfig(Table, frozen=True, kw_only=True, tag="video", tag_field="kind"):
    """`[camera] kind = "video"`: a film at its own rate."""

    path: Path
    loop: bool = False


CameraConfig = PiCameraConfig | PeopleCameraConfig | PicturesCameraConfig | VideoCameraConfig


class DecoderConfig(Table, frozen=True, kw_only=True):
    """`[decoder]`: zxing reads 98 of 100 typical frames in a tenth of the time in which pyzbar reads 80."""

    engine: Literal["zxing", "pyzbar"] = "zxing"
    frame_px_max: Annotated[int, Meta(ge=64 * 64, le=4096 * 4096)] = 1456 * 1088


class PiHardware(Table, frozen=True, kw_only=True, tag="pi", tag_field="kind"):
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


class SimHardware(Table, frozen=True, kw_only=True, tag="sim", tag_field="kind"):
    """`[hardware] kind = "sim"`: no parts; changes go to the file `journal` and, with `terminal`, to stderr."""

    journal: Path | None = None
    terminal: bool = False


class Policy(Table, frozen=True, kw_only=True):
    """`[policy]`: what this gate does until policies come signed from the hub.

    `enabled` and `closed` are the operator's and the authority's "nobody passes here"; `reuse_s` is how long a card
    counts as used; `keep_masked` lets records carry surname and digits; `light_ms` and `open_ms` are for one person.
    """

    enabled: bool = True
    closed: bool = False
    keep_masked: bool = False
    leeway_s: Annotated[int, Meta(ge=0, le=300)] = CODE_LEEWAY_S
    reuse_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    light_ms: Milliseconds = 3000
    open_ms: Milliseconds = 3000


class ClockConfig(Table, frozen=True, kw_only=True):
    """`[clock]`: whose word is taken for the clock being set; `assume` is for machines without time service."""

    source: Literal["kernel", "assume"] = "kernel"


class FileKeys(Table, frozen=True, kw_only=True, tag="file", tag_field="kind"):
    """`[keystore] kind = "file"`: private keys as files of mode 600 below `state_dir`."""


class Pkcs11Keys(Table, frozen=True, kw_only=True, tag="pkcs11", tag_field="kind"):
    """`[keystore] kind = "pkcs11"`: a token behind the library `module`; `pin_file` holds its PIN."""

    module: Path
    token_label: TokenLabel
    pin_file: Path


class TpmKeys(Table, frozen=True, kw_only=True, tag="tpm", tag_field="kind"):
    """`[keystore] kind = "tpm"`: a TPM 2.0, reached as `tcti` says, by the library `module` (tpm2-pkcs11).

    `store` is the folder of the library's database, outside `state_dir`: a wipe must erase the keys and not the token.
    """

    store: Path
    pin_file: Path
    token_label: TokenLabel = "gatelight"  # noqa: S105 - a name, not a secret
    tcti: Label = "device:/dev/tpmrm0"
    module: Label = "libtpm2_pkcs11.so.1"


KeyStoreConfig = FileKeys | Pkcs11Keys | TpmKeys


class NoThermometer(Table, frozen=True, kw_only=True, tag="none", tag_field="kind"):
    """`[thermometer] kind = "none"`."""


class Mlx90614Thermometer(Table, frozen=True, kw_only=True, tag="mlx90614", tag_field="kind"):
    """`[thermometer] kind = "mlx90614"`: an infrared thermometer on the I2C bus."""

    bus: Annotated[int, Meta(ge=0, le=32)] = 1
    address: Annotated[int, Meta(ge=0x08, le=0x77)] = 0x5A


class SimThermometer(Table, frozen=True, kw_only=True, tag="sim", tag_field="kind"):
    """`[thermometer] kind = "sim"`: everybody is as warm as `reading_cc` says, in 0.01 degrees Celsius."""

    reading_cc: Annotated[int, Meta(ge=-4000, le=12_500)] = 3650


ThermometerConfig = NoThermometer | Mlx90614Thermometer | SimThermometer


class NoScreen(Table, frozen=True, kw_only=True, tag="none", tag_field="kind"):
    """`[screen] kind = "none"`."""


class OledScreenConfig(Table, frozen=True, kw_only=True, tag="oled", tag_field="kind"):
    """`[screen] kind = "oled"`: 128 x 64 points on the I2C bus; `font` has Chinese letters."""

    chip: Literal["ssd1306", "sh1106"] = "ssd1306"
    bus: Annotated[int, Meta(ge=0, le=32)] = 1
    address: Annotated[int, Meta(ge=0x08, le=0x77)] = 0x3C
    font: Path = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


class SimScreen(Table, frozen=True, kw_only=True, tag="sim", tag_field="kind"):
    """`[screen] kind = "sim"`: what it would show goes to the simulated hardware's journal."""


ScreenConfig = NoScreen | OledScreenConfig | SimScreen

Language = Literal["zh", "en"]


class NoVoice(Table, frozen=True, kw_only=True, tag="none", tag_field="kind"):
    """`[voice] kind = "none"`."""


class AlsaVoiceConfig(Table, frozen=True, kw_only=True, tag="alsa", tag_field="kind"):
    """`[voice] kind = "alsa"`: files of `folder`, in `languages` one after the other, by ALSA's output `device`."""

    folder: Path
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=2)] = ("zh", "en")
    device: Label = "default"


class SimVoice(Table, frozen=True, kw_only=True, tag="sim", tag_field="kind"):
    """`[voice] kind = "sim"`: what it would say goes to the simulated hardware's journal."""


VoiceConfig = NoVoice | AlsaVoiceConfig | SimVoice


class EnrolmentConfig(Table, frozen=True, kw_only=True):
    """`[enrolment]`: `boot_file` is read by an un-enrolled device at its start; `network` joins what a code names."""

    boot_file: Path = Path("/boot/firmware/enrol.json")
    network: Literal["networkmanager", "none"] = "none"


class UpdateConfig(Table, frozen=True, kw_only=True):
    """`[update]`: this machine takes releases that the hub has it fetch; without the table it takes none.

    `root` is where trust in the publisher begins (TUF's `root.json`), `platform` which bundles run here. The slots lie
    in `firmware_dir`. A release must be well within `trial_s` of its start; fetching it may take `fetch_s`.
    """

    root: Path
    platform: Literal["bookworm-aarch64", "trixie-aarch64", "sandbox"]
    firmware_dir: Path = Path("/var/lib/gatelight-firmware")
    trial_s: Annotated[int, Meta(ge=1, le=1800)] = 180
    fetch_s: Annotated[int, Meta(ge=1, le=3600)] = 1800


class MachineConfig(Table, frozen=True, kw_only=True):
    """What stands in `device.toml` of the machine.

    `state_dir` holds the spool and what enrolment wrote; it must survive a power cut. `serial` and `model` are what
    the machine calls itself when it enrols; without them it looks for itself.
    """

    state_dir: Path
    camera: CameraConfig
    hardware: PiHardware | SimHardware
    decoder: DecoderConfig = DecoderConfig()
    policy: Policy = Policy()
    clock: ClockConfig = ClockConfig()
    keystore: KeyStoreConfig = FileKeys()
    thermometer: ThermometerConfig = NoThermometer()
    screen: ScreenConfig = NoScreen()
    voice: VoiceConfig = NoVoice()
    enrolment: EnrolmentConfig = EnrolmentConfig()
    update: UpdateConfig | None = None
    serial: Label | None = None
    model: Label | None = None

    def __post_init__(self) -> None:
        """Refuse a camera whose first frame would end the process, and a token that a wipe would make useless."""
        camera = self.camera
        if isinstance(camera, PiCameraConfig | PeopleCameraConfig):
            frame_px = camera.width_px * camera.height_px
            if frame_px > self.decoder.frame_px_max:
                raise ValueError(f"camera: {frame_px} px a frame, decoder.frame_px_max is {self.decoder.frame_px_max}")
        if not isinstance(self.keystore, FileKeys):
            outside = [self.keystore.pin_file]
            if isinstance(self.keystore, TpmKeys):
                outside.append(self.keystore.store)
            for path in outside:
                if path.is_relative_to(self.state_dir):
                    raise ValueError(f"keystore: {path} lies in state_dir, which a wipe empties")
        if self.update is not None and self.update.firmware_dir.is_relative_to(self.state_dir):
            raise ValueError(f"update: {self.update.firmware_dir} lies in state_dir, which a wipe empties")

    @property
    def spool(self) -> Path:
        """The spool's file."""
        return self.state_dir / "spool.db"
