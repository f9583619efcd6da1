"""Drives relay, lights and buzzer off from a fresh process: `gatelight-device safe`, for `ExecStopPost=`.

Why it is needed: a process that dies by SIGKILL, or by the watchdog's SIGABRT, runs no clean-up. The kernel releases
its lines, and what releasing means differs. Mainline Linux turns them into inputs. Raspberry Pi's kernels keep
outputs as they are (`pinctrl_bcm2835.persist_gpio_outputs=1`, or no `dtparam=strict_gpiod`): the relay then stays
energised for ever. So this claims each line as an output at its off level, which stops it on both. The lines are not
given back; the kernel does that at exit. Where outputs persist they stay driven off; elsewhere they become inputs.

Why it is written so: an energised relay is an open gate, and every import makes it open for longer. This module
imports six small modules of Python's own, none of the product's, and asks the kernel itself (GPIO uAPI v2,
`linux/gpio.h`, since Linux 5.10): on an emulated Pi the relay is off half a second after a death, and was after six.

The gate leaves behind how it is wired (`RUNTIME_DIRECTORY` of its unit), which is quicker to read than TOML, and true
even if the file was changed since. Without that, and whatever is wrong with the configuration, the relay is driven to a
level: by each key of `[hardware]` that can be read, and by the defaults of `device.machinefile.PiHardware` for others.
"""

import fcntl
import os
import struct
import sys

CONFIG = "/etc/gatelight/device.toml"
_FILE_BYTES = 64 * 1024
_LAST_PIN = 27
_LEFT = "off"
"""A line for each output: its BCM number, and the level that switches it off; the relay first."""

DEFAULTS = {"relay": 26, "red": 5, "green": 6, "blue": 13, "buzzer": 12}
"""As `PiHardware` has them; a test compares."""

CHIPS = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")
"""What drives the header of a Pi 0 to 3, a Pi 4, and a Pi 5."""

_INFO = struct.Struct("32s32sI")
"""`struct gpiochip_info`: name, label, lines."""
_GET_INFO = 0x8044B401
_REQUEST = struct.Struct("=256s32s" + "Q I20x" + "IIQ Q" + "216x" + "II20xi")
"""`struct gpio_v2_line_request` for one line: offsets, consumer; flags, one attribute (its id, padding, the level, and
which lines it is for), room for nine more; number of lines, size of the event buffer; the handle.
"""
_GET_LINE = 0xC250B407
_OUTPUT = 1 << 3
_ATTRIBUTE_VALUES = 2


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class NoGpioError(Exception):
    """This machine has no header, or nobody may open it."""


def main(arguments: list[str]) -> int:
    """0: everything is off, or there is nothing to switch; 1: some lines could not be driven, and it was said which."""
    path = arguments[1] if arguments[:1] == ["--config"] and len(arguments) > 1 else CONFIG
    lines = left_behind() or off_levels(_hardware(path))
    if not lines:
        return 0
    try:
        chip = open_header()
    except NoGpioError as error:
        _say(f"NoGpioError: {error}")
        return 1
    failed = drive_off(lines, chip=chip)
    for failure in failed:
        _say(failure)
    return 1 if failed else 0


def leave(lines: "Iterable[tuple[int, int]]") -> None:
    """Write down for `safe` what a gate is wired to, where its unit has a folder for that.

    Raises:
        OSError: it cannot be written.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY")
    if folder:
        with open(f"{folder}/{_LEFT}", "w", encoding="ascii") as file:  # noqa: PTH123 - as everywhere here
            file.write("".join(f"{pin} {level}\n" for pin, level in lines))


def left_behind() -> list[tuple[int, int]]:
    """What the gate that ended was wired to; nothing where that cannot be told."""
    try:
        with open(f"{os.environ['RUNTIME_DIRECTORY']}/{_LEFT}", encoding="ascii") as file:  # noqa: PTH123 - as above
            words = [line.split() for line in file.read(_FILE_BYTES).splitlines()]
        lines = [(int(pin), int(level)) for pin, level in words]
    except (KeyError, OSError, ValueError):
        return []
    return lines if all(0 <= pin <= _LAST_PIN and level in {0, 1} for pin, level in lines) else []


def off_levels(table: dict[str, object]) -> list[tuple[int, int]]:
    """`[hardware]` -> each output line with the level (0 or 1) that switches its part off; the relay first.

    Empty for simulated parts. Where two parts are said to share a line, something is wrong: only the relay is driven.
    """
    if table.get("kind") == "sim":
        return []
    relay_off = _flag(table, "relay_active_high")
    lamp_off = _flag(table, "lights_active_high")
    off = {"relay": relay_off, "red": lamp_off, "green": lamp_off, "blue": lamp_off, "buzzer": 0}
    lines = [(_pin(table, name), level) for name, level in off.items()]
    if len({pin for pin, _ in lines}) < len(lines):
        _say("two parts on one line; driving the relay only")
        return lines[:1]
    return lines


def drive_off(lines: list[tuple[int, int]], *, chip: int) -> list[str]:
    """Claim each line at its level, in this order, each whatever became of the others; what failed, in sentences."""
    failed = []
    for pin, level in lines:
        try:
            claim(chip, pin, level)
        except OSError as error:
            failed.append(f"BCM {pin} could not be driven off: {error.strerror}")
    return failed


def claim(chip: int, pin: int, level: int) -> None:
    """Make a line an output at `level`, in one step, for as long as this process lives.

    Raises:
        OSError: it is somebody else's, or there is none.
    """
    request = bytearray(
        _REQUEST.pack(struct.pack("=I", pin), b"gatelight-safe", _OUTPUT, 1, _ATTRIBUTE_VALUES, 0, level, 1, 1, 0, 0)
    )
    fcntl.ioctl(chip, _GET_LINE, request)


def open_header() -> int:
    """The chip whose lines are on the 40-pin header.

    Raises:
        NoGpioError: there is none, or it may not be opened.
    """
    refused = ""
    for name in sorted(os.listdir("/dev")):  # noqa: PTH208 - importing pathlib takes an emulated Pi a tenth of a second
        if not name.startswith("gpiochip"):
            continue
        try:
            chip = os.open(f"/dev/{name}", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            refused = f"; {name}: {error.strerror}"
            continue
        info = bytearray(_INFO.size)
        fcntl.ioctl(chip, _GET_INFO, info)
        label = bytes(_INFO.unpack(info)[1]).rstrip(b"\0").decode("ascii", "replace")
        if label in CHIPS:
            return chip
        os.close(chip)
    raise NoGpioError(f"no GPIO header{refused}")


def _hardware(path: str) -> dict[str, object]:
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            table = tomllib.loads(file.read(_FILE_BYTES).decode()).get("hardware")
    except (OSError, ValueError, RecursionError) as error:
        _say(f"{path}: {error}; taking the default pins")
        return {}
    return table if isinstance(table, dict) else {}


def _pin(table: dict[str, object], name: str) -> int:
    value = table.get(name)
    return value if type(value) is int and 2 <= value <= _LAST_PIN else DEFAULTS[name]


def _flag(table: dict[str, object], name: str) -> int:
    """The level that is off: 0 for what is active high, as everything is unless it is said otherwise."""
    return int(table.get(name) is False)


def _say(sentence: str) -> None:
    sys.stderr.write(f"gatelight-device: {sentence}\n")
