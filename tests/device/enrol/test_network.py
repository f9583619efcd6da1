"""Joining networks, on a private bus with the NetworkManager of python-dbusmock (Debian: dbus, python3-dbusmock)."""

import os
import shutil
import subprocess
import time

import pytest
from jeepney import DBusAddress, DBusErrorResponse, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

from device.enrol.errors import JoinError
from device.enrol.network import CONNECTION_UUID, NetworkManager, wifi_settings

NM = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop/NetworkManager"
MOCK = "org.freedesktop.DBus.Mock"
PASSWORD = "eight-or-more"


def test_a_network_is_described_by_values():
    settings = wifi_settings("商场", PASSWORD)
    assert settings["802-11-wireless"]["ssid"] == ("ay", "商场".encode())
    assert settings["802-11-wireless-security"] == {"key-mgmt": ("s", "wpa-psk"), "psk": ("s", PASSWORD)}
    assert settings["connection"]["uuid"] == ("s", CONNECTION_UUID)


@pytest.mark.parametrize("ssid", ["", "x" * 33, "商" * 11, "a\x00b"])
def test_a_name_that_no_network_has_is_refused(ssid):
    with pytest.raises(JoinError, match="name has 1 to 32 bytes"):
        wifi_settings(ssid, PASSWORD)


@pytest.mark.parametrize("psk", ["", "seven77", "x" * 64, "g" * 64, "passwörter", "tab\tinside", "x" * 65])
def test_a_password_that_no_network_has_is_refused(psk):
    with pytest.raises(JoinError, match="password has 8 to 63") as raised:
        wifi_settings("guests", psk)
    assert not psk or psk not in str(raised.value)


@pytest.mark.parametrize("psk", ["x" * 8, "x" * 63, "0aF1" * 16, "with spaces; $(rm -rf /) 'and' \"quotes\""])
def test_everything_else_is_a_password(psk):
    assert wifi_settings("a; reboot", psk)["802-11-wireless-security"]["psk"] == ("s", psk)


@pytest.mark.parametrize("bus", ["unix:path=/nowhere/bus", "tcp:host=localhost,port=1", "nonsense"])
def test_without_a_bus_nothing_can_be_joined(bus):
    with pytest.raises(JoinError, match="no D-Bus"):
        NetworkManager(bus=bus).join("guests", PASSWORD)
    with pytest.raises(JoinError, match="no D-Bus"):
        NetworkManager(bus=bus).leave()


class Mocked:
    """A private bus with a mocked NetworkManager on it."""

    def __init__(self, address):
        self.address = address
        self.bus = open_dbus_connection(bus=address)

    def call(self, path, interface, method, signature=None, *values, name=NM):
        reply = self.bus.send_and_get_reply(
            new_method_call(DBusAddress(path, bus_name=name, interface=interface), method, signature, values), timeout=5
        )
        if reply.header.message_type is MessageType.error:
            raise DBusErrorResponse(reply)
        return reply.body[0] if reply.body else None

    def manager(self, **changes):
        now = iter(range(10**6))
        given = {"sleep": lambda _: None, "mono_s": lambda: float(next(now)), "seen_s": 3, "up_s": 5}
        return NetworkManager(bus=self.address, **{**given, **changes})

    def add_radio(self):
        return self.call(ROOT, MOCK, "AddWiFiDevice", "ssi", "radio0", "wlan0", 30)

    def add_point(self, radio, name, ssid, strength):
        values = (radio, name, ssid, "00:23:F8:7E:12:BB", 2, 2425, 5400, strength, 0x100)
        return self.call(ROOT, MOCK, "AddAccessPoint", "ssssuuuyu", *values)

    def connections(self):
        paths = self.call(f"{ROOT}/Settings", f"{NM}.Settings", "ListConnections")
        return [self.call(path, f"{NM}.Settings.Connection", "GetSettings") for path in paths]

    def active(self):
        """(uuid, access point) of each active connection."""

        def get(path, interface, name):
            return self.call(path, "org.freedesktop.DBus.Properties", "Get", "ss", interface, name)[1]

        return [
            (get(path, f"{NM}.Connection.Active", "Uuid"), get(path, f"{NM}.Connection.Active", "SpecificObject"))
            for path in get(ROOT, NM, "ActiveConnections")
        ]

    def activate_to(self, state):
        """From now on every connection gets no further than this state; None: it is gone at once."""
        path = f"{ROOT}/ActiveConnection/stuck"
        if state is not None:
            properties = {"State": ("u", state)}
            self.call(ROOT, MOCK, "AddObject", "ssa{sv}a(ssss)", path, f"{NM}.Connection.Active", properties, [])
        code = f'ret = dbus.ObjectPath("{path}")'
        self.call(ROOT, MOCK, "AddMethod", "sssss", NM, "ActivateConnection", "ooo", "o", code)


