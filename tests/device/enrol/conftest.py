"""A hub of its own for the tests: a real authority, real TLS, real sealed objects; every fault can be switched on."""

import datetime as dt
import hashlib
import json
import os
import secrets
import shutil
import ssl
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from device.enrol.ports import Machine, Signals
from device.enrol.surroundings import Surroundings
from device.keystore.file import FileKeyStore
from protocol.enrolment import (
    Configuration,
    EnrolmentAnswer,
    EnrolmentState,
    ProvisioningCode,
    RenewalAnswer,
    encode_answer,
    encode_renewal_answer,
    open_renewal,
    open_request,
    provisioning_text,
)
from protocol.errors import ProtocolError
from protocol.keys import Ed25519SigningKey
from protocol.policy import GatePolicy, seal_policy
from protocol.terms import Direction
from protocol.trust import seal_trust

DEVICE = bytes.fromhex("00112233445566aa")
NOW = dt.datetime(2027, 1, 15, tzinfo=dt.UTC)
NOW_S = int(NOW.timestamp())
DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority with one key."""

    def __init__(self, name="Hub CA", *, key=None, is_ca=True, begins=None, ends=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.begins = begins or NOW - 1000 * DAY
        self.certificate = (
            self._builder(self.name, self.key.public_key(), self.begins, ends or NOW + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def _builder(self, subject, public, begins, ends):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def hash(self):
        spki = self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    def issue(self, public, *, name, hosts=(), begins=None, ends=None):
        builder = self._builder(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
            public,
            begins or NOW - DAY,
            ends or NOW + 90 * DAY,
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def server_files(folder, authority, *, host="127.0.0.1"):
    """A server's certificate and key, as one PEM file. It holds now, by whatever clock runs these tests."""
    key = ec.generate_private_key(ec.SECP256R1())
    today = dt.datetime.now(dt.UTC)
    hosts = [x509.IPAddress(ip_address(host))] if host[0].isdigit() else [x509.DNSName(host)]
    certificate = authority.issue(
        key.public_key(), name=host, hosts=hosts, begins=today - 2 * DAY, ends=today + 2 * DAY
    )
    path = folder / f"server-{secrets.token_hex(4)}.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@dataclass
class Book:
    """What the hub knows and does. A FAKE of the real hub: it approves by a switch, and every fault is one."""

    authority: Authority
    world: object
    token: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    state: EnrolmentState = EnrolmentState.WAITING
    hub_key: Ed25519SigningKey = field(default_factory=lambda: Ed25519SigningKey(hashlib.sha256(b"hub").digest()))
    host: str = "127.0.0.1"
    port: int = 8443
    device: bytes = DEVICE
    begins: dt.datetime = NOW - DAY
    lifetime_days: int = 90
    seen: list = field(default_factory=list)  # (method, path)
    bodies: list = field(default_factory=list)
    requests: dict = field(default_factory=dict)  # enrolment id -> request
    issued: list = field(default_factory=list)
    device_keys: dict = field(default_factory=dict)  # kid -> key
    die_after_renewal: int = 0
    answers: dict = field(default_factory=dict)  # path -> (status, body): instead of the right answer
    change: object = staticmethod(lambda configuration: configuration)
    drip_s: float = 0
    cut_short: bool = False
    instead: bytes = b""

    @property
    def url(self):
        return f"https://{self.host}:{self.port}"

    def code(self, **changes):
        given = {
            "url": self.url,
            "token": self.token,
            "ca_hash": self.authority.hash,
            "expires_s": NOW_S + 600,
        }
        return ProvisioningCode(**{**given, **changes})

    def text(self, **changes):
        return provisioning_text(self.code(**changes))

    def chain(self, csr):
        request = x509.load_der_x509_csr(csr)
        certificate = self.authority.issue(
            request.public_key(), name=self.device.hex(), begins=self.begins, ends=NOW + self.lifetime_days * DAY
        )
        self.issued.append(certificate)
        return (certificate.public_bytes(Encoding.DER), self.authority.der)

    def configuration(self, request):
        policy = GatePolicy(device=self.device, version=1, issued_s=NOW_S, place="mall-1", gate="north")
        return self.change(
            Configuration(
                device=self.device,
                chain=self.chain(request.csr),
                broker_host="broker.example",
                broker_port=8883,
                ca=self.authority.der,
                hub_keys=(self.hub_key.public,),
                root=self.world.root.public,
                place="mall-1",
                gate="north",
                direction=Direction.IN,
                policy=seal_policy(policy, key=self.hub_key),
                trust=seal_trust(self.world.bundle(), key=self.world.root),
                hub_url=self.url,
            )
        )

    def enrol(self, body):
        request = open_request(body)
        if request.token != self.token:
            return 403, refusal("token_unknown", "no such code")
        made = hashlib.sha256(request.token + request.key.kid).digest()[:16]
        self.requests[made] = request
        return 200, self.answer(made)

    def answer(self, made):
        request = self.requests[made]
        if self.state is not EnrolmentState.APPROVED:
            return encode_answer(EnrolmentAnswer(id=made, state=self.state))
        self.device_keys[request.key.kid] = request.key
        return encode_answer(EnrolmentAnswer(id=made, state=self.state, configuration=self.configuration(request)))

    def look(self, path):
        made = bytes.fromhex(path.rpartition("/")[2])
        if made not in self.requests:
            return 404, refusal("enrolment_unknown", "nobody knows it")
        return 200, self.answer(made)

    def renew(self, body, *, peer):
        if peer != self.device.hex():
            return 403, refusal("no_certificate", "show your certificate")
        request = open_renewal(body, key_of=self.device_keys.get)
        if request.new_key is not None:
            self.device_keys[request.new_key.kid] = request.new_key
        chain = self.chain(request.csr)
        if self.die_after_renewal:
            self.die_after_renewal -= 1
            return 503, b""
        return 200, encode_renewal_answer(RenewalAnswer(chain=chain))

    def handle(self, method, path, body, peer):
        self.seen.append((method, path))
        self.bodies.append(body)
        if path in self.answers:
            return self.answers[path]
        try:
            if path == "/v1/ca":
                return 200, self.authority.der
            if (method, path) == ("POST", "/v1/enrolments"):
                return self.enrol(body)
            if path.startswith("/v1/enrolments/"):
                return self.look(path)
            if path == "/v1/renewals":
                return self.renew(body, peer=peer)
        except ProtocolError as error:
            return 400, refusal(error.reason, str(error))
        return 404, refusal("nothing_here", path)


