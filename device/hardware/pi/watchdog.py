"""systemd's notification socket: READY, WATCHDOG, STATUS (sd_notify(3)). Silent where systemd is not."""

import os
import socket
from collections.abc import Mapping

from device.hardware.ports import HardwareError

SEND_TIMEOUT_S = 1.0
"""systemd empties the socket at once; a longer wait would itself be a lack of progress."""

STATUS_CHARS = 200
"""One line of `systemctl status`."""


class SystemdWatchdog:
    """`Watchdog` on the datagram socket `address` ("@" = abstract); does nothing when it is None.

    Raises:
        ValueError: the address is neither a path nor an abstract name.
    """

    def __init__(self, *, address: str | None) -> None:
        self._socket: socket.socket | None = None
        if not address:
            return
        if address[0] not in "/@":
            raise ValueError(f"NOTIFY_SOCKET is neither a path nor an abstract name: {address}")
        self._address = "\0" + address[1:] if address[0] == "@" else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SEND_TIMEOUT_S)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "SystemdWatchdog":
        """The watchdog that systemd asks for in NOTIFY_SOCKET; a silent one when it asks for none."""
        return cls(address=environ.get("NOTIFY_SOCKET"))

    def ready(self) -> None:
        """As `Watchdog.ready`."""
        self._send("READY=1")

    def feed(self) -> None:
        """As `Watchdog.feed`."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """As `Watchdog.status`; line breaks become spaces, so that a text cannot carry a second field."""
        self._send(f"STATUS={' '.join(text.split())[:STATUS_CHARS]}")

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as error:
            # Unsaid progress ends in a restart anyway; ending here says why.
            raise HardwareError(f"systemd did not take {message.partition('=')[0]}") from error