@pytest.fixture
def mocked(tmp_path):
    python = "/usr/bin/python3"  # Where Debian's python3-dbusmock is installed.
    if shutil.which("dbus-daemon") is None or subprocess.run([python, "-c", "import dbusmock"], check=False).returncode:
        pytest.skip("dbus and python3-dbusmock are not installed")
    address = f"unix:path={tmp_path}/bus"
    started = []
    try:
        daemon = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", address, "--print-address=1"]
        started.append(subprocess.Popen(daemon, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        assert started[0].stdout.readline().startswith(b"unix:")
        started.append(
            subprocess.Popen(
                [python, "-m", "dbusmock", "--template", "networkmanager"],
                env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address, "DBUS_SESSION_BUS_ADDRESS": address},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        there = Mocked(address)
        end_s = time.monotonic() + 20
        while not there.call(
            "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", NM, name="org.freedesktop.DBus"
        ):
            assert time.monotonic() < end_s, "the mock did not start"
            time.sleep(0.05)
        there.call(ROOT, "org.freedesktop.DBus.Peer", "Ping")
        yield there
        there.bus.close()
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.mark.slow
def test_the_strongest_point_of_the_network_is_joined(mocked):
    radio = mocked.add_radio()
    mocked.add_point(radio, "other", "others", 90)
    mocked.add_point(radio, "weak", "商场", 20)
    best = mocked.add_point(radio, "best", "商场", 70)
    mocked.manager().join("商场", PASSWORD)
    assert mocked.active() == [(CONNECTION_UUID, best)]
    (settings,) = mocked.connections()
    assert bytes(settings["802-11-wireless"]["ssid"][1]) == "商场".encode()
    assert settings["802-11-wireless-security"]["psk"] == ("s", PASSWORD)


@pytest.mark.slow
def test_another_network_takes_the_place_of_the_first_and_a_wipe_removes_it(mocked):
    radio = mocked.add_radio()
    mocked.add_point(radio, "a", "first", 50)
    mocked.add_point(radio, "b", "second", 50)
    strange = {"connection": {"type": ("s", "802-3-ethernet"), "id": ("s", "cable"), "uuid": ("s", "1")}}
    mocked.call(f"{ROOT}/Settings", f"{NM}.Settings", "AddConnection", "a{sa{sv}}", strange)
    manager = mocked.manager()
    manager.join("first", PASSWORD)
    manager.join("second", PASSWORD)
    assert len(mocked.connections()) == 2
    manager.leave()
    assert [known["connection"]["id"] for known in mocked.connections()] == [("s", "cable")], "strangers' stay"
    manager.leave()


@pytest.mark.slow
def test_a_network_that_is_not_seen_may_be_a_hidden_one(mocked):
    mocked.add_radio()
    mocked.manager().join("hidden", PASSWORD)
    (settings,) = mocked.connections()
    assert settings["802-11-wireless"]["hidden"] == ("b", True)
    assert mocked.active() == [(CONNECTION_UUID, "/")]


@pytest.mark.slow
def test_without_a_radio_nothing_is_joined(mocked):
    with pytest.raises(JoinError, match="no wireless radio"):
        mocked.manager().join("guests", PASSWORD)
    assert mocked.connections() == []


@pytest.mark.slow
@pytest.mark.parametrize(("state", "what"), [(1, "not up after 5 s"), (4, "password"), (None, "password")])
def test_a_network_that_does_not_come_up_is_forgotten(mocked, state, what):
    radio = mocked.add_radio()
    mocked.add_point(radio, "a", "guests", 50)
    mocked.activate_to(state)
    with pytest.raises(JoinError, match=what) as raised:
        mocked.manager().join("guests", PASSWORD)
    assert PASSWORD not in str(raised.value)
    assert mocked.connections() == []
