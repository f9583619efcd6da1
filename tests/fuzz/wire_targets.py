"""Targets for what is not signed: texts, plain CBOR, envelopes, keys and topics."""

from protocol import base45, cbor, envelope, resolve, topics
from protocol.checkin import decode_message, encode_message
from protocol.codes import is_code, parse_text
from protocol.command import decode_result, encode_result
from protocol.enrolment import decode_answer, decode_renewal_answer, encode_answer, encode_renewal_answer
from protocol.errors import ProtocolError
from protocol.health import decode_health, encode_health
from protocol.idnumber import is_id_number
from protocol.keys import ES256, decode_key, encode_key
from protocol.limits import ENROLMENT_ANSWER_BYTES, MESSAGE_BYTES
from protocol.presence import (
    decode_device_presence,
    decode_hub_presence,
    encode_device_presence,
    encode_hub_presence,
)
from protocol.provisioning import PREFIX, is_provisioning, parse_provisioning, provisioning_text
from protocol.query import _read_query
from protocol.slip import read_slip, slip_number
from protocol.trace import decode_traces, encode_traces
from protocol.used import decode_used, encode_used
from tests.fuzz.seeds import borrowed, payloads, texts, vectors, wholes
from tests.fuzz.target import Target, require, round_trip


def _base45(data: bytes) -> None:
    text = data.decode("latin-1")
    require(base45.encode(base45.decode(text)) == text, "two texts stand for the same bytes")


def _cbor(data: bytes) -> None:
    require(cbor.encode(cbor.decode(data, what="fuzz", limit=MESSAGE_BYTES)) == data, "two encodings of one value")


def _envelope(data: bytes) -> None:
    found = envelope.parse(data, what="fuzz", limit=4096)
    require(found.alg == ES256 or envelope.canonical(found) == data, "two encodings of one object")


def _foreign(data: bytes) -> None:
    found = envelope.parse_foreign(data, limit=4096)
    require(type(found.alg) is int and type(found.kid) is bytes, "an algorithm or a key id of another type")


def _key(data: bytes) -> None:
    require(encode_key(decode_key(data)) == data, "two encodings of one key")


