"""A device that makes check-ins, a spool on a real disk, and a real broker with a hub in a few lines behind it."""

import datetime as dt
import ipaddress
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from device.model import Draft
from device.send.seal import seal
from device.send.spool import Spool
from protocol import topics
from protocol.checkin import Evidence, decode_message, parse_checkin
from protocol.keys import Ed25519SigningKey
from protocol.presence import DevicePresence, HubPresence, decode_device_presence, encode_hub_presence
from protocol.reasons import Reason
from protocol.receipt import Receipt, seal_receipt
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

DEVICE = bytes.fromhex("a1b2c3d4e5f60718")
EPOCH = b"epoch-01"
NOW_MS = 1_790_000_000_000

Build = Callable[[bytes, int, bytes], bytes]


@pytest.fixture(scope="session")
def device() -> bytes:
    return DEVICE


@pytest.fixture(scope="session")
def device_key() -> Ed25519SigningKey:
    return Ed25519SigningKey(bytes(range(32)))


@pytest.fixture(scope="session")
def draft() -> Draft:
    return Draft(
        at_ms=NOW_MS,
        clock=Clock.TRUSTED,
        place="mall",
        gate="north-1",
        direction=Direction.IN,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        reason=Reason.OK,
        code=b"c" * 16,
        scheme=Scheme.GATELIGHT,
        subject=b"s" * 48,
        masked=None,
        evidence=Evidence(),
    )


@pytest.fixture(scope="session")
def build(draft: Draft, device_key: Ed25519SigningKey) -> Build:
    def build(epoch: bytes, seq: int, prev: bytes) -> bytes:
        return seal(draft, device=DEVICE, epoch=epoch, seq=seq, prev=prev, key=device_key)

    return build


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def open_spool(path: Path) -> Iterator[Callable[..., Spool]]:
    """Opens (and closes at the end) the spool at `path`; called again, it opens it again."""
    opened: list[Spool] = []

    def open_spool(new_epoch: bytes = EPOCH, *, at: Path = path, reserve_bytes: int = 64 * 1024) -> Spool:
        for spool in opened:
            spool.close()
        opened.clear()
        spool = Spool.open(at, new_epoch=new_epoch, now_ms=NOW_MS, reserve_bytes=reserve_bytes)
        opened.append(spool)
        return spool

    yield open_spool
    for spool in opened:
        spool.close()


@dataclass(frozen=True)
class Site:
    """A broker over TLS 1.3 that lets in only who has a certificate of its authority."""

    port: int
    folder: Path
    start: Callable[[], None]
    kill: Callable[[], None]
    freeze: Callable[[], None]

    def pem(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


def _issue(folder: Path, name: str, authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None):
    """Writes `<name>.pem` and `<name>.key`: an authority where none is given, else a certificate by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority[0].subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=2))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    certificate = builder.sign(authority[1] if authority else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = _issue(folder, "ca", None)
    for name in ("broker", "hub", DEVICE.hex()):
        _issue(folder, name, authority)
    _issue(folder, "stranger-ca", None)
    return folder


@pytest.fixture
def site(certificates: Path, tmp_path: Path) -> Iterator[Site]:
    """A running Mosquitto, which can be killed and started again on the same port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    acl, config = tmp_path / "acl", tmp_path / "mosquitto.conf"
    acl.write_text(
        "user hub\ntopic readwrite gatelight/1/#\n"
        "pattern readwrite gatelight/1/d/+/%u/#\npattern read gatelight/1/hub/presence\n"
        "pattern read gatelight/1/p/#\n"
    )
    config.write_text(
        f"listener {port} 127.0.0.1\nuser root\nallow_anonymous false\npersistence false\nlog_dest stderr\n"
        f"cafile {certificates / 'ca.pem'}\ncertfile {certificates / 'broker.pem'}\n"
        f"keyfile {certificates / 'broker.key'}\nrequire_certificate true\nuse_identity_as_username true\n"
        f"tls_version tlsv1.3\nacl_file {acl}\n"
    )
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with (tmp_path / "mosquitto.log").open("ab") as log:
            running.append(subprocess.Popen(["/usr/sbin/mosquitto", "-c", config], stderr=log))
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.02)
        pytest.fail(f"mosquitto did not start: {(tmp_path / 'mosquitto.log').read_text()}")

    def kill() -> None:
        broker = running.pop()
        broker.kill()
        broker.wait()

    def freeze() -> None:
        running[0].send_signal(signal.SIGSTOP)

    start()
    yield Site(port=port, folder=certificates, start=start, kill=kill, freeze=freeze)
    if running:
        kill()


