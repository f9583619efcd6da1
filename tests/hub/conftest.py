"""A gate with real keys, in memory, and a store that follows the ingest port and can be made to fail."""

import asyncio
import dataclasses
import datetime as dt
import hashlib
import inspect
import ipaddress
import queue
import shutil
import socket
import ssl
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hub.model import Device, DeviceState, EvidenceCount, Head
from hub.registry.authority import create_authority, load_authority
from hub.store.enrol_ports import StoredKey
from hub.store.errors import HeadConflictError, StoreWriteError
from protocol.checkin import GENESIS, CheckIn, encode_message, hash_of, seal_checkin
from protocol.enrolment import EnrolmentRequest, RenewalRequest, seal_renewal, seal_request
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.presence import DevicePresence, decode_hub_presence, encode_device_presence
from protocol.reasons import Reason
from protocol.receipt import open_receipt
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict


class SimulatedGate:
    """A gate that seals and remembers everything it ever made; `chain[0]` has seq 1."""

    def __init__(self, name: str, *, epoch: str = "first", place: str = "mall", gate: str = "north"):
        self.key = Ed25519SigningKey(hashlib.sha256(name.encode()).digest())
        self.device = hashlib.sha256(name.encode()).digest()[:8]
        self.epoch = hashlib.sha256(f"{name}/{epoch}".encode()).digest()[:8]
        self.place, self.gate = place, gate
        self.chain: list[bytes] = []

    def make(self, n: int = 1, **changes) -> list[bytes]:
        made = []
        for _ in range(n):
            seq = len(self.chain) + 1
            draft = CheckIn(
                device=self.device,
                epoch=self.epoch,
                seq=seq,
                prev=hash_of(self.chain[-1]) if self.chain else GENESIS,
                at_ms=1_700_000_000_000 + 1000 * seq,
                clock=Clock.TRUSTED,
                place=self.place,
                gate=self.gate,
                direction=Direction.IN,
                colour=Colour.GREEN,
                verdict=Verdict.ADMIT,
                reason=Reason.OK,
                code=hashlib.sha256(bytes([seq % 256])).digest()[:16],
                scheme=Scheme.GATELIGHT,
                subject=bytes(48),
            )
            data = seal_checkin(dataclasses.replace(draft, **changes), key=self.key)
            self.chain.append(data)
            made.append(data)
        return made

    def copy(self) -> "SimulatedGate":
        """The card was copied: the same key and epoch, two futures."""
        twin = SimulatedGate("twin", place=self.place, gate=self.gate)
        twin.key, twin.device, twin.epoch = self.key, self.device, self.epoch
        twin.chain = list(self.chain)
        return twin

    def message(self, first: int, last: int) -> bytes:
        return encode_message(self.chain[first - 1 : last])

    def topic(self, leaf: str = "checkins") -> str:
        text = self.device.hex()
        return f"gatelight/1/d/{text[:2]}/{text}/{leaf}"

    def presence(self, oldest_seq: int, *, online: bool = True) -> bytes:
        return encode_device_presence(
            DevicePresence(
                session=bytes(8),
                online=online,
                epoch=self.epoch,
                oldest_seq=oldest_seq,
                newest_seq=max(len(self.chain), oldest_seq - 1),
                firmware="1",
                trust_version=0,
                policy_version=0,
            )
        )

    def registered(self, state: DeviceState = DeviceState.ACTIVE) -> Device:
        return Device(
            device_id=self.device,
            place_id="mall",
            gate_id="north",
            direction=None,
            name="",
            cose_key=encode_key(self.key.public),
            kid=self.key.public.kid,
            state=state,
            reason="",
            added_ms=0,
            changed_ms=0,
        )


