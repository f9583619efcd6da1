"""A thermometer that says what it was told."""

from device.hardware.ports import HardwareError


class SimThermometer:
    """`Thermometer` without a sensor: everybody has `reading_cc` (0.01 °C) until `set` says otherwise."""

    def __init__(self, *, reading_cc: int = 3650) -> None:
        self._reading_cc: int | None = reading_cc
        self._shut_down = False

    def set(self, reading_cc: int | None) -> None:
        """The temperature of whoever comes next; None for a sensor that does not answer. From any thread."""
        self._reading_cc = reading_cc

    def read(self) -> int:
        """As `Thermometer.read`."""
        reading_cc = self._reading_cc
        if self._shut_down:
            raise HardwareError("the thermometer was shut down")
        if reading_cc is None:
            raise HardwareError("no thermometer answers")
        return reading_cc

    def shutdown(self) -> None:
        """As `Thermometer.shutdown`."""
        self._shut_down = True
