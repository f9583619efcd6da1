"""The access list as text, and as a real Mosquitto enforces it."""

import asyncio
import datetime as dt
import random
import socket
import ssl
import threading

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.sandbox.broker import AllowedDevice, BrokerMissingError, access_list, configuration, find_mosquitto, prepare
from deploy.sandbox.pki import CertificateAuthority
from deploy.sandbox.ports import free_ports
from deploy.sandbox.process import Process

DEVICE, OTHER = bytes.fromhex("ab11223344556677"), bytes.fromhex("cd11223344556677")
DEVICES = [AllowedDevice(device_id=DEVICE, place="mall"), AllowedDevice(device_id=OTHER, place="station")]


def test_every_device_has_a_block_of_its_own_with_its_shard_and_place():
    blocks = access_list(DEVICES).split("\n\n")
    assert blocks[0] == "user hub\ntopic readwrite gatelight/1/#"
    assert blocks[1].splitlines() == [
        "user ab11223344556677",
        "topic readwrite gatelight/1/d/ab/ab11223344556677/#",
        "topic read gatelight/1/hub/#",
        "topic read gatelight/1/trust",
        "topic read gatelight/1/status/#",
        "topic readwrite gatelight/1/p/mall/used",
    ]
    assert "p/station/used" in blocks[2]


def test_the_configuration_allows_nobody_without_a_certificate(tmp_path):
    files = CertificateAuthority(tmp_path, name="ca", now=dt.datetime.now(dt.UTC)).server("broker")
    lines = configuration(port=1, certificates=files, acl=tmp_path / "acl", user="me").splitlines()
    for line in ("tls_version tlsv1.3", "require_certificate true", "allow_anonymous false", "persistence false"):
        assert line in lines


def test_a_machine_without_mosquitto_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    with pytest.raises(BrokerMissingError, match="apt-get install mosquitto"):
        find_mosquitto()


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
    (port,) = free_ports(1, rng=random.SystemRandom())
    command = prepare(tmp_path / "broker", port=port, certificates=ca.server("broker"), devices=DEVICES)
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


@pytest.mark.system
@pytest.mark.sockets
async def test_a_device_reaches_its_own_topics_and_no_others(mosquitto):
    port, ca, _ = mosquitto
    device = await asyncio.to_thread(Party, port, ca.client(DEVICE.hex()), DEVICE.hex())
    hub = await asyncio.to_thread(Party, port, ca.client("hub"), "hub")

    def story():
        own, others = f"gatelight/1/d/ab/{DEVICE.hex()}", f"gatelight/1/d/cd/{OTHER.hex()}"
        assert hub.subscribe("gatelight/1/d/+/+/checkins")
        assert device.publish(f"{own}/checkins")
        assert device.subscribe(f"{own}/receipts")
        for topic in ("hub/presence", "trust", "status/1/version", "p/mall/used"):
            assert device.subscribe(f"gatelight/1/{topic}")
        assert device.publish("gatelight/1/p/mall/used")
        for topic in (
            f"{others}/checkins",
            "gatelight/1/hub/presence",
            "gatelight/1/trust",
            "gatelight/1/p/station/used",
        ):
            device.publish(topic)
        device.subscribe(f"{others}/receipts")
        hub.publish(f"{others}/receipts")
        hub.publish(f"{own}/receipts")
        hub.publish(f"{own}/receipts", b"last")

    try:
        await asyncio.to_thread(story)
        for _ in range(250):
            if (f"gatelight/1/d/ab/{DEVICE.hex()}/receipts", b"last") in device.heard:
                break
            await asyncio.sleep(0.02)
        assert {topic for topic, _ in hub.heard} == {f"gatelight/1/d/ab/{DEVICE.hex()}/checkins"}
        assert {topic for topic, _ in device.heard} == {
            f"gatelight/1/d/ab/{DEVICE.hex()}/receipts",
            "gatelight/1/p/mall/used",
        }
    finally:
        device.close()
        hub.close()


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
