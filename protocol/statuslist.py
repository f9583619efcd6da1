"""Status lists: the colour of everybody whom an issuer lists, in two bits each (PROTOCOL §4).

A list is a Token Status List in its CWT form (`bits` 2), with a private claim for its version. Signed deltas take
it from one version to a later one; a delta without a step is a heartbeat: "this version is still the one".
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from protocol import cbor, envelope
from protocol.envelope import AAD_STATUS_DELTA, AAD_STATUS_LIST, TYP_STATUS_LIST
from protocol.errors import ExpiredError, LimitError, MalformedError
from protocol.keys import SigningKey
from protocol.limits import STATUS_DELTA_BYTES, STATUS_LIST_BYTES, STATUS_PACKED_BYTES, URI_CHARS
from protocol.statusbits import BITS, StatusList, deflate, inflate, pack_changes, unpack_changes, write_changes
from protocol.trust import KeyUse, TrustBundle

__all__ = [
    "ListToken",
    "StatusDelta",
    "StatusList",
    "apply_delta",
    "deflate",
    "inflate",
    "list_id",
    "open_delta",
    "open_list",
    "seal_delta",
    "seal_list",
]

_SUBJECT, _EXPIRES, _ISSUED, _LIST, _VERSION = 2, 4, 6, 65533, -70010
_CLAIMS = frozenset({_SUBJECT, _EXPIRES, _ISSUED, _LIST, _VERSION})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListToken:
    """A whole list as its issuer signed it. `issuer_kid` is empty until it was opened."""

    uri: str
    version: int
    issued_s: int
    expires_s: int | None = None
    packed: bytes
    issuer_kid: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDelta:
    """What changed from one version to another: `(index, status)`, ascending. `issuer_kid` as in `ListToken`."""

    uri: str
    from_version: int
    to_version: int
    issued_s: int
    changes: tuple[tuple[int, int], ...] = ()
    issuer_kid: bytes = b""

    @property
    def is_heartbeat(self) -> bool:
        """Whether it only says that the version was still current when it was issued."""
        return self.from_version == self.to_version


def list_id(uri: str) -> str:
    """A list's name in topics: the first 16 hex digits of SHA-256 over its address."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]


def seal_list(token: ListToken, *, key: SigningKey) -> bytes:
    """Token -> signed bytes, as the issuer makes them.

    Raises:
        LimitError, MalformedError: a list that a gate would refuse.
    """
    claims: dict[int, Any] = {_SUBJECT: token.uri, _ISSUED: token.issued_s, _VERSION: token.version}
    if token.expires_s is not None:
        claims[_EXPIRES] = token.expires_s
    claims[_LIST] = {"bits": BITS, "lst": deflate(token.packed)}
    payload = cbor.encode(claims)
    _read_list(payload)
    data = envelope.seal(payload, key=key, aad=AAD_STATUS_LIST, typ=TYP_STATUS_LIST)
    if len(data) > STATUS_LIST_BYTES:
        raise LimitError("status list", f"{len(data)} bytes, at most {STATUS_LIST_BYTES} are allowed")
    return data


def open_list(data: bytes, *, trust: TrustBundle, at_s: int) -> ListToken:
    """Bytes -> token.

    1. The envelope, within its limit and of the type of status lists.
    2. Signed by a key that may sign status lists at that time. ES256 in either form, as for codes: the bytes of
       a list name nothing, and whoever is listed must not pay for the issuer's library.
    3. The claims, then the list itself, inflated within its limit.
    4. Not expired.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a status list of ours.
        UnknownKeyError, KeyUseError, SignatureError: nobody signed it who may.
        ExpiredError: its issuer does not stand by it at that time.
    """
    # 1.
    sealed = envelope.parse(data, what="status list", limit=STATUS_LIST_BYTES, typ=TYP_STATUS_LIST)
    # 2.
    key = trust.find(sealed.kid, use=KeyUse.STATUS, at_s=at_s)
    envelope.verify(sealed, key=key, aad=AAD_STATUS_LIST, any_s=True)
    # 3.
    token = _read_list(sealed.payload, issuer_kid=sealed.kid)
    # 4.
    if token.expires_s is not None and at_s > token.expires_s:
        raise ExpiredError("status list", f"version {token.version} has expired")
    return token


