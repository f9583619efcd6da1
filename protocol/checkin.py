"""The record of one code shown at one gate: CheckIn ⇄ sealed bytes, and the chain of hashes (PROTOCOL §5, §6).

Each check-in holds the hash of the whole sealed one before it, signature included. So the signature of the
last one in a run covers the run, and a missing or altered record shows.
"""

import hashlib
from typing import Any

from protocol import cbor, deterministic, envelope
from protocol.codes import CODE_HASH_BYTES, Masked, read_masked
from protocol.envelope import AAD_CHECKIN
from protocol.errors import LimitError, MalformedError
from protocol.keys import KID_BYTES, SigningKey, VerifyKey
from protocol.limits import (
    CHECKIN_BYTES,
    CHECKIN_SUBJECT_BYTES,
    MESSAGE_BYTES,
    MESSAGE_CHECKINS,
    RULE_CHARS,
)
from protocol.reasons import Reason
from protocol.record import record
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

DEVICE_BYTES = 8
EPOCH_BYTES = 8
HASH_BYTES = 32
GENESIS = bytes(HASH_BYTES)
"""`prev` of the first check-in of an epoch."""

_KNOWN = frozenset(range(1, 19))
_KNOWN_EVIDENCE = frozenset(range(1, 6))
TEMPERATURE_MAX_CC = 10_000


@record
class Evidence:
    """On what the gate relied: who signed the colour, when, under which list, policy and rule."""

    issuer_kid: bytes | None = None
    code_issued_s: int | None = None
    status_version: int | None = None
    policy_version: int | None = None
    rule: str | None = None


@record
class CheckIn:
    """One code shown at one gate, whatever the verdict. `temperature_cc` is in 0.01 °C."""

    device: bytes
    epoch: bytes
    seq: int
    prev: bytes
    at_ms: int
    clock: Clock
    place: str
    gate: str
    direction: Direction
    colour: Colour
    verdict: Verdict
    reason: Reason
    code: bytes
    scheme: Scheme
    subject: bytes
    masked: Masked | None = None
    evidence: Evidence = Evidence()
    temperature_cc: int | None = None


@record
class SealedCheckIn:
    """A check-in as it travels. Its signature has NOT been verified."""

    data: bytes
    envelope: envelope.Sealed
    checkin: CheckIn
    hash: bytes

    @property
    def kid(self) -> bytes:
        """The id of the device's signing key."""
        return self.envelope.kid


def hash_of(data: bytes) -> bytes:
    """The hash by which the next check-in, and a receipt, name this one: SHA-256 of all its bytes."""
    return hashlib.sha256(data).digest()


def seal_checkin(checkin: CheckIn, *, key: SigningKey) -> bytes:
    """CheckIn -> sealed bytes, which never change on their way to the platform.

    Raises:
        MalformedError: a check-in that the hub would refuse.
        LimitError: longer than 1 KiB.
    """
    payload = cbor.encode(_to_map(checkin))
    _read_checkin(payload)
    data = envelope.seal(payload, key=key, aad=AAD_CHECKIN)
    if len(data) > CHECKIN_BYTES:
        raise LimitError("check-in", f"{len(data)} bytes, at most {CHECKIN_BYTES} are allowed")
    return data


def parse_checkin(data: bytes) -> SealedCheckIn:
    """Bytes -> SealedCheckIn; call `verify_checkin` before believing it.

    Raises:
        LimitError, MalformedError, UnsupportedError: naming the field that is wrong.
    """
    sealed = envelope.parse(data, what="check-in", limit=CHECKIN_BYTES)
    return SealedCheckIn(data=data, envelope=sealed, checkin=_read_checkin(sealed.payload), hash=hash_of(data))


def verify_checkin(sealed: SealedCheckIn, *, key: VerifyKey) -> None:
    """Checks that the device's key signed it.

    Raises:
        SignatureError: it did not.
    """
    envelope.verify(sealed.envelope, key=key, aad=AAD_CHECKIN)


def encode_message(checkins: list[bytes]) -> bytes:
    """1 to 64 sealed check-ins -> the payload of one MQTT message: a CBOR array of byte strings.

    Raises:
        ValueError: none, more than 64, or over 64 KiB: a mistake of ours.
    """
    if not 1 <= len(checkins) <= MESSAGE_CHECKINS:
        raise ValueError(f"a message has 1 to {MESSAGE_CHECKINS} check-ins, not {len(checkins)}")
    payload = cbor.encode(checkins)
    if len(payload) > MESSAGE_BYTES:
        raise ValueError(f"a message of {len(payload)} bytes, at most {MESSAGE_BYTES} are allowed")
    return payload