def _code_text(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    claims = is_code(text)
    code = parse_text(text)
    require(claims, "a code that does not look like one")
    require(len(code.hash) == 16, "a hash of another length")


def _provisioning(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    claims = is_provisioning(text)
    code = parse_provisioning(text)
    require(claims, "a provisioning code that does not look like one")
    round_trip(code, text, encode=provisioning_text, decode=parse_provisioning)


def _provisioning_map(data: bytes) -> None:
    text = PREFIX + base45.encode(data)
    round_trip(parse_provisioning(text), text, encode=provisioning_text, decode=parse_provisioning)


def _provisioning_maps():
    for vector in vectors("provisioning"):
        try:
            yield base45.decode(vector["input"]["text"].removeprefix(PREFIX))
        except ProtocolError:
            continue


def _topic(data: bytes) -> None:
    topic = data.decode(errors="surrogateescape")
    topics.is_shared(topic)
    try:
        device, leaf = topics.parse_device_topic(topic)
    except ProtocolError:
        list_id, leaf = topics.parse_status_topic(topic)
        require(topic == f"gatelight/1/status/{list_id}/{leaf}", "another topic than it was")
    else:
        require(topic == f"gatelight/1/d/{device.hex()[:2]}/{device.hex()}/{leaf}", "another topic than it was")


def _slip(data: bytes) -> None:
    found = read_slip(data.decode(errors="surrogateescape"))
    require(read_slip(slip_number(found + bytes(27))) == found, "a number that does not come back")


def _id_number(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    require(not is_id_number(text) or (len(text) == 18 and text.isascii()), "no number of 18 characters")


def _message(data: bytes) -> None:
    require(encode_message(decode_message(data)) == data, "two encodings of one message")


def _query(data: bytes) -> None:
    query = _read_query(data)
    require(len(query.id) == 16 and query.text, "an id of another length, or no text")


def _queries():
    for scheme in (1, 2):
        for text in ("110101199003074514", "https://foreign.example/x", "\u5f20" * 20):
            padded = text.encode() + b"\x80"
            padded += bytes(-len(padded) % 64)
            yield cbor.encode({1: bytes(16), 2: bytes(8), 3: "mall-1", 4: "north.2", 5: scheme, 6: padded})


def _plain(name: str, decoder: str, encode, decode, *seeds: str, bytes_max: int = 256) -> Target:
    """A target for one plain CBOR map."""

    def check(data: bytes) -> None:
        round_trip(decode(data), data, encode=encode, decode=decode)

    return Target(
        name=name,
        decoder=decoder,
        check=check,
        refuses=(ProtocolError,),
        seeds=wholes(*seeds),
        bytes_max=bytes_max,
    )


_DEVICE = b"gatelight/1/d/3f/3fa1c20b7d5e9046/"

TARGETS = (
    Target(
        name="base45",
        decoder="protocol.base45.decode",
        check=_base45,
        refuses=(ProtocolError,),
        seeds=texts("codes"),
        words=(),
        bytes_max=256,
    ),
    Target(
        name="cbor",
        decoder="protocol.cbor.decode",
        check=_cbor,
        refuses=(ProtocolError,),
        seeds=payloads("checkins", "trust", "policies", "resolved"),
        bytes_max=256,
    ),
    Target(
        name="envelope",
        decoder="protocol.envelope.parse",
        check=_envelope,
        refuses=(ProtocolError,),
        seeds=wholes("checkins", "receipts", "time-hints"),
        bytes_max=256,
    ),
    Target(
        name="envelope-foreign",
        decoder="protocol.envelope.parse_foreign",
        check=_foreign,
        refuses=(ProtocolError,),
        seeds=borrowed("cose-wg-examples/**/*.json", "cbor", "COSE_hex"),
        bytes_max=384,
    ),
    Target(
        name="key",
        decoder="protocol.keys.decode_key",
        check=_key,
        refuses=(ProtocolError,),
        seeds=wholes("keys"),
        bytes_max=128,
    ),
    Target(
        name="code-text",
        decoder="protocol.codes.parse_text",
        check=_code_text,
        refuses=(ProtocolError,),
        seeds=texts("codes"),
        bytes_max=384,
        words=(b"GL1:",),
    ),
    Target(
        name="provisioning",
        decoder="protocol.provisioning.parse_provisioning",
        check=_provisioning,
        refuses=(ProtocolError,),
        seeds=texts("provisioning"),
        bytes_max=330,
    ),
    Target(
        name="provisioning-map",
        decoder="protocol.provisioning, the map in it",
        check=_provisioning_map,
        refuses=(ProtocolError,),
        seeds=_provisioning_maps,
        bytes_max=220,
    ),
    Target(
        name="topic",
        decoder="protocol.topics.parse_device_topic, parse_status_topic",
        check=_topic,
        refuses=(ProtocolError,),
        seeds=texts("topics", field="topic"),
        bytes_max=96,
        words=(_DEVICE, b"gatelight/1/status/", b"/version", b"/delta", b"/checkins", b"\xff", b"\n", b"/+/", b"/#"),
    ),
    Target(
        name="slip",
        decoder="protocol.slip.read_slip",
        check=_slip,
        refuses=(ProtocolError,),
        seeds=lambda: (b"7K3M-9QXA", b"7k3m 9qxa", b"ILO0-UUUU"),
        bytes_max=32,
        words=("\u0130".encode(), "\u00df".encode(), "\ufb03".encode(), "\u0661".encode()),
    ),
    Target(
        name="id-number",
        decoder="protocol.idnumber.is_id_number",
        check=_id_number,
        refuses=(ProtocolError,),
        seeds=texts("id-numbers"),
        bytes_max=32,
        words=("\u0661".encode(), b"19000229", b"20000229", b"X"),
    ),
    Target(
        name="message",
        decoder="protocol.checkin.decode_message",
        check=_message,
        refuses=(ProtocolError,),
        seeds=wholes("messages"),
        bytes_max=600,
    ),
    _plain(
        "hub-presence", "protocol.presence.decode_hub_presence", encode_hub_presence, decode_hub_presence, "presence"
    ),
    _plain(
        "device-presence",
        "protocol.presence.decode_device_presence",
        encode_device_presence,
        decode_device_presence,
        "presence",
    ),
    _plain("health", "protocol.health.decode_health", encode_health, decode_health, "health"),
    _plain("used", "protocol.used.decode_used", encode_used, decode_used, "used", bytes_max=128),
    Target(
        name="traces",
        decoder="protocol.trace.decode_traces",
        check=lambda data: round_trip(decode_traces(data), data, encode=encode_traces, decode=decode_traces),
        refuses=(ProtocolError,),
        seeds=lambda: iter((encode_traces(()), encode_traces((bytes(64), bytes(200))))),
        bytes_max=1024,
    ),
    _plain("result", "protocol.command.decode_result", encode_result, decode_result, "results", bytes_max=300),
    _plain(
        "enrolment-answer",
        "protocol.enrolment.decode_answer",
        encode_answer,
        decode_answer,
        "enrolment-answers",
        bytes_max=min(2048, ENROLMENT_ANSWER_BYTES),
    ),
    _plain(
        "renewal-answer",
        "protocol.renewal.decode_renewal_answer",
        encode_renewal_answer,
        decode_renewal_answer,
        "renewal-answers",
        bytes_max=300,
    ),
    Target(
        name="query",
        decoder="protocol.query, once it is opened",
        check=_query,
        refuses=(ProtocolError,),
        seeds=_queries,
        bytes_max=300,
    ),
    Target(
        name="query-sealed",
        decoder="protocol.query.query_id",
        check=lambda data: resolve.query_id(data) and None,
        refuses=(ProtocolError,),
        seeds=wholes("queries"),
        bytes_max=256,
    ),
)
"""`query_id` is what the hub reads of a question; `query` what the platform reads in it."""