def seal_delta(delta: StatusDelta, *, key: SigningKey) -> bytes:
    """Delta -> signed bytes, as the issuer makes them.

    Raises:
        LimitError, MalformedError: a delta that a gate would refuse. One that is too long is sent as a list instead.
    """
    payload = cbor.encode(
        {
            1: delta.uri,
            2: delta.from_version,
            3: delta.to_version,
            4: delta.issued_s,
            5: pack_changes(delta.changes),
        }
    )
    data = envelope.seal(payload, key=key, aad=AAD_STATUS_DELTA)
    if len(data) > STATUS_DELTA_BYTES:
        raise LimitError("status delta", f"{len(data)} bytes, at most {STATUS_DELTA_BYTES} are allowed")
    _read_delta(payload)
    return data


def open_delta(data: bytes, *, trust: TrustBundle, at_s: int) -> StatusDelta:
    """Bytes -> delta.

    1. The envelope, within its limit.
    2. Signed by a key that may sign status lists at that time.
    3. The fields, and each change.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a delta.
        UnknownKeyError, KeyUseError, SignatureError: nobody signed it who may.
    """
    # 1.
    sealed = envelope.parse(data, what="status delta", limit=STATUS_DELTA_BYTES)
    # 2.
    key = trust.find(sealed.kid, use=KeyUse.STATUS, at_s=at_s)
    envelope.verify(sealed, key=key, aad=AAD_STATUS_DELTA)
    # 3.
    return _read_delta(sealed.payload, issuer_kid=sealed.kid)


def apply_delta(packed: bytearray, delta: StatusDelta) -> None:
    """Writes the changes of an opened delta into a list of two bits an entry: all of them, or none.

    Raises:
        MalformedError: a change lies beyond the list.
    """
    write_changes(packed, delta.changes)


def _read_list(payload: bytes, *, issuer_kid: bytes = b"") -> ListToken:
    what = "status list"
    claims = cbor.fields(cbor.decode(payload, what=what, limit=STATUS_LIST_BYTES), what=what, known=_CLAIMS)
    issued_s = cbor.time_s(claims.get(_ISSUED), "status list.issued")
    expires_s = cbor.time_s(claims[_EXPIRES], "status list.expires") if _EXPIRES in claims else None
    if expires_s is not None and expires_s <= issued_s:
        raise MalformedError("status list.expires", "not after issued")
    match claims.get(_LIST):
        case {"bits": int(bits), "lst": bytes(lst), **more} if bits == BITS and not more:
            packed = inflate(lst, limit_bytes=STATUS_PACKED_BYTES)
        case _:
            raise MalformedError(what, f"not {{bits: {BITS}, lst: a byte string}}")
    if not packed:
        raise MalformedError("status list.lst", "no entries")
    return ListToken(
        uri=cbor.text(claims.get(_SUBJECT), "status list.uri", 1, URI_CHARS),
        version=cbor.seq(claims.get(_VERSION), "status list.version"),
        issued_s=issued_s,
        expires_s=expires_s,
        packed=bytes(packed),
        issuer_kid=issuer_kid,
    )


def _read_delta(payload: bytes, *, issuer_kid: bytes = b"") -> StatusDelta:
    what = "status delta"
    fields = cbor.fields(
        cbor.decode(payload, what=what, limit=STATUS_DELTA_BYTES), what=what, known=frozenset(range(1, 6))
    )
    delta = StatusDelta(
        uri=cbor.text(fields.get(1), "status delta.uri", 1, URI_CHARS),
        from_version=cbor.seq(fields.get(2), "status delta.from"),
        to_version=cbor.seq(fields.get(3), "status delta.to"),
        issued_s=cbor.time_s(fields.get(4), "status delta.issued"),
        changes=unpack_changes(cbor.sized_bytes(fields.get(5), "status delta.changes", 0, STATUS_DELTA_BYTES)),
        issuer_kid=issuer_kid,
    )
    if delta.to_version < delta.from_version:
        raise MalformedError("status delta.to", "before from")
    if delta.is_heartbeat and delta.changes:
        raise MalformedError("status delta.changes", "changes without a new version")
    return delta
