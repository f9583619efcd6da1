"""Targets of the device beside the scan: its decoder's child, the hub's answers and the topics it listens to."""

import http.client
from io import BufferedReader, BytesIO
from types import SimpleNamespace

from device.enrol import certificates
from device.enrol.client import Address, trusting
from device.enrol.client import _read as read_answer
from device.enrol.client import _refusal as read_refusal
from device.enrol.client import _said as said
from device.enrol.errors import EnrolmentError
from device.scan.decoder import wire
from device.trust.downlink import Downlink
from protocol import topics
from protocol.errors import ProtocolError
from protocol.provisioning import parse_provisioning
from tests.fuzz import x509
from tests.fuzz.seeds import texts
from tests.fuzz.target import Target, require
from tests.fuzz.words import JSON_WORDS
from tests.fuzz.world import DEVICE


def _provisioned(data: bytes) -> None:
    """A code that can be read names an address that can be asked."""
    code = parse_provisioning(data.decode(errors="surrogateescape"))
    address = Address.parse(code.url)
    require(address.host and 0 < address.port < 65536, "no host or no port")
    address.host.encode("idna")  # As every connection does first.


def _decoder(data: bytes) -> None:
    """The first byte chooses the message; an answer that is taken is what an honest child would have sent."""
    if data[:1] == b"\x00":
        hello = wire.parse_hello(data[1:])
        require(wire.pack_hello(hello) == data[1:], "two forms of one hello")
    elif data[:1] == b"\x01":
        request = wire.parse_request(data[1:], frame_px_max=1456 * 1088)
        require(wire.pack_request(request) == data[1:], "two forms of one request")
    else:
        answer = wire.parse_answer(data[1:], seq=7)
        require(len(answer.texts) <= wire.TEXTS_MAX, "more texts than there may be")
        require(all(len(text) <= wire.TEXT_BYTES_MAX for text in answer.texts), "a longer text than there may be")


def _decoders():
    yield b"\x00" + wire.pack_hello(wire.Hello(seccomp=True))
    for effort in wire.Effort:
        yield b"\x01" + wire.pack_request(wire.Request(seq=7, width=640, height=480, effort=effort))
    yield b"\x02" + wire.pack_answer(7, [])
    yield b"\x02" + wire.pack_answer(7, [b"GL1:ABC", b"", b"x" * 40])


def _refusal(data: bytes) -> None:
    """The hub's refusal of an enrolment, as a device logs it."""
    for text in read_refusal(403, data):
        require(text.isprintable() and 0 < len(text) <= 256, "what no log should hold")


class _Socket:
    """What has been received, and nothing after it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BufferedReader:
        return BufferedReader(BytesIO(self._data))


def _http(data: bytes) -> None:
    """Whoever answers the device, over TLS and before anything is trusted, sends these bytes."""
    response = http.client.HTTPResponse(_Socket(data + bytes(10_000)))
    try:
        response.begin()
        _, body = read_answer(response, limit=64)
    except (http.client.HTTPException, OSError) as error:
        require(said(error).isprintable(), "a sentence that no log should hold")
    else:
        require(len(body) <= 4097, "more was read than may be")


_OK = b"HTTP/1.1 200 OK\r\n"


def _answers():
    yield _OK + b"Content-Length: 3\r\n\r\nabc"
    yield _OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    yield b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Connection: close\r\n\r\nabc"
    yield b"HTTP/1.0 404 Not Found\r\nContent-Type: application/json\r\n\r\n{}"


def _certificate(data: bytes) -> None:
    """A certificate authority, and a chain of one certificate: whoever answers the device sends these bytes."""
    now_s = x509.NOW_S
    try:
        certificates.check_ca(data, ca_hash=x509.CA_HASH, now_s=now_s)
        trusting(data, check_time=False)
    except EnrolmentError:
        chain = (data,)
    else:
        chain = (x509.leaf(),)
    certificates.check_chain(chain, tls_key=x509.TLS_KEY, device=DEVICE, ca=x509.ca(), now_s=now_s)
    require(certificates.to_pem(*chain), "nothing")


class _Lists:
    """Holds no list, and asks for any."""

    wanting: frozenset[str] = frozenset()
    has_room = True

    def version_of(self, name: str) -> int:
        """One list is held at version 3."""
        return 3 if name.startswith("0") else 0


def _downlink(data: bytes) -> None:
    """Topic, a zero byte, payload -> whoever takes it. Nothing may be raised."""
    topic, _, payload = data.partition(b"\x00")
    taken: list[bytes] = []
    offer = SimpleNamespace(offer=taken.append, take_hint=lambda given, **_: taken.append(given))
    downlink = Downlink(
        device=DEVICE,
        place="mall-1",
        hub_keys={},
        issuers=SimpleNamespace(offer=taken.append, current=SimpleNamespace(version=1)),
        lists=_Lists(),
        policies=offer,
        clock=offer,
        on_command=taken.append,
        on_resolved=taken.append,
        on_used=taken.append,
        mono_ms=lambda: 0,
    )
    name = topic.decode(errors="surrogateescape")
    if name.endswith(("/delta", "/snapshot")):
        return  # They go to the lists, which have targets of their own.
    downlink.take(name, payload)
    require(len(taken) <= 1 and all(taken), "taken twice, or though there was nothing")
    require(all(wanted.isascii() for wanted in downlink.subscriptions), "a subscription to no topic of ours")


def _downs():
    for topic in (
        topics.TRUST,
        topics.time(DEVICE),
        topics.policy(DEVICE),
        topics.commands(DEVICE),
        topics.resolved(DEVICE),
        topics.used("mall-1"),
        "gatelight/1/status/0011223344556677/version",
        "gatelight/1/status/ff11223344556677/version",
    ):
        yield topic.encode() + b"\x00\x04"
        yield topic.encode() + b"\x00\x1b" + b"\x7f" + b"\xff" * 7


TARGETS = (
    Target(
        name="provisioned",
        decoder="device.enrol.client.Address, of a provisioning code",
        check=_provisioned,
        seeds=texts("provisioning"),
        bytes_max=330,
        refuses=(ProtocolError,),
    ),
    Target(
        name="decoder-wire",
        decoder="device.scan.decoder.wire",
        check=_decoder,
        seeds=_decoders,
        bytes_max=128,
        refuses=(wire.WireError,),
        words=(b"\x07" + bytes(7), b"\xff\xff", b"\x00\x08"),
    ),
    Target(
        name="hub-refusal",
        decoder="device.enrol.client, the hub's JSON",
        check=_refusal,
        seeds=lambda: (b'{"error": "token_used", "what": "it was used"}', b"[]"),
        bytes_max=128,
        words=JSON_WORDS,
    ),
    Target(
        name="hub-http",
        decoder="device.enrol.client, HTTP of whoever answers",
        check=_http,
        seeds=_answers,
        bytes_max=200,
        words=(b"chunked", b"Transfer-Encoding: ", b"Content-Length: ", b"-1\r\n", b"-5\r\n", b"HTTP/0.9", b"\r\n\r\n"),
    ),
    Target(
        name="certificate",
        decoder="device.enrol.certificates, DER",
        check=_certificate,
        seeds=lambda: (x509.ca(), x509.leaf()),
        bytes_max=600,
        refuses=(EnrolmentError,),
        words=(),
    ),
    Target(
        name="downlink",
        decoder="device.trust.downlink.Downlink.take",
        check=_downlink,
        seeds=_downs,
        bytes_max=96,
    ),
)
