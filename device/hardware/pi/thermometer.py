"""The infrared thermometer MLX90614 on an I2C bus.

One measurement is an SMBus "read word" of the register TOBJ1: the object's temperature in steps of 0.02 K, low byte
first, then a check byte (PEC) over the whole exchange, both address bytes included. A set top bit is the sensor's own
error flag. (Melexis, MLX90614 datasheet, "SMBus compatible 2-wire protocol".)
"""

import contextlib
from typing import Any

from device.hardware.ports import HardwareError

TOBJ1 = 0x07
"""RAM address 0x07, which as a command is the same byte."""

RAW_LEAST, RAW_MOST = 0x27AD, 0x7FFF
"""-70.01 and 382.19 °C: what the sensor can measure. Above it the top bit is set, and that is its error flag."""

TRIES = 2
"""A byte spoilt on a long wire is read again once, which costs a millisecond; a sensor that is gone stays gone."""

_POLYNOMIAL = 0x07
_ZERO_CELSIUS_CC = 27_315


class Mlx90614:
    """`Thermometer` on smbus2. `bus` is the number of /dev/i2c-N, `address` the sensor's: 0x5A as it is sold.

    Raises:
        HardwareError: smbus2 is not installed, or this machine has no such bus.
    """

    def __init__(self, *, bus: int = 1, address: int = 0x5A) -> None:
        try:
            from smbus2 import SMBus, i2c_msg
        except ImportError as error:
            raise HardwareError("smbus2 is not installed") from error
        self._message: Any = i2c_msg
        self._address = address
        self._bus: Any = None
        try:
            self._bus = SMBus(bus)
        except OSError as error:
            raise HardwareError(f"I2C bus {bus} cannot be opened: {error}") from error

    def read(self) -> int:
        """As `Thermometer.read`."""
        failure = HardwareError("the thermometer was shut down")
        for _ in range(TRIES if self._bus is not None else 0):
            try:
                return temperature_cc(self._word(), address=self._address)
            except OSError as error:
                failure = HardwareError(f"no thermometer answers at {self._address:#04x}: {error}")
            except HardwareError as error:
                failure = error
        raise failure

    def shutdown(self) -> None:
        """As `Thermometer.shutdown`."""
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(OSError):
                bus.close()

    def _word(self) -> bytes:
        """Low byte, high byte, PEC. Both messages go as one exchange: without a stop between them."""
        command = self._message.write(self._address, [TOBJ1])
        answer = self._message.read(self._address, 3)
        self._bus.i2c_rdwr(command, answer)
        return bytes(answer)


def temperature_cc(answer: bytes, *, address: int) -> int:
    """The three bytes of an answer -> 0.01 °C.

    Raises:
        HardwareError: spoilt on the way, marked as an error by the sensor, or nothing that it can measure.
    """
    if pec(bytes([address << 1, TOBJ1, address << 1 | 1]) + answer[:2]) != answer[2]:
        raise HardwareError("the thermometer's answer was spoilt on the bus")
    raw = int.from_bytes(answer[:2], "little")
    if not RAW_LEAST <= raw <= RAW_MOST:
        raise HardwareError(f"the thermometer says {raw:#06x}, which is no temperature")
    return raw * 2 - _ZERO_CELSIUS_CC


def pec(data: bytes) -> int:
    """SMBus packet error code: CRC-8 with x^8 + x^2 + x + 1, from zero, not reflected."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL) & 0xFF if crc & 0x80 else crc << 1
    return crc
