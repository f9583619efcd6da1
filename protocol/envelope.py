"""COSE_Sign1 around every signed object (RFC 9052 §4.2, §4.4).

The protected header is `{1: alg, 4: kid}`, the unprotected one empty; the algorithm is a property of the
key that was looked up by kid, never of the message. `external_aad` keeps the objects apart: none can pass
for another. It is empty for the two that other standards define, code and status list; these are told apart
by the list's `typ` in the protected header (RFC 9596).
"""

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, NoReturn

import cbor2

from protocol import cbor, deterministic
from protocol.errors import LimitError, MalformedError, SignatureError, UnknownKeyError, UnsupportedError
from protocol.keys import ES256, KID_BYTES, SIGNATURE_BYTES, SigningKey, VerifyKey, low_s
from protocol.limits import CBOR_DEPTH
from protocol.record import record

AAD_CODE = b""
AAD_TRUST = b"gatelight/trust/1"
AAD_CHECKIN = b"gatelight/checkin/1"
AAD_RECEIPT = b"gatelight/receipt/1"
AAD_BATCH = b"gatelight/batch/1"
AAD_BATCH_RECEIPT = b"gatelight/batch-receipt/1"
AAD_STATUS_LIST = b""
AAD_STATUS_DELTA = b"gatelight/status-delta/1"
AAD_POLICY = b"gatelight/policy/1"
AAD_COMMAND = b"gatelight/command/1"
AAD_WIPE = b"gatelight/wipe/1"
AAD_ENROLMENT = b"gatelight/enrolment/1"
AAD_RENEWAL = b"gatelight/renewal/1"
AAD_RENEWAL_PROOF = b"gatelight/renewal-proof/1"
AAD_DEVICE_KEY = b"gatelight/device-key/1"
AAD_RESOLVED = b"gatelight/resolved/1"
AAD_TIME = b"gatelight/time/1"
AAD_TRACE = b"gatelight/trace/1"
AAD_TRACE_ANSWER = b"gatelight/trace-answer/1"
AAD_PLACE = b"gatelight/place/1"
AAD_PLACE_REQUEST = b"gatelight/place-request/1"
AAD_DESK_ANSWER = b"gatelight/desk-answer/1"

TYP_STATUS_LIST = "application/statuslist+cwt"

_TAG_SIGN1 = 0xD2
_TAG_AND_ARRAY = b"\xd2\x84"
_EMPTY_MAP = 0xA0
_NO_HEADER = bytes([_EMPTY_MAP])
_SIGNATURE1 = b"\x84\x6aSignature1"
"""An array of four, and the first of them."""
_TAG_CWT = b"\xd8\x3d"
_ALG, _CRIT, _KID, _TYP = 1, 2, 4, 16
_HEADER_LIMIT_BYTES = 256


def _refuse_tag(_decoder: object) -> NoReturn:
    raise ValueError("a tag inside")


