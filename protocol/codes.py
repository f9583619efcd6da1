"""What a person shows: scanned text -> Code -> VerifiedCode (PROTOCOL §3).

The text is `GL1:` + Base45 of a COSE_Sign1 over CWT claims (RFC 8392), signed by an issuer with empty
`external_aad`, so that any CWT library can verify it too.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from protocol import base45, cbor, envelope
from protocol.envelope import AAD_CODE, Sealed
from protocol.errors import LimitError, MalformedError, UnsupportedError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import (
    CODE_BYTES,
    LIVE_CODE_S,
    MASKED_CHARS,
    QR_TEXT_CHARS,
    RULE_CHARS,
    SUBJECT_MAX_BYTES,
    SUBJECT_MIN_BYTES,
    URI_CHARS,
)
from protocol.terms import Colour, Kind

PREFIX = "GL1:"
_ANY_VERSION = re.compile(r"GL[1-9][0-9]?:")
CODE_HASH_BYTES = 16

_SUBJECT, _EXPIRES, _ISSUED = 2, 4, 6
_STATUS, _COLOUR, _MASKED, _KIND, _RULE = 65535, -70001, -70002, -70003, -70004
_KNOWN = frozenset({_SUBJECT, _EXPIRES, _ISSUED, _STATUS, _COLOUR, _MASKED, _KIND, _RULE})

Masked = tuple[str, str, str]
"""Surname, head of the ID number, tail of the ID number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRef:
    """The code's place in a status list."""

    index: int
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What an issuer says of a code. `subject` is sealed to the platform: opaque to gate and hub."""

    subject: bytes
    issued_s: int
    expires_s: int
    colour: Colour | None = None
    status: StatusRef | None = None
    masked: Masked | None = None
    kind: Kind = Kind.LIVE
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code that could be read. Its signature has NOT been verified."""

    sealed: Sealed
    claims: Claims

    @property
    def kid(self) -> bytes:
        """The issuer's key id, to look the key up by."""
        return self.sealed.kid

    @property
    def hash(self) -> bytes:
        """16 bytes that find reuse: SHA-256 of the code's COSE bytes, an ES256 signature in its low-s form."""
        return hashlib.sha256(envelope.canonical(self.sealed)).digest()[:CODE_HASH_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCode:
    """A code whose issuer signed it. Built only by `verify`."""

    claims: Claims
    issuer_kid: bytes
    code_hash: bytes


def is_code(text: str) -> bool:
    """Whether the text claims to be one of ours, of any version. Anything else, say an advert, makes no record."""
    return _ANY_VERSION.match(text) is not None


def to_text(data: bytes) -> str:
    """A code's COSE bytes -> the text of its QR."""
    return PREFIX + base45.encode(data)


def parse_text(text: str) -> Code:
    """Scanned text -> Code.

    1. The text begins with `GL1:` and is within its limit.
    2. Base45, then a COSE_Sign1 of this wire's form.
    3. The claims, each of its type and within its bounds; colour or status is there; a code that is not a
       card or a specimen lives at most 120 s.

    Raises:
        LimitError, MalformedError, UnsupportedError: naming the part that is wrong.
    """
    # 1.
    if len(text) > QR_TEXT_CHARS:
        raise LimitError("code", f"{len(text)} characters, at most {QR_TEXT_CHARS} are allowed")
    if not is_code(text):
        raise MalformedError("code", f"the text does not begin with {PREFIX}")
    if not text.startswith(PREFIX):
        raise UnsupportedError("code", "a later version of this wire")
    # 2.
    sealed = envelope.parse(base45.decode(text[len(PREFIX) :]), what="code", limit=CODE_BYTES)
    # 3.
    return Code(sealed=sealed, claims=_read_claims(sealed.payload))


def verify(code: Code, *, key: VerifyKey) -> VerifiedCode:
    """Code -> VerifiedCode, by the issuer's key that was looked up by `code.kid`.

    Raises:
        SignatureError: the issuer did not sign this.
    """
    envelope.verify(code.sealed, key=key, aad=AAD_CODE, any_s=True)
    return VerifiedCode(claims=code.claims, issuer_kid=code.kid, code_hash=code.hash)


def seal_code(claims: Claims, *, key: SigningKey) -> bytes:
    """Claims -> signed COSE bytes, as an issuer makes them.

    Raises:
        LimitError, MalformedError: claims that a gate would refuse.
    """
    payload: dict[int, Any] = {_SUBJECT: claims.subject, _EXPIRES: claims.expires_s, _ISSUED: claims.issued_s}
    if claims.status is not None:
        payload[_STATUS] = {"status_list": {"idx": claims.status.index, "uri": claims.status.uri}}
    if claims.colour is not None:
        payload[_COLOUR] = claims.colour
    if claims.masked is not None:
        payload[_MASKED] = list(claims.masked)
    if claims.kind is not Kind.LIVE:
        payload[_KIND] = claims.kind
    if claims.rule is not None:
        payload[_RULE] = claims.rule
    encoded = cbor.encode(payload)
    _read_claims(encoded)
    data = envelope.seal(encoded, key=key, aad=AAD_CODE)
    if len(data) > CODE_BYTES:
        raise LimitError("code", f"{len(data)} bytes, at most {CODE_BYTES} are allowed")
    return data


def read_masked(value: Any, where: str) -> Masked:
    """`[surname, id head, id tail]`, each of at most 32 characters.

    Raises:
        MalformedError: anything else.
    """
    match value:
        case [str(surname), str(head), str(tail)] if max(len(surname), len(head), len(tail)) <= MASKED_CHARS:
            return surname, head, tail
    raise MalformedError(where, f"not three texts of at most {MASKED_CHARS} characters")


def _read_claims(payload: bytes) -> Claims:
    what = "claims"
    claims = cbor.fields(cbor.decode(payload, what=what, limit=CODE_BYTES), what=what, known=_KNOWN)
    subject = cbor.sized_bytes(claims.get(_SUBJECT), "claims.subject", SUBJECT_MIN_BYTES, SUBJECT_MAX_BYTES)
    issued_s = cbor.time_s(claims.get(_ISSUED), "claims.issued")
    expires_s = cbor.time_s(claims.get(_EXPIRES), "claims.expires")
    kind = cbor.member(claims[_KIND], "claims.kind", Kind) if _KIND in claims else Kind.LIVE
    colour = cbor.member(claims[_COLOUR], "claims.colour", Colour) if _COLOUR in claims else None
    status = _read_status(claims[_STATUS]) if _STATUS in claims else None
    if colour is Colour.GREY:
        raise MalformedError("claims.colour", "grey is a gate's colour, not an issuer's")
    if colour is None and status is None:
        raise MalformedError(what, "neither colour nor status")
    if expires_s <= issued_s:
        raise MalformedError("claims.expires", "not after issued")
    if kind in {Kind.LIVE, Kind.GUARDIAN} and expires_s - issued_s > LIVE_CODE_S:
        raise MalformedError("claims.expires", f"a live code is valid for at most {LIVE_CODE_S} s")
    if kind is Kind.CARD and status is None:
        raise MalformedError("claims.status", "a card is decided by its status list and names none")
    return Claims(
        subject=subject,
        issued_s=issued_s,
        expires_s=expires_s,
        colour=colour,
        status=status,
        masked=read_masked(claims[_MASKED], "claims.masked") if _MASKED in claims else None,
        kind=kind,
        rule=cbor.text(claims[_RULE], "claims.rule", 1, RULE_CHARS) if _RULE in claims else None,
    )


def _read_status(value: Any) -> StatusRef:
    """The status claim of a Referenced Token (Token Status List, "Referenced Token in COSE")."""
    match value:
        case {"status_list": {"idx": index, "uri": uri}} if len(value) == 1 and len(value["status_list"]) == 2:
            return StatusRef(
                index=cbor.uint(index, "claims.status.idx"),
                uri=cbor.text(uri, "claims.status.uri", 1, URI_CHARS),
            )
    raise MalformedError("claims.status", "not {status_list: {idx, uri}}")
