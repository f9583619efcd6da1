"""Targets of the device beside the scan: its decoder's child, the hub's answers and the topics it listens to."""

from types import SimpleNamespace

from device.enrol import certificates
from device.enrol.client import Address
from device.enrol.client import _refusal as read_refusal
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
    yield b"\x01" + wire.pack_request(wire.Request(seq=7, width=640, height=480))
    yield b"\x02" + wire.pack_answer(7, [])
    yield b"\x02" + wire.pack_answer(7, [b"GL1:ABC", b"", b"x" * 40])


def _refusal(data: bytes) -> None:
    """The hub's refusal of an enrolment, as a device logs it."""
    for text in read_refusal(403, data):
        require(text.isprintable() and 0 < len(text) <= 256, "what no log should hold")


def _certificate(data: bytes) -> None:
    """A certificate authority, and a chain of one certificate: whoever answers the device sends these bytes."""
    now_s = x509.NOW_S
    try:
        certificates.check_ca(data, ca_hash=x509.CA_HASH, now_s=now_s)
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


DEVICE_TARGETS = (
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
