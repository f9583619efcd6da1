"""The shipped broker configuration: what it says, that the sandbox says the same, and what a real Mosquitto makes of it."""

import asyncio
import datetime as dt
import json
import os
import pwd
import re
import socket
import ssl

import pytest

from deploy.hub.broker import SHIPPED, SITE, directives, site_configuration
from deploy.sandbox import broker as sandbox
from deploy.sandbox.people import crowd_of
from deploy.sandbox.pki import CertificateAuthority, CertificateFiles
from deploy.sandbox.ports import free_ports
from deploy.sandbox.process import Process
from deploy.sandbox.site import Site
from hub.broker.access import initial_security
from hub.broker.link import KEEP_ALIVE_S
from protocol.limits import MESSAGE_BYTES, STATUS_LIST_BYTES

DEVICE = bytes.fromhex("ab11223344556677")
TOPIC_BYTES = 4096


@pytest.fixture(scope="module")
def text():
    return SHIPPED.read_text()


def as_this_user(text, *, port, folder, certificates):
    """The shipped file, with the lines of a site on this machine."""
    security = folder / "dynamic-security.json"
    security.write_text(json.dumps(initial_security({DEVICE: "mall"})))
    values = {
        "listener": f"{port} 127.0.0.1",
        "cafile": str(certificates.ca),
        "certfile": str(certificates.cert),
        "keyfile": str(certificates.key),
        "plugin_opt_config_file": str(security),
        "user": pwd.getpwuid(os.geteuid()).pw_name,
    }
    path = folder / "mosquitto.conf"
    path.write_text(site_configuration(text, values))
    return path


def test_it_lets_nobody_in_without_a_certificate_over_anything_but_tls_1_3(text):
    said = dict(directives(text))
    assert (said["tls_version"], said["require_certificate"], said["allow_anonymous"]) == ("tlsv1.3", "true", "false")
    assert (said["use_identity_as_username"], said["use_username_as_clientid"]) == ("true", "true")
    names = [name for name, _ in directives(text)]
    assert names.count("listener") == 1, "no second way in"
    assert said["listener"] == "8883 127.0.0.1", "as shipped, for this machine alone"
    assert not {"port", "bind_address", "include_dir", "bridge_cafile", "connection", "psk_file"} & set(names)


def test_its_limits_are_the_protocols(text):
    said = dict(directives(text))
    assert int(said["max_packet_size"]) == STATUS_LIST_BYTES + TOPIC_BYTES
    assert int(said["max_packet_size"]) > MESSAGE_BYTES + TOPIC_BYTES
    assert int(said["max_keepalive"]) >= 2 * KEEP_ALIVE_S
    assert said["persistence"] == "false"


def test_each_line_has_its_reason(text):
    """A comment above it, or above the lines of the same kind."""
    blocks = [block for block in re.split(r"\n\n+|\n(?=#)", text) if not block.startswith("# ---")]
    commented = "\n".join(block for block in blocks if block.lstrip().startswith("#"))
    bare = {name for name, _ in directives(text)} - {name for name, _ in directives(commented)}
    assert bare == {"per_listener_settings"}


def test_the_sandbox_says_the_same(text, tmp_path):
    files = CertificateFiles(ca=tmp_path / "ca", cert=tmp_path / "crt", key=tmp_path / "key")
    ours = sandbox.configuration(
        host="127.0.0.1", port=1, certificates=files, plugin=tmp_path / "p", security=tmp_path / "s", user="me"
    )
    shipped = directives(text)
    for name, value in directives(ours):
        assert name in SITE or (name, value) in shipped, name
    assert {name for name, _ in directives(ours)} >= SITE


def test_only_a_sites_lines_can_be_changed(text):
    changed = site_configuration(text, {"listener": "8883 10.20.0.5", "user": "me"})
    was, now = directives(text), directives(changed)
    assert [pair for pair in now if pair not in was] == [("listener", "8883 10.20.0.5"), ("user", "me")]
    assert len(was) == len(now)
    for values in ({"tls_version": "tlsv1.2"}, {"nothing": "1"}):
        with pytest.raises(ValueError, match="no line of a site's"):
            site_configuration(text, values)
    with pytest.raises(ValueError, match="no line of a site's"):
        site_configuration(text.replace("\ncafile ", "\n#cafile "), {"cafile": "x"})


class Wire:
    """MQTT by hand: what is asked is exactly what is written here."""

    def __init__(self, port, *, ca, files=None, most=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(ca))
        context.maximum_version = most
        if files is not None:
            context.load_cert_chain(files.cert, files.key)
        raw = socket.create_connection(("127.0.0.1", port), 10)
        try:
            self.raw = context.wrap_socket(raw, server_hostname="localhost")
        except OSError:
            raw.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()

    def connect(self, name, *, keep_alive_s=60):
        # MQTT 5.0 §3.1: clean start, no properties.
        body = b"\0\4MQTT\5\2" + keep_alive_s.to_bytes(2, "big") + b"\0" + len(name).to_bytes(2, "big") + name.encode()
        return self.ask(0x10, body)

    def publish(self, topic, *, payload=b"x"):
        # Its answer's reason code is 0 or 16 where it was taken (§3.4.2.1); left out where there is nothing to say.
        body = len(topic).to_bytes(2, "big") + topic.encode() + b"\0\1\0" + payload
        kind, answer = self.ask(0x32, body)
        assert kind == 0x40, answer
        return (answer[2] if len(answer) > 2 else 0) < 0x80

    def ask(self, kind, body):
        length, rest = b"", len(body)
        while True:
            rest, low = rest >> 7, rest & 0x7F
            length += bytes([low | (0x80 if rest else 0)])
            if not rest:
                break
        self.raw.sendall(bytes([kind]) + length + body)
        head = self.raw.recv(2)
        if len(head) < 2:
            raise ConnectionResetError("closed")
        data = b""
        while len(data) < head[1]:
            data += self.raw.recv(head[1] - len(data))
        return head[0], data