class MemoryStore:
    """IngestStore and the registry's reading half, without a disk. `failures`: how many calls fail next."""

    def __init__(self):
        self.rows = []
        self.heads_by_spool: dict[tuple[bytes, bytes], Head] = {}
        self.registered: dict[bytes, Device] = {}
        self.later_keys: list[StoredKey] = []
        self.ended: dict[bytes, int] = {}
        self.counts, self.quarantine, self.gaps, self.commits = [], [], [], []
        self.version = 1
        self.failures = 0
        self.lookups = 0

    def _maybe_fail(self):
        if self.failures:
            self.failures -= 1
            raise StoreWriteError("the disk is full")

    async def heads(self):
        return tuple(self.heads_by_spool.values())

    async def gaps_of_all(self):
        return tuple(self.gaps)

    async def commit(self, commit):
        self._maybe_fail()
        for change in commit.heads:
            stored = self.heads_by_spool.get((change.device_id, change.epoch))
            if (stored.seq if stored else 0) != change.was_seq:
                raise HeadConflictError("a head is elsewhere")
        for change in commit.heads:
            self.heads_by_spool[change.device_id, change.epoch] = Head(
                device_id=change.device_id,
                epoch=change.epoch,
                seq=change.seq,
                hash=change.hash,
                updated_ms=commit.received_ms,
            )
        spools = {(change.device_id, change.epoch) for change in commit.heads}
        assert {(row.checkin.device, row.checkin.epoch) for row in commit.rows} <= spools
        self.rows.extend(commit.rows)
        self.counts.extend(commit.counts)
        self.quarantine.extend(entry for entry in commit.quarantine if entry not in self.quarantine)
        self.gaps.extend(commit.gaps)
        for change in commit.device_changes:
            device = self.registered[change.device_id]
            self.registered[change.device_id] = dataclasses.replace(device, state=change.state, reason=change.reason)
        self.commits.append(commit)

    async def find_hash(self, device_id, epoch, seq):
        self._maybe_fail()
        self.lookups += 1
        for row in self.rows:
            if (row.checkin.device, row.checkin.epoch, row.checkin.seq) == (device_id, epoch, seq):
                return row.hash
        return None

    async def find_sealed(self, device_id, epoch, seq):
        self._maybe_fail()
        for row in self.rows:
            if (row.checkin.device, row.checkin.epoch, row.checkin.seq) == (device_id, epoch, seq):
                return row.data
        return None

    async def evidence(self, device_id):
        self._maybe_fail()
        return EvidenceCount(
            quarantined=sum(entry.device_id == device_id for entry in self.quarantine),
            gaps=sum(gap.device_id == device_id for gap in self.gaps),
        )

    async def registry_version(self):
        return self.version

    async def devices(self):
        return tuple(self.registered.values())

    async def device_keys(self, device_id=None):
        first = (
            StoredKey(kid=device.kid, device_id=device.device_id, cose_key=device.cose_key, from_ms=device.added_ms)
            for device in self.registered.values()
        )
        return tuple(
            dataclasses.replace(key, until_ms=self.ended.get(key.kid))
            for key in (*first, *self.later_keys)
            if device_id in {None, key.device_id}
        )

    async def end_older_keys(self, device_id, *, kid, audit):
        self._maybe_fail()
        for key in await self.device_keys():
            if key.device_id == device_id and key.kid != kid:
                self.ended[key.kid] = audit.at_ms
        self.version += 1

    def register(self, gate: SimulatedGate, state: DeviceState = DeviceState.ACTIVE) -> None:
        self.registered[gate.device] = gate.registered(state)
        self.version += 1

    def stored(self, gate: SimulatedGate) -> list[bytes]:
        return [row.data for row in self.rows if row.checkin.epoch == gate.epoch]


class Newcomer:
    """A device from the box: it has made its two keys and scanned a token."""

    def __init__(self, name: str, *, token: bytes = bytes(16)):
        self.key = Ed25519SigningKey(hashlib.sha256(b"newcomer" + name.encode()).digest())
        self.tls_key = ec.generate_private_key(ec.SECP256R1())
        self.token = token
        self.labels = {"serial": f"SN-{name}", "model": "pi-5", "firmware": "0.3.0"}

    def csr(self, *, common_name: str = "newcomer", key=None) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return builder.sign(key or self.tls_key, digest).public_bytes(Encoding.DER)

    def request(self, **changes) -> bytes:
        values = {"token": self.token, "csr": self.csr(), "key": self.key.public} | self.labels | changes
        return seal_request(EnrolmentRequest(**values), key=self.key)

    def renewal(self, device: bytes, *, csr=None, new_key=None, key=None) -> bytes:
        request = RenewalRequest(
            device=device,
            csr=csr or self.csr(),
            new_key=None if new_key is None else new_key.public,
            at_ms=1_790_000_000_000,
        )
        return seal_renewal(request, key=key or self.key, new_key=new_key)


