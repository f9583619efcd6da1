"""The board itself: how warm it is, whether its supply holds, what room its disk has. Read from where Linux tells them.

Any machine has a disk; most have a temperature; a supply that is watched only a Raspberry Pi has (its firmware's
`rpi_volt` sensor, Linux `drivers/hwmon/raspberrypi-hwmon.c`). What a machine does not tell is None.
"""

import os
from pathlib import Path
from typing import Final

from protocol.health import Supply

_SYS: Final = Path("/sys/class")
_SENSOR: Final = "rpi_volt"
_MIB: Final = 1024 * 1024
_WARMEST_CC: Final = 15_000
"""150 °C: silicon that still answers is colder. Beyond, the file means something else."""


class Board:
    """For the threads of one gate; remembers that the supply was low once.

    Args:
        disk: a directory on the disk that the spool lies on.
        tree: where Linux shows its devices.
    """

    def __init__(self, *, disk: Path, tree: Path = _SYS) -> None:
        self._disk = disk
        self._temperature = tree / "thermal" / "thermal_zone0" / "temp"
        self._alarm = _alarm(tree / "hwmon")
        self._was_low = False

    def temperature_cc(self) -> int | None:
        """In 0.01 °C."""
        millidegrees = _number(self._temperature)
        if millidegrees is None or abs(millidegrees // 10) > _WARMEST_CC:
            return None
        return millidegrees // 10

    def supply(self) -> Supply | None:
        """Whether it is or was under its voltage since this process began. The kernel itself looks every 2 s."""
        low = None if self._alarm is None else _number(self._alarm)
        if low is None:
            return None
        self._was_low = self._was_low or low != 0
        return Supply.LOW if low else Supply.WAS_LOW if self._was_low else Supply.GOOD

    def disk_mib(self) -> tuple[int, int] | None:
        """What may still be written, and what there is in all."""
        try:
            found = os.statvfs(self._disk)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize // _MIB, found.f_blocks * found.f_frsize // _MIB


def _alarm(sensors: Path) -> Path | None:
    try:
        found = sorted(sensors.iterdir())
    except OSError:
        return None
    for sensor in found:
        try:
            if (sensor / "name").read_text(encoding="ascii").strip() == _SENSOR:
                return sensor / "in0_lcrit_alarm"
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