@pytest.fixture
async def real(tmp_path, text):
    """A Mosquitto that runs the shipped file: (port, the site's authority, a stranger's)."""
    now = dt.datetime.now(dt.UTC)
    ca = CertificateAuthority(tmp_path / "ca", name="site", now=now)
    stranger = CertificateAuthority(tmp_path / "stranger", name="stranger", now=now)
    (port,) = free_ports(1)
    path = as_this_user(text, port=port, folder=tmp_path, certificates=ca.server("broker"))
    process = Process(
        name="broker", command=[sandbox.find_mosquitto(), "-c", str(path)], log_file=tmp_path / "mosquitto.log"
    )
    process.start()
    async with asyncio.timeout(20):
        while not listens(port):
            assert not process.deaths, process.tail()
            await asyncio.sleep(0.02)
    yield port, ca, stranger
    await process.stop()
    assert process.deaths == 0, process.tail()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.sockets
async def test_a_device_writes_its_own_topics_and_no_others(real):
    port, ca, _ = real
    own = f"gatelight/1/d/{DEVICE.hex()[:2]}/{DEVICE.hex()}"
    with Wire(port, ca=ca.certificate_file, files=ca.client(DEVICE.hex())) as wire:
        kind, answer = wire.connect(DEVICE.hex())
        assert (kind, answer[1]) == (0x20, 0)
        assert wire.publish(f"{own}/checkins")
        assert wire.publish(f"{own}/health", payload=bytes(MESSAGE_BYTES))
        for topic in (f"{own}/policy", "gatelight/1/trust", "gatelight/1/d/cd/cd11223344556677/checkins", "$CONTROL/x"):
            assert not wire.publish(topic), topic


@pytest.mark.sockets
async def test_whom_the_registry_does_not_know_may_write_nothing(real):
    port, ca, _ = real
    with Wire(port, ca=ca.certificate_file, files=ca.client("cd11223344556677")) as wire:
        assert wire.connect("cd11223344556677")[1][1] == 0, "its certificate is good"
        assert not wire.publish("gatelight/1/d/cd/cd11223344556677/checkins")


@pytest.mark.sockets
async def test_strangers_and_old_tls_get_no_connection(real):
    port, ca, stranger = real
    known, foreign = ca.client("hub"), stranger.client("hub")

    def come(files, most):
        # With TLS 1.3 the server's refusal comes with the first reading.
        with Wire(port, ca=ca.certificate_file, files=files, most=most) as wire:
            return wire.connect("hub")

    for files, most in (
        (None, ssl.TLSVersion.TLSv1_3),
        (foreign, ssl.TLSVersion.TLSv1_3),
        (known, ssl.TLSVersion.TLSv1_2),
    ):
        with pytest.raises(OSError):
            come(files, most)
    with Wire(port, ca=ca.certificate_file, files=known) as wire:
        assert wire.connect("hub")[1][1] == 0
        assert wire.raw.version() == "TLSv1.3"


@pytest.mark.sockets
async def test_what_is_too_long_ends_the_connection_and_long_silences_are_shortened(real, text):
    port, ca, _ = real
    said = dict(directives(text))
    with Wire(port, ca=ca.certificate_file, files=ca.client(DEVICE.hex())) as wire:
        _, answer = wire.connect(DEVICE.hex(), keep_alive_s=60_000)
        # CONNACK's properties (§3.2.2.3): 0x13 server keep alive, 0x27 maximum packet size, 0x24 maximum QoS.
        assert b"\x13" + int(said["max_keepalive"]).to_bytes(2, "big") in answer
        assert b"\x27" + int(said["max_packet_size"]).to_bytes(4, "big") in answer
        assert b"\x24\1" in answer
        # Head, length, topic, packet id and properties take ten bytes, of which Mosquitto does not count the first four.
        longest = int(said["max_packet_size"]) - 10
        assert wire.ask(0x32, b"\0\1x\0\1\0" + bytes(longest))[0] == 0x40
        try:
            kind, answer = wire.ask(0x32, b"\0\1x\0\1\0" + bytes(longest + 5))
        except OSError:
            # It may be gone before its last word is read.
            return
        # DISCONNECT: packet too large (§3.14.2.1).
        assert (kind, answer[0]) == (0xE0, 0x95)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.sockets
async def test_a_whole_site_runs_on_the_shipped_file(tmp_path, text, monkeypatch):
    def shipped(*, host, port, certificates, plugin, security, user):
        values = {
            "listener": f"{port} {host}",
            "cafile": str(certificates.ca),
            "certfile": str(certificates.cert),
            "keyfile": str(certificates.key),
            "plugin_opt_config_file": str(security),
            "user": user,
        }
        return site_configuration(text, values)

    monkeypatch.setattr(sandbox, "configuration", shipped)
    async with Site(tmp_path / "site", gates=1) as site:
        assert "max_qos 1" in (tmp_path / "site" / "broker" / "mosquitto.conf").read_text()
        await site.crowd(crowd_of(6, seed=3)).run()
        assert await site.wait_settled(timeout_s=60)
        proof = await site.proof()
        assert site.broker.deaths == 0
    assert proof.holds, proof.problems
    assert proof.sealed > 0