def refusal(reason, what):
    return json.dumps({"error": reason, "what": what}).encode()


class Direct:
    """The hub without a network between: for tests that are about power cuts, not about connections."""

    def __init__(self, book):
        self.book = book

    def enrol(self, request):
        from device.enrol.client import _decoded, _judged

        return _decoded(_judged(*self.book.enrol(request), limit=1 << 20))

    def look(self, enrolment):
        from device.enrol.client import _decoded, _judged

        return _decoded(_judged(*self.book.look(f"/{enrolment.hex()}"), limit=1 << 20))

    def renew(self, request):
        from device.enrol.client import _judged
        from protocol.enrolment import decode_renewal_answer

        return decode_renewal_answer(_judged(*self.book.renew(request, peer=self.book.device.hex()), limit=1 << 20))


def serve(book, files, stopping, *, client_ca=None):
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def _answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            peer = dict(pair[0] for pair in (self.connection.getpeercert() or {}).get("subject", ()))
            status, body = book.handle(self.command, self.path, self.rfile.read(length), peer.get("commonName"))
            if book.instead:
                self.wfile.write(book.instead)
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if book.drip_s:
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1])
                    self.wfile.flush()
                    if stopping.wait(book.drip_s):
                        return
            else:
                self.wfile.write(body[: len(body) // 2] if book.cut_short else body)

        do_GET = do_POST = _answer  # noqa: N815 - names of http.server

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request, client_address):
            try:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(files)
                if client_ca is not None:
                    context.verify_mode = ssl.CERT_OPTIONAL
                    # Its clients' certificates are of the tests' time.
                    context.verify_flags |= 0x200000
                    context.load_verify_locations(cadata=client_ca)
                wrapped = context.wrap_socket(request, server_side=True)
            except OSError:
                return
            with wrapped:
                super().finish_request(wrapped, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    return server, thread


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def book(authority, world):
    world.now_s = NOW_S
    return Book(authority=authority, world=world)


@pytest.fixture
def serving(tmp_path, request):
    """Starts a hub with `book` on loopback: `serving(book, authority=..., host=...)`."""
    running, stopping = [], threading.Event()

    def start(book, *, authority=None, host="127.0.0.1"):
        files = server_files(tmp_path, authority or book.authority, host=host)
        server, thread = serve(book, files, stopping, client_ca=book.authority.der)
        running.append((server, thread))
        book.port = server.server_address[1]
        return book

    yield start
    stopping.set()
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Told:
    """Events and signals, in order."""

    events: list = field(default_factory=list)
    shown: list = field(default_factory=list)

    def event(self, event, **fields):
        self.events.append((event, fields))

    def names(self):
        return [name for name, _ in self.events]

    def of(self, name):
        return [fields for found, fields in self.events if found == name]

    def signals(self):
        return Signals(
            waiting=lambda: self.shown.append("waiting"),
            working=lambda: self.shown.append("working"),
            fingerprint=lambda words, characters: self.shown.append(("fingerprint", words, characters)),
            failed=lambda: self.shown.append("failed"),
            done=lambda: self.shown.append("done"),
        )


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def around(tmp_path, told):
    """An un-enrolled machine whose clock says NOW."""
    return surroundings(tmp_path / "state", told)


def surroundings(state_dir, told, **changes):
    given = {
        "state_dir": state_dir,
        "keys": FileKeyStore(state_dir / "keys", random_bytes=secrets.token_bytes),
        "network": None,
        "machine": Machine(serial="serial-1", model="Test Pi", firmware="0.1.0"),
        "log": told,
        "now_s": lambda: NOW_S,
        "random_bytes": secrets.token_bytes,
        "unsent": lambda: 0,
    }
    return Surroundings(**{**given, **changes})


@pytest.fixture
def make_surroundings():
    return surroundings


@pytest.fixture
def direct():
    return Direct


@pytest.fixture
def with_changes():
    return replace


def files_below(folder: Path):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def make_authority():
    return Authority


@pytest.fixture
def day():
    return DAY


@pytest.fixture
def prepared(around, told, monkeypatch):
    """For each power cut, a copy of what lies in `around.state_dir`: `prepared(cut)` gives its surroundings."""
    # What would be lost without it is `Cut`'s to know; the disk of these tests need not turn.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    before = os.umask(0o077)  # What a power cut leaves is put back with modes of this mask.

    def copy(cut, **changes):
        if around.state_dir.exists():
            shutil.copytree(around.state_dir, cut.root / "state", symlinks=True)
        return surroundings(cut.root / "state", told, **changes)

    yield copy
    os.umask(before)
