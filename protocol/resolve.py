"""Online look-up of what a gate cannot read itself: an opaque foreign code, or a card's number (PROTOCOL §6).

The query is sealed to the platform (`query.py`); the answer is signed by a key with the use `resolved`. Everything
for look-ups can be imported from here.
"""

from dataclasses import dataclass
from typing import Any

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES
from protocol.codes import Masked, read_masked
from protocol.envelope import AAD_RESOLVED
from protocol.errors import ExpiredError, MalformedError
from protocol.idnumber import is_id_number
from protocol.keys import SigningKey
from protocol.limits import CHECKIN_SUBJECT_BYTES, RESOLVED_BYTES, RULE_CHARS, SUBJECT_MIN_BYTES
from protocol.query import QUERY_ID_BYTES, QUERY_NONCE_BYTES, Query, open_query, query_id, seal_query
from protocol.terms import Colour
from protocol.trust import KeyUse, TrustBundle

__all__ = [
    "QUERY_ID_BYTES",
    "QUERY_NONCE_BYTES",
    "Query",
    "Resolved",
    "is_id_number",
    "open_query",
    "open_resolved",
    "query_id",
    "seal_query",
    "seal_resolved",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The platform's answer; subject and colour are there if it was found. `issuer_kid` is set by `open_resolved`."""

    id: bytes
    device: bytes
    found: bool
    subject: bytes = b""
    colour: Colour | None = None
    issued_s: int
    expires_s: int
    masked: Masked | None = None
    rule: str | None = None
    issuer_kid: bytes = b""


def seal_resolved(resolved: Resolved, *, key: SigningKey) -> bytes:
    """Answer -> signed bytes, as the platform makes them.

    Raises:
        MalformedError: an answer that a gate would refuse.
    """
    fields: dict[int, Any] = {
        1: resolved.id,
        2: resolved.device,
        3: resolved.found,
        6: resolved.issued_s,
        7: resolved.expires_s,
    }
    if resolved.subject:
        fields[4] = resolved.subject
    if resolved.colour is not None:
        fields[5] = resolved.colour
    if resolved.masked is not None:
        fields[8] = list(resolved.masked)
    if resolved.rule is not None:
        fields[9] = resolved.rule
    payload = cbor.encode(fields)
    _read_resolved(payload, issuer_kid=key.public.kid)
    return envelope.seal(payload, key=key, aad=AAD_RESOLVED)


def open_resolved(data: bytes, *, trust: TrustBundle, at_s: int, device: bytes, id: bytes) -> Resolved:  # noqa: A002 - as the field
    """Bytes -> answer.

    1. The envelope, within its limit.
    2. Signed by a key that may sign answers at this time.
    3. The answer, each field within its bounds.
    4. To this device and this query.
    5. Not after its end.

    Args:
        data: the bytes as received.
        trust: the bundle in force.
        at_s: now.
        device: the device that asked, 8 bytes.
        id: of its query, 16 bytes.

    Raises:
        LimitError, MalformedError, UnsupportedError: not an answer, or to another query.
        UnknownKeyError: signed by no trusted key.
        KeyUseError: the key is not for this, or not now.
        SignatureError: the signature does not fit.
        ExpiredError: the answer has ended.
    """
    # 1.
    sealed = envelope.parse(data, what="resolved", limit=RESOLVED_BYTES)
    # 2.
    key = trust.find(sealed.kid, use=KeyUse.RESOLVED, at_s=at_s)
    envelope.verify(sealed, key=key, aad=AAD_RESOLVED)
    # 3.
    resolved = _read_resolved(sealed.payload, issuer_kid=sealed.kid)
    # 4.
    if resolved.device != device:
        raise MalformedError("resolved.device", "made for another device")
    if resolved.id != id:
        raise MalformedError("resolved.id", "the answer to another query")
    # 5.
    if at_s > resolved.expires_s:
        raise ExpiredError("resolved", f"its validity ended at {resolved.expires_s}")
    return resolved


def _read_resolved(payload: bytes, *, issuer_kid: bytes) -> Resolved:
    what = "resolved"
    fields = cbor.fields(
        cbor.decode(payload, what=what, limit=RESOLVED_BYTES), what=what, known=frozenset(range(1, 10))
    )
    found = cbor.boolean(fields.get(3), "resolved.found")
    issued_s = cbor.time_s(fields.get(6), "resolved.issued")
    expires_s = cbor.time_s(fields.get(7), "resolved.expires")
    if expires_s <= issued_s:
        raise MalformedError("resolved.expires", "not after issued")
    if not found and fields.keys() & {4, 5, 8, 9}:
        raise MalformedError("resolved.found", "not found, yet something is said of a person")
    colour = cbor.member(fields.get(5), "resolved.colour", Colour) if found else None
    if colour is Colour.GREY:
        raise MalformedError("resolved.colour", "grey is a gate's colour, not an issuer's")
    subject = (
        cbor.sized_bytes(fields.get(4), "resolved.subject", SUBJECT_MIN_BYTES, CHECKIN_SUBJECT_BYTES) if found else b""
    )
    return Resolved(
        id=cbor.sized_bytes(fields.get(1), "resolved.id", QUERY_ID_BYTES),
        device=cbor.sized_bytes(fields.get(2), "resolved.device", DEVICE_BYTES),
        found=found,
        subject=subject,
        colour=colour,
        issued_s=issued_s,
        expires_s=expires_s,
        masked=read_masked(fields[8], "resolved.masked") if 8 in fields else None,
        rule=cbor.text(fields[9], "resolved.rule", 1, RULE_CHARS) if 9 in fields else None,
        issuer_kid=issuer_kid,
    )