def decode_message(payload: bytes) -> list[bytes]:
    """The payload of one MQTT message -> its sealed check-ins, not looked into.

    1. Within its limit, and an array of 1 to 64: whoever claims more has nothing read.
    2. As many byte strings, deterministically encoded, and nothing after them.

    Raises:
        LimitError: over 64 KiB.
        MalformedError: not an array of 1 to 64 byte strings.
    """
    what = "check-ins message"
    if len(payload) > MESSAGE_BYTES:
        raise LimitError(what, f"{len(payload)} bytes, at most {MESSAGE_BYTES} are allowed")
    try:
        checkins = deterministic.read_strings(payload, most=MESSAGE_CHECKINS)
    except IndexError as error:
        raise MalformedError(what, "cut short") from error
    except ValueError as error:
        raise MalformedError(
            what, f"not an array of 1 to {MESSAGE_CHECKINS} byte strings in deterministic CBOR: {error}"
        ) from error
    if not checkins:
        raise MalformedError(what, f"not an array of 1 to {MESSAGE_CHECKINS}: it is empty")
    return checkins


def _to_map(checkin: CheckIn) -> dict[int, Any]:
    evidence = checkin.evidence
    pieces = {
        1: evidence.issuer_kid,
        2: evidence.code_issued_s,
        3: evidence.status_version,
        4: evidence.policy_version,
        5: evidence.rule,
    }
    fields: dict[int, Any] = {
        1: checkin.device,
        2: checkin.epoch,
        3: checkin.seq,
        4: checkin.prev,
        5: checkin.at_ms,
        6: checkin.clock,
        7: checkin.place,
        8: checkin.gate,
        9: checkin.direction,
        10: checkin.colour,
        11: checkin.verdict,
        12: checkin.reason,
        13: checkin.code,
        14: checkin.scheme,
        15: checkin.subject,
        17: {key: piece for key, piece in pieces.items() if piece is not None},
    }
    if checkin.masked is not None:
        fields[16] = list(checkin.masked)
    if checkin.temperature_cc is not None:
        fields[18] = checkin.temperature_cc
    return fields


def _read_checkin(payload: bytes) -> CheckIn:
    what = "check-in"
    fields = cbor.fields(cbor.decode(payload, what=what, limit=CHECKIN_BYTES), what=what, known=_KNOWN)
    get = fields.get
    temperature_cc = get(18)
    if temperature_cc is not None and cbor.uint(temperature_cc, "check-in.temperature") > TEMPERATURE_MAX_CC:
        raise MalformedError("check-in.temperature", f"not 0 to {TEMPERATURE_MAX_CC}")
    return CheckIn(
        device=cbor.sized_bytes(get(1), "check-in.device", DEVICE_BYTES),
        epoch=cbor.sized_bytes(get(2), "check-in.epoch", EPOCH_BYTES),
        seq=cbor.seq(get(3), "check-in.seq"),
        prev=cbor.sized_bytes(get(4), "check-in.prev", HASH_BYTES),
        at_ms=cbor.time_ms(get(5), "check-in.at"),
        clock=cbor.member(get(6), "check-in.clock", Clock),
        place=cbor.name(get(7), "check-in.place"),
        gate=cbor.name(get(8), "check-in.gate"),
        direction=cbor.member(get(9), "check-in.direction", Direction),
        colour=cbor.member(get(10), "check-in.colour", Colour),
        verdict=cbor.member(get(11), "check-in.verdict", Verdict),
        reason=cbor.member(get(12), "check-in.reason", Reason),
        code=cbor.sized_bytes(get(13), "check-in.code", CODE_HASH_BYTES),
        scheme=cbor.member(get(14), "check-in.scheme", Scheme),
        subject=cbor.sized_bytes(get(15), "check-in.subject", 0, CHECKIN_SUBJECT_BYTES),
        masked=read_masked(fields[16], "check-in.masked") if 16 in fields else None,
        evidence=_read_evidence(get(17)),
        temperature_cc=temperature_cc,
    )


def _read_evidence(value: Any) -> Evidence:
    what = "check-in.evidence"
    fields = cbor.fields(value, what=what, known=_KNOWN_EVIDENCE)
    return Evidence(
        issuer_kid=cbor.sized_bytes(fields[1], f"{what}.issuer_kid", KID_BYTES) if 1 in fields else None,
        code_issued_s=cbor.time_s(fields[2], f"{what}.code_issued") if 2 in fields else None,
        status_version=cbor.seq(fields[3], f"{what}.status_version", least=0) if 3 in fields else None,
        policy_version=cbor.seq(fields[4], f"{what}.policy_version", least=0) if 4 in fields else None,
        rule=cbor.text(fields[5], f"{what}.rule", 1, RULE_CHARS) if 5 in fields else None,
    )