_NO_TAGS = dict.fromkeys(
    (*range(6), 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)
"""Tags to which the foreign decoder gives a meaning: big powers, cycles and patterns stop here, unread."""


@record
class Sealed:
    """A COSE_Sign1 taken apart. Its signature has NOT been verified."""

    alg: int
    kid: bytes
    protected: bytes
    payload: bytes
    signature: bytes


def seal(payload: bytes, *, key: SigningKey, aad: bytes, typ: str | None = None) -> bytes:
    """Payload -> tagged COSE_Sign1, signed; `typ` only for the objects that have one."""
    protected = _write_protected(key.public.alg, key.public.kid, typ)
    signature = key.sign(_to_be_signed(protected, aad, payload))
    return _joined(protected, payload, signature)


def parse(data: bytes, *, what: str, limit: int, typ: str | None = None) -> Sealed:
    """Bytes -> Sealed, in the form of this wire only.

    1. At most `limit` bytes, which begin with tag 18 and an array of four, each in one byte.
    2. Protected header, empty map, payload and a signature of 64 bytes, deterministically encoded; nothing after.
    3. The protected header names algorithm and kid; critical headers are refused, for we know none. Its type
       is `typ`; it has none where `typ` is None.

    Args:
        data: the bytes as received.
        what: names the object in errors.
        limit: largest length in bytes.
        typ: the object's type in the protected header.

    Raises:
        LimitError: over `limit`.
        MalformedError: not such a COSE_Sign1.
        UnsupportedError: a critical header.
    """
    # 1.
    if len(data) > limit:
        raise LimitError(what, f"{len(data)} bytes, at most {limit} are allowed")
    if data[:2] != _TAG_AND_ARRAY:
        raise MalformedError(what, "not a tagged COSE_Sign1 of four parts")
    # 2.
    try:
        protected, at = deterministic.read_bytes(data, 2)
        if data[at] != _EMPTY_MAP:
            raise MalformedError(what, "the unprotected header is not an empty map")
        payload, at = deterministic.read_bytes(data, at + 1)
        signature, at = deterministic.read_bytes(data, at)
    except (ValueError, IndexError) as error:
        raise MalformedError(what, f"not three byte strings in their shortest form: {error}") from error
    if at != len(data):
        raise MalformedError(what, "bytes after the end")
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedError(what, f"a signature of {len(signature)} bytes instead of {SIGNATURE_BYTES}")
    # 3.
    alg, kid, found_typ = _read_protected(protected)
    if found_typ != typ:
        raise MalformedError(what, f"of type {found_typ!r:.80} instead of {typ!r}")
    return Sealed(alg=alg, kid=kid, protected=protected, payload=payload, signature=signature)


def verify(sealed: Sealed, *, key: VerifyKey, aad: bytes, any_s: bool = False) -> None:
    """Checks that `key` signed the object for the use that `aad` names.

    Args:
        sealed: as parsed.
        key: looked up by `sealed.kid`.
        aad: the object's `external_aad`.
        any_s: accept both forms of an ES256 signature. Only for objects whose bytes name nothing.

    Raises:
        SignatureError: another key or algorithm, a wrong signature, or the high-s form of one.
    """
    if sealed.kid != key.kid or sealed.alg != key.alg:
        raise SignatureError("signature", "made for another key or algorithm")
    if key.alg == ES256 and not any_s and low_s(sealed.signature) != sealed.signature:
        raise SignatureError("signature", "the high-s form of an ES256 signature")
    key.verify(_to_be_signed(sealed.protected, aad, sealed.payload), sealed.signature)


def verify_among(sealed: Sealed, *, keys: Mapping[bytes, VerifyKey], aad: bytes, what: str) -> None:
    """Checks that the one of `keys` whose id the object names signed it.

    Raises:
        UnknownKeyError: it names none of them.
        SignatureError: as `verify`.
    """
    key = keys.get(sealed.kid)
    if key is None:
        raise UnknownKeyError(what, f"signed by {sealed.kid.hex()}, which is no key for it")
    verify(sealed, key=key, aad=aad)


def parse_foreign(data: bytes, *, limit: int) -> Sealed:
    """Bytes -> Sealed, for any COSE_Sign1 of RFC 9052 with one of our algorithms.

    The tag may be absent, or CWT's (61) around it; algorithm and kid may stand in the unprotected header
    (the protected one goes before); the encoding need not be deterministic. `kid` is empty where none is named.

    Raises:
        LimitError: over `limit`.
        MalformedError: not a COSE_Sign1, or no algorithm is named.
        UnsupportedError: a critical header, or a detached payload.
    """
    what = "COSE_Sign1"
    if len(data) > limit:
        raise LimitError(what, f"{len(data)} bytes, at most {limit} are allowed")
    untagged = data.removeprefix(_TAG_CWT).removeprefix(bytes([_TAG_SIGN1]))
    match _loads_foreign(untagged, what):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
            pass
        case [bytes(), _, None, bytes()]:
            raise UnsupportedError(what, "the payload is detached")
        case _:
            raise MalformedError(what, "not the four parts of a COSE_Sign1")
    header = _loads_foreign(protected, what) if protected else {}
    if not isinstance(header, dict):
        raise MalformedError(what, "the protected header is not a map")
    if _CRIT in header or _CRIT in unprotected:
        raise UnsupportedError(what, "a critical header")
    alg = header.get(_ALG, unprotected.get(_ALG))
    kid = header.get(_KID, unprotected.get(_KID, b""))
    if type(alg) is not int or type(kid) is not bytes:
        raise MalformedError(what, "algorithm or kid is missing or of the wrong type")
    # An empty map is signed as an empty string (RFC 9052 §4.4).
    return Sealed(alg=alg, kid=kid, protected=protected if header else b"", payload=payload, signature=signature)


def verify_foreign(sealed: Sealed, *, key: VerifyKey, aad: bytes = b"") -> None:
    """Checks a foreign object against a key found by its issuer's own rule; the kid is not compared.

    Raises:
        SignatureError: another algorithm or a wrong signature.
    """
    if sealed.alg != key.alg:
        raise SignatureError("signature", "made for another algorithm")
    key.verify(_to_be_signed(sealed.protected, aad, sealed.payload), sealed.signature)


def canonical(sealed: Sealed) -> bytes:
    """The object's bytes with the low-s form of its signature: what a hash of it is taken over."""
    signature = low_s(sealed.signature) if sealed.alg == ES256 else sealed.signature
    return _joined(sealed.protected, sealed.payload, signature)


def _joined(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The COSE_Sign1 of three byte strings (RFC 9052 §4.2)."""
    written = deterministic.byte_string
    return b"".join((_TAG_AND_ARRAY, written(protected), _NO_HEADER, written(payload), written(signature)))


def _to_be_signed(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052 §4.4)."""
    written = deterministic.byte_string
    return b"".join((_SIGNATURE1, written(protected), written(aad), written(payload)))


@lru_cache(maxsize=64)
def _write_protected(alg: int, kid: bytes, typ: str | None) -> bytes:
    """A protected header. Whoever signs has a few keys and types."""
    header: dict[int, Any] = {_ALG: alg, _KID: kid}
    if typ is not None:
        header[_TYP] = typ
    return cbor.encode(header)


@lru_cache(maxsize=4096)
def _read_protected(protected: bytes) -> tuple[int, bytes, Any]:
    """A protected header -> (alg, kid, typ). There is one a key, so the few in use stay cached."""
    header = cbor.decode(protected, what="protected header", limit=_HEADER_LIMIT_BYTES)
    if type(header) is not dict:
        raise MalformedError("protected header", "not a map")
    if _CRIT in header:
        raise UnsupportedError("protected header", "a critical header, none is known")
    alg, kid = header.get(_ALG), header.get(_KID)
    if type(alg) is not int:
        raise MalformedError("protected header", "the algorithm is missing or not an integer")
    if type(kid) is not bytes or len(kid) != KID_BYTES:
        raise MalformedError("protected header", f"the kid is missing or not {KID_BYTES} bytes")
    return alg, kid, header.get(_TYP)


def _loads_foreign(data: bytes, what: str) -> Any:
    """CBOR of any encoding, still bounded: depth, no tags, no duplicate keys, nothing after the end."""
    source = BytesIO(data)
    decoder = cbor2.CBORDecoder(
        source,
        max_depth=CBOR_DEPTH,
        semantic_decoders=_NO_TAGS,
        allow_duplicate_keys=False,
        read_size=1,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise MalformedError(what, f"not CBOR: {error!s:.200}") from error
    if source.tell() != len(data):
        raise MalformedError(what, "bytes after the end")
    return value
