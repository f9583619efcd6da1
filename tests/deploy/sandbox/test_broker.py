"""The hub's access rules, as a real Mosquitto enforces them."""

import asyncio
import datetime as dt
import socket
import ssl
import threading

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.sandbox.broker import BrokerMissingError, configuration, find_mosquitto, find_plugin, prepare
from deploy.sandbox.pki import CertificateAuthority
from deploy.sandbox.ports import free_ports
from deploy.sandbox.process import Process
from hub.broker.access import CONTROL, RESPONSE, AccessControl

DEVICE, OTHER = bytes.fromhex("ab11223344556677"), bytes.fromhex("cd11223344556677")


def test_the_configuration_allows_nobody_without_a_certificate(tmp_path):
    files = CertificateAuthority(tmp_path, name="ca", now=dt.datetime.now(dt.UTC)).server("broker")
    lines = configuration(
        host="127.0.0.1", port=1, certificates=files, plugin=tmp_path / "p", security=tmp_path / "s", user="me"
    ).splitlines()
    for line in (
        "tls_version tlsv1.3",
        "require_certificate true",
        "allow_anonymous false",
        "use_username_as_clientid true",
    ):
        assert line in lines


def test_a_machine_without_mosquitto_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    with pytest.raises(BrokerMissingError, match="apt-get install mosquitto"):
        find_mosquitto()
    monkeypatch.setattr("deploy.sandbox.broker.LIBRARY_PLACES", ("/nowhere",))
    with pytest.raises(BrokerMissingError, match="comes with Debian's mosquitto"):
        find_plugin()