class CertificateAuthority:
    """A certificate authority in a directory: `ca.pem`, and `NAME.pem` with `NAME.key` for whom it is asked."""

    def __init__(self, directory):
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
        self._write("ca.pem", self._certificate(self._name, self._key, ca=True).public_bytes(Encoding.PEM))

    def issue(self, name):
        """Certificate and key for a common name, good for 127.0.0.1 too."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._certificate(subject, key, ca=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (
            self._write(f"{name}.pem", certificate.public_bytes(Encoding.PEM)),
            self._write(f"{name}.key", private),
        )

    @property
    def ca(self):
        return self.directory / "ca.pem"

    def server_context(self, name="server"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name))
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _write(self, name, data):
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    def _certificate(self, subject, key, *, ca):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def foreign_authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("foreign-ca"))


class Mosquitto:
    """A real broker over TLS 1.3 that asks for certificates; it can be killed and started again."""

    def __init__(self, directory, authority, port):
        self.port, self.authority, self._process = port, authority, None
        certificate, key = authority.issue("broker")
        self._config = directory / "mosquitto.conf"
        self._log = (directory / "mosquitto.log").open("ab")
        self._config.write_text(
            f"""
            listener {port} 127.0.0.1
            cafile {authority.ca}
            certfile {certificate}
            keyfile {key}
            tls_version tlsv1.3
            require_certificate true
            use_identity_as_username true
            allow_anonymous false
            persistence false
            max_inflight_messages 0
            max_queued_messages 100000
            user root
            """
        )

    def start(self):
        self._process = subprocess.Popen(
            [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", self._config], stdout=self._log, stderr=self._log
        )
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self):
        self.kill()
        self._log.close()


class GateClient:
    """A gate's own connection to the broker, by another MQTT library than the hub's."""

    def __init__(self, gate, mosquitto):
        self.gate = gate
        self.receipts = queue.Queue()
        self.hub = queue.Queue()
        certificate, key = mosquitto.authority.issue(gate.device.hex())
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=gate.device.hex(), protocol=paho.MQTTv5)
        self._client.tls_set(str(mosquitto.authority.ca), str(certificate), str(key))
        self._client.on_message = self._on_message
        self._ready = threading.Event()
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", mosquitto.port)
        self._client.subscribe([(gate.topic("receipts"), 1), ("gatelight/1/hub/presence", 1)])
        self._client.loop_start()
        assert self._ready.wait(10)

    def _on_message(self, client, data, message):
        (self.receipts if message.topic.endswith("/receipts") else self.hub).put(message.payload)

    def send(self, payload, leaf="checkins"):
        return self._client.publish(self.gate.topic(leaf), payload, qos=1)

    async def receipt(self, key, *, wait_s=10):
        payload = await asyncio.to_thread(self.receipts.get, True, wait_s)
        return open_receipt(payload, key=key.public)

    async def presence(self, *, wait_s=10):
        return decode_hub_presence(await asyncio.to_thread(self.hub.get, True, wait_s))

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="session")
def eventually():
    """Wait until a condition holds, asked again and again: it lies in another process or thread."""

    async def wait(condition, *, wait_s=20):
        async with asyncio.timeout(wait_s):
            while True:
                held = condition()
                if await held if inspect.isawaitable(held) else held:
                    return
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def mosquitto(tmp_path, authority):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    broker = Mosquitto(tmp_path, authority, port)
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def connect_gate(mosquitto):
    clients = []

    def connect(gate):
        clients.append(GateClient(gate, mosquitto))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def make_gate():
    return SimulatedGate


@pytest.fixture
def gate():
    return SimulatedGate("gate")


@pytest.fixture
def memory_store():
    return MemoryStore()


@pytest.fixture(scope="session")
def make_memory_store():
    return MemoryStore


@pytest.fixture(scope="session")
def hub_key():
    return Ed25519SigningKey(hashlib.sha256(b"hub").digest())


@pytest.fixture(scope="session")
def make_newcomer():
    return Newcomer


@pytest.fixture
def hub_authority(tmp_path):
    """The hub's own authority, in files."""
    now_ms = 1_790_000_000_000
    create_authority(cert=tmp_path / "hub-ca.pem", key=tmp_path / "hub-ca.key", name="hub", now_ms=now_ms)
    return load_authority(cert=tmp_path / "hub-ca.pem", key=tmp_path / "hub-ca.key", days=90, now_ms=now_ms)
