"""Joins a wireless network through NetworkManager's D-Bus interface: values all the way, no command and no shell.

The connection has one id for all time, so that joining another network replaces it and a wipe finds it. Its
password lies with NetworkManager, in a file that only root reads.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from jeepney import DBusAddress, DBusErrorResponse, MessageType, Properties, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from device.enrol.errors import JoinError

CONNECTION_UUID: Final = "6c1cc7a4-6f0a-5d0e-9d0c-3b1e6a3f6a57"
CONNECTION_ID: Final = "gatelight"

SSID_BYTES = 32
"""IEEE 802.11 §9.4.2.2."""

PSK_CHARS = (8, 63)
"""A WPA passphrase, printable ASCII (IEEE 802.11 §J.4); 64 hex digits are a key instead of a passphrase."""

SEEN_S = 15.0
"""A radio that was just switched on needs some seconds for its first scan; a hidden network is never seen."""

UP_S = 45.0
"""Association, four-way handshake and DHCP together take 5 to 20 s; NetworkManager itself gives up after 45 s."""

_CALL_S = 5.0
_POLL_S = 0.5
_WIFI = 2
_ACTIVATED, _DEACTIVATED = 2, 4

_NAME = "org.freedesktop.NetworkManager"
_MANAGER = DBusAddress("/org/freedesktop/NetworkManager", bus_name=_NAME, interface=_NAME)
_SETTINGS = DBusAddress("/org/freedesktop/NetworkManager/Settings", bus_name=_NAME, interface=f"{_NAME}.Settings")


class NetworkManager:
    """A machine's NetworkManager, reached anew for each thing that is asked.

    Args:
        bus: `SYSTEM`, or the address of a bus.
        sleep: waits between two looks.
        mono_s: the monotonic clock.
        seen_s: how long the network is looked for before it is taken for a hidden one.
        up_s: how long the connection may take.
    """

    def __init__(
        self,
        *,
        bus: str = "SYSTEM",
        sleep: Callable[[float], object] = time.sleep,
        mono_s: Callable[[], float] = time.monotonic,
        seen_s: float = SEEN_S,
        up_s: float = UP_S,
    ) -> None:
        self._bus = bus
        self._sleep = sleep
        self._mono_s = mono_s
        self._seen_s = seen_s
        self._up_s = up_s

    def join(self, ssid: str, psk: str) -> None:
        """As `Network.join`."""
        settings = wifi_settings(ssid, psk)
        with self._open() as bus:
            radio = _radio(bus)
            self._forget(bus)
            point = self._seen(bus, radio, ssid.encode())
            if point is None:
                settings["802-11-wireless"]["hidden"] = ("b", True)
            connection = _call(bus, _SETTINGS, "AddConnection", "a{sa{sv}}", settings)
            try:
                active = _call(bus, _MANAGER, "ActivateConnection", "ooo", connection, radio, point or "/")
                self._await_up(bus, active)
            except JoinError:
                # A wrong password must not be tried for ever.
                self._forget(bus)
                raise

    def leave(self) -> None:
        """As `Network.leave`."""
        with self._open() as bus:
            self._forget(bus)

    def _open(self) -> DBusConnection:
        try:
            return open_dbus_connection(bus=self._bus)
        except (OSError, ValueError, KeyError, RuntimeError, DBusErrorResponse) as error:
            raise JoinError(f"no D-Bus: {error}") from error

    def _forget(self, bus: DBusConnection) -> None:
        for path in _call(bus, _SETTINGS, "ListConnections", None):
            known = DBusAddress(path, bus_name=_NAME, interface=f"{_NAME}.Settings.Connection")
            about = _call(bus, known, "GetSettings", None).get("connection", {})
            if about.get("uuid", ("s", ""))[1] == CONNECTION_UUID:
                _call(bus, known, "Delete", None)

    def _seen(self, bus: DBusConnection, radio: str, ssid: bytes) -> str | None:
        """The strongest access point of the network; None if there is none to be seen."""
        wireless = DBusAddress(radio, bus_name=_NAME, interface=f"{_NAME}.Device.Wireless")
        end_s = self._mono_s() + self._seen_s
        while True:
            found: list[tuple[int, str]] = []
            for path in _call(bus, wireless, "GetAllAccessPoints", None):
                point = DBusAddress(path, bus_name=_NAME, interface=f"{_NAME}.AccessPoint")
                if bytes(_get(bus, point, "Ssid")) == ssid:
                    found.append((_get(bus, point, "Strength"), path))
            if found:
                return max(found)[1]
            if self._mono_s() >= end_s:
                return None
            self._sleep(_POLL_S)

    def _await_up(self, bus: DBusConnection, active: str) -> None:
        connection = DBusAddress(active, bus_name=_NAME, interface=f"{_NAME}.Connection.Active")
        end_s = self._mono_s() + self._up_s
        while True:
            try:
                state = _get(bus, connection, "State")
            except JoinError as error:
                # NetworkManager removes what has failed.
                raise JoinError("the network refused, most likely the password") from error
            if state == _ACTIVATED:
                return
            if state == _DEACTIVATED:
                raise JoinError("the network refused, most likely the password")
            if self._mono_s() >= end_s:
                raise JoinError(f"the network was not up after {self._up_s:.0f} s")
            self._sleep(_POLL_S)


def wifi_settings(ssid: str, psk: str) -> dict[str, dict[str, tuple[str, Any]]]:
    """Name and password -> a connection as NetworkManager takes it.

    Raises:
        JoinError: no name or password that a network can have.
    """
    name = ssid.encode()
    if not 1 <= len(name) <= SSID_BYTES or b"\x00" in name:
        raise JoinError(f"a network's name has 1 to {SSID_BYTES} bytes, this one {len(name)}")
    least, most = PSK_CHARS
    if not ((least <= len(psk) <= most and psk.isascii() and psk.isprintable()) or _is_raw_key(psk)):
        raise JoinError(f"a network's password has {least} to {most} printable ASCII characters, or 64 hex digits")
    return {
        "connection": {
            "type": ("s", "802-11-wireless"),
            "id": ("s", CONNECTION_ID),
            "uuid": ("s", CONNECTION_UUID),
        },
        "802-11-wireless": {"ssid": ("ay", name), "mode": ("s", "infrastructure")},
        "802-11-wireless-security": {"key-mgmt": ("s", "wpa-psk"), "psk": ("s", psk)},
        "ipv4": {"method": ("s", "auto")},
        "ipv6": {"method": ("s", "auto")},
    }


def _is_raw_key(psk: str) -> bool:
    return len(psk) == 64 and all(character in "0123456789abcdefABCDEF" for character in psk)


def _radio(bus: DBusConnection) -> str:
    for path in _call(bus, _MANAGER, "GetDevices", None):
        device = DBusAddress(path, bus_name=_NAME, interface=f"{_NAME}.Device")
        if _get(bus, device, "DeviceType") == _WIFI:
            return str(path)
    raise JoinError("this machine has no wireless radio that NetworkManager knows")


def _get(bus: DBusConnection, at: DBusAddress, name: str) -> Any:
    return _reply(bus, Properties(at).get(name))[0][1]


def _call(bus: DBusConnection, at: DBusAddress, method: str, signature: str | None, *values: object) -> Any:
    body = _reply(bus, new_method_call(at, method, signature, values))
    return body[0] if body else None


def _reply(bus: DBusConnection, message: Any) -> Any:
    try:
        reply = bus.send_and_get_reply(message, timeout=_CALL_S)
    except (OSError, EOFError) as error:  # A time-out is an OSError as well.
        raise JoinError(f"NetworkManager does not answer: {error}") from error
    if reply.header.message_type is MessageType.error:
        problem = DBusErrorResponse(reply)
        raise JoinError(f"NetworkManager: {problem.name}: {problem.data}")
    return reply.body