class Party:
    """One MQTT 5 client with a certificate; remembers what it heard and what the broker refused."""

    def __init__(self, port, files, name):
        self.heard, self.connected, self.refused = [], threading.Event(), []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.cert, files.key)
        self.client.tls_set_context(context)
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_message = lambda _c, _u, message: self.heard.append((message.topic, message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.connected.wait(5)

    def subscribe(self, topic):
        done, codes = threading.Event(), []

        def on_subscribe(_client, _user, _mid, reasons, _properties):
            codes.extend(reasons)
            done.set()

        self.client.on_subscribe = on_subscribe
        self.client.subscribe(topic, qos=1)
        assert done.wait(5)
        return not codes[0].is_failure

    def publish(self, topic, payload=b"x"):
        done, codes = threading.Event(), []

        def on_publish(_client, _user, _mid, reason, _properties):
            codes.append(reason)
            done.set()

        self.client.on_publish = on_publish
        self.client.publish(topic, payload, qos=1, properties=Properties(PacketTypes.PUBLISH))
        assert done.wait(5)
        return not codes[0].is_failure

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
async def mosquitto(tmp_path):
    now = dt.datetime.now(dt.UTC)
    ca = CertificateAuthority(tmp_path / "ca", name="site", now=now)
    stranger_ca = CertificateAuthority(tmp_path / "stranger", name="stranger", now=now)
    (port,) = free_ports(1)
    command = prepare(tmp_path / "broker", port=port, certificates=ca.server("broker"))
    broker = Process(name="broker", command=command, log_file=tmp_path / "log")
    broker.start()
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        await asyncio.sleep(0.02)
    yield port, ca, stranger_ca
    await broker.stop()
    assert broker.deaths == 0, broker.tail()


class Hub(Party):
    """The hub's connection with its access control."""

    def __init__(self, port, files):
        super().__init__(port, files, "hub")
        self.control = AccessControl(publish=self._tell)
        self.client.message_callback_add(RESPONSE, lambda _c, _u, message: self.control.take(message.payload))
        assert self.subscribe(RESPONSE)
        self.control.connected()

    def _tell(self, messages):
        return all(self.client.publish(CONTROL, message.payload, qos=1).rc == 0 for message in messages)

    async def allow(self, devices):
        self.control.want(devices)
        await until(lambda: self.control.settled)
        # The broker does what it is told in order: when it has answered this, it has done all before.
        self.control.connected()
        await until(lambda: self.control.settled)


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


@pytest.mark.system
@pytest.mark.sockets
async def test_a_device_reaches_its_own_topics_and_no_others(mosquitto):
    port, ca, _ = mosquitto
    hub = await asyncio.to_thread(Hub, port, ca.client("hub"))
    await hub.allow({DEVICE: "mall", OTHER: "station"})
    device = await asyncio.to_thread(Party, port, ca.client(DEVICE.hex()), DEVICE.hex())
    own, others = f"gatelight/1/d/ab/{DEVICE.hex()}", f"gatelight/1/d/cd/{OTHER.hex()}"

    def story():
        assert hub.subscribe("gatelight/1/d/+/+/checkins")
        assert device.publish(f"{own}/checkins")
        assert device.subscribe(f"{own}/receipts")
        for topic in ("hub/presence", "trust", "status/+/version", "status/1/snapshot", "p/mall/used"):
            assert device.subscribe(f"gatelight/1/{topic}")
        assert device.publish("gatelight/1/p/mall/used")
        for topic in (
            f"{others}/checkins",
            f"{own}/policy",
            f"{own}/receipts",
            "gatelight/1/hub/presence",
            "gatelight/1/trust",
            "gatelight/1/status/1/delta",
            "gatelight/1/p/station/used",
            CONTROL,
        ):
            assert not device.publish(topic)
        for topic in (f"{others}/receipts", "gatelight/1/#", "gatelight/1/d/+/+/checkins", RESPONSE, "#"):
            assert not device.subscribe(topic)
        hub.publish(f"{others}/receipts")
        hub.publish(f"{own}/receipts")
        hub.publish(f"{own}/receipts", b"last")

    try:
        await asyncio.to_thread(story)
        await until(lambda: (f"{own}/receipts", b"last") in device.heard)
        assert {topic for topic, _ in hub.heard} == {f"{own}/checkins"}
        assert {topic for topic, _ in device.heard} == {f"{own}/receipts", "gatelight/1/p/mall/used"}
    finally:
        device.close()
        hub.close()


@pytest.mark.system
@pytest.mark.sockets
async def test_a_revoked_device_is_cut_off_and_its_certificate_opens_nothing_any_more(mosquitto):
    port, ca, _ = mosquitto
    hub = await asyncio.to_thread(Hub, port, ca.client("hub"))
    await hub.allow({DEVICE: "mall"})
    files = ca.client(DEVICE.hex())
    device = await asyncio.to_thread(Party, port, files, DEVICE.hex())
    ended = threading.Event()
    device.client.on_disconnect = lambda *_: ended.set()
    own = f"gatelight/1/d/ab/{DEVICE.hex()}"
    again = None
    try:
        assert await asyncio.to_thread(device.publish, f"{own}/checkins")
        await hub.allow({})
        assert await asyncio.to_thread(ended.wait, 5), "the open connection lives on"
        device.close()
        again = await asyncio.to_thread(Party, port, files, DEVICE.hex())
        assert not await asyncio.to_thread(again.publish, f"{own}/checkins")
        assert not await asyncio.to_thread(again.subscribe, f"{own}/receipts")
    finally:
        device.close()
        if again is not None:
            again.close()
        hub.close()


@pytest.mark.system
@pytest.mark.sockets
async def test_a_device_cannot_take_anothers_connection_over_by_its_client_id(mosquitto):
    port, ca, _ = mosquitto
    hub = await asyncio.to_thread(Hub, port, ca.client("hub"))
    await hub.allow({DEVICE: "mall", OTHER: "mall"})
    victim = await asyncio.to_thread(Party, port, ca.client(DEVICE.hex()), DEVICE.hex())
    ended = threading.Event()
    victim.client.on_disconnect = lambda *_: ended.set()
    thief = await asyncio.to_thread(Party, port, ca.client(OTHER.hex()), DEVICE.hex())
    try:
        assert not await asyncio.to_thread(thief.publish, f"gatelight/1/d/ab/{DEVICE.hex()}/checkins")
        assert await asyncio.to_thread(victim.publish, f"gatelight/1/d/ab/{DEVICE.hex()}/checkins")
        assert not ended.is_set()
    finally:
        for party in (victim, thief, hub):
            party.close()


@pytest.mark.system
@pytest.mark.sockets
async def test_strangers_and_old_tls_get_no_connection(mosquitto):
    port, ca, stranger_ca = mosquitto

    def handshake(context):
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            # With TLS 1.3 the server's refusal comes with the first read.
            tls.sendall(b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x02me")
            return tls.recv(4)

    trusting = ssl.create_default_context(cafile=str(ca.certificate_file))
    old = ssl.create_default_context(cafile=str(ca.certificate_file))
    files = ca.client("hub")
    old.load_cert_chain(files.cert, files.key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    foreign = ssl.create_default_context(cafile=str(ca.certificate_file))
    files = stranger_ca.client("hub")
    foreign.load_cert_chain(files.cert, files.key)
    for context in (trusting, old, foreign):
        with pytest.raises(OSError):
            await asyncio.to_thread(handshake, context)
