"""The contract of `Watchdog`, against real datagram sockets as systemd makes them."""

import os
import socket

import pytest

from device.hardware.pi.watchdog import STATUS_CHARS, SystemdWatchdog
from device.hardware.ports import HardwareError

pytestmark = pytest.mark.sockets


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """What systemd would receive, and the address it would put into NOTIFY_SOCKET."""
    name = f"gatelight-test-{os.getpid()}-{request.node.name}"
    address = str(tmp_path / "notify") if request.param == "path" else f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(2)
        yield listener, address


def test_says_what_systemd_understands(systemd):
    listener, address = systemd
    watchdog = SystemdWatchdog.from_environment({"NOTIFY_SOCKET": address})
    watchdog.ready()
    watchdog.feed()
    watchdog.status("gate north: green")
    assert [listener.recv(500) for _ in range(3)] == [
        b"READY=1",
        b"WATCHDOG=1",
        b"STATUS=gate north: green",
    ]
    watchdog.close()


def test_a_status_stays_one_short_line(systemd):
    listener, address = systemd
    watchdog = SystemdWatchdog(address=address)
    watchdog.status("fault\nWATCHDOG=1\n" + "x" * 999)
    message = listener.recv(2000)
    assert b"\n" not in message
    assert len(message) == len("STATUS=") + STATUS_CHARS
    watchdog.close()


def test_is_silent_without_systemd():
    watchdog = SystemdWatchdog.from_environment({})
    watchdog.ready()
    watchdog.feed()
    watchdog.status("alone")
    watchdog.close()


def test_says_when_nobody_listens(tmp_path):
    watchdog = SystemdWatchdog(address=str(tmp_path / "nobody"))
    with pytest.raises(HardwareError):
        watchdog.feed()
    watchdog.close()


def test_refuses_an_address_that_is_no_unix_socket():
    with pytest.raises(ValueError):
        SystemdWatchdog(address="vsock:2:1234")