class ScriptedHub:
    """As much of a hub as a device can see: presence with a session, storing in order, signed receipts."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.key = Ed25519SigningKey(b"hub " * 8)
        self.stored: dict[tuple[bytes, int], bytes] = {}
        self.messages: list[list[bytes]] = []
        self.presences: list[DevicePresence] = []
        self.health: list[bytes] = []
        self.results: list[bytes] = []
        self.silent = False
        self.heads: dict[bytes, tuple[int, bytes]] = {}
        self._client: mqtt.Client | None = None

    def start(self) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "hub", protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        cert, key = self.site.pem("hub")
        client.tls_set(str(self.site.folder / "ca.pem"), str(cert), str(key))
        session = os.urandom(8)
        gone = encode_hub_presence(HubPresence(session=session, online=False, at_ms=NOW_MS))
        client.will_set(topics.HUB_PRESENCE, gone, qos=1, retain=True)
        client.on_message = self._on_message
        subscribed = threading.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", self.site.port, clean_start=True)
        client.loop_start()
        filters = (topics.CHECKINS_FILTER, topics.PRESENCE_FILTER, topics.HEALTH_FILTER, topics.RESULTS_FILTER)
        client.subscribe([(name, 1) for name in filters])
        assert subscribed.wait(5)
        here = encode_hub_presence(HubPresence(session=session, online=True, at_ms=NOW_MS))
        client.publish(topics.HUB_PRESENCE, here, qos=1, retain=True)
        self._client = client

    def stop(self) -> None:
        """Goes without a word: the broker says its will."""
        if self._client is not None:
            with suppress(OSError, AttributeError):
                self._client.socket().shutdown(socket.SHUT_RDWR)
            self._client.loop_stop()
            self._client = None

    def say(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def receipt(self, *, epoch: bytes, seq: int, digest: bytes, device: bytes = DEVICE, key=None) -> bytes:
        return seal_receipt(
            Receipt(device=device, epoch=epoch, seq=seq, hash=digest, at_ms=NOW_MS), key=key or self.key
        )

    def _on_message(self, _client, _userdata, message) -> None:
        device, leaf = topics.parse_device_topic(message.topic)
        if leaf == "presence":
            self.presences.append(decode_device_presence(message.payload))
        elif leaf == "health":
            self.health.append(message.payload)
        elif leaf == "results":
            self.results.append(message.payload)
        elif leaf == "checkins":
            checkins = decode_message(message.payload)
            self.messages.append(checkins)
            if self.silent:
                return
            for data in checkins:
                self._store(parse_checkin(data))
            epoch = parse_checkin(checkins[0]).checkin.epoch
            seq, digest = self.heads.get(epoch, (0, bytes(32)))
            self.say(topics.receipts(device), self.receipt(epoch=epoch, seq=seq, digest=digest))

    def _store(self, sealed) -> None:
        epoch = sealed.checkin.epoch
        seq, digest = self.heads.get(epoch, (0, bytes(32)))
        if sealed.checkin.seq == seq + 1:
            assert sealed.checkin.prev == digest
            self.stored[epoch, sealed.checkin.seq] = sealed.data
            self.heads[epoch] = (sealed.checkin.seq, sealed.hash)


@pytest.fixture
def hub(site: Site) -> Iterator[ScriptedHub]:
    """A hub that is not started yet."""
    hub = ScriptedHub(site)
    yield hub
    hub.stop()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Waits until something is true, for at most some seconds."""

    def eventually(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
        end = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > end:
                pytest.fail("it did not happen in time")
            time.sleep(0.005)

    return eventually
