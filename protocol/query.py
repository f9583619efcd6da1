"""What a gate asks the platform, sealed so that the hub which passes it on cannot read it.

HPKE (`sealing.py`) to the resolver's key from the trust bundle. The text is padded, so that its length tells nothing
either.

Base mode does not say who sealed. So the id, which comes back in the signed answer, is a hash over what is asked and a
nonce that only the gate and the platform see: whoever stands between can seal a question of his own under this id only
by finding a second preimage, and cannot have another person's colour answered for the one who stands at the gate.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor
from protocol.checkin import DEVICE_BYTES
from protocol.errors import MalformedError
from protocol.limits import QUERY_BYTES, QUERY_PADDED_BYTES, QUERY_TEXT_CHARS
from protocol.padding import pad, unpad
from protocol.sealing import SEALING_BYTES, open_sealed, seal_to
from protocol.terms import Scheme

QUERY_ID_BYTES = 16
QUERY_NONCE_BYTES = 16
_INFO = b"gatelight/resolve/1"
_ID = b"gatelight/query-id/1"
_SCHEMES = frozenset({Scheme.CARD_NUMBER, Scheme.OPAQUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a gate asks: whose is this text? `nonce` is random; `id` follows from all that counts and comes back.

    The text, which may be an identity number, stands in no representation, so that none reaches a log.
    """

    nonce: bytes = field(repr=False)
    device: bytes
    place: str
    gate: str
    scheme: Scheme
    text: str = field(repr=False)

    @property
    def id(self) -> bytes:
        """The first 16 bytes of SHA-256 over `gatelight/query-id/1`, nonce, device, scheme (one byte) and the text.

        Raises:
            MalformedError: the text is not Unicode.
        """
        asked = self.nonce + self.device + bytes([self.scheme]) + _utf8(self.text)
        return hashlib.sha256(_ID + asked).digest()[:QUERY_ID_BYTES]


def seal_query(query: Query, *, resolver: bytes) -> bytes:
    """Query -> `{1: id, 2: HPKE ciphertext}`, which only the holder of the resolver's key can read.

    Args:
        query: what is asked.
        resolver: the X25519 public key from the trust bundle, 32 bytes.

    Raises:
        MalformedError: a query that the platform would refuse, or no key that anything can be sealed to.
    """
    plain = cbor.encode(
        {
            1: query.nonce,
            2: query.device,
            3: query.place,
            4: query.gate,
            5: query.scheme,
            6: pad(_utf8(query.text), step=QUERY_PADDED_BYTES),
        }
    )
    _read_query(plain)
    sealed = seal_to(resolver, plain, info=_INFO + query.id, where="resolver")
    return cbor.encode({1: query.id, 2: sealed})


def query_id(data: bytes) -> bytes:
    """Sealed query -> its id, for the hub, which cannot read the rest.

    Raises:
        LimitError, MalformedError: not a sealed query.
    """
    return _read_sealed(data)[0]


def open_query(data: bytes, *, private: X25519PrivateKey) -> Query:
    """Sealed query -> query, as the platform reads it.

    1. The outer map, within its limit.
    2. The ciphertext opens with this key, for this id.
    3. The query, each field within its bounds, the padding exact.
    4. The id outside is the one that follows from what is inside.

    Raises:
        LimitError, MalformedError: not a query.
        SignatureError: sealed to another key or id, or altered.
    """
    # 1.
    outer_id, sealed = _read_sealed(data)
    # 2.
    plain = open_sealed(sealed, private=private, info=_INFO + outer_id, where="query")
    # 3.
    query = _read_query(plain)
    # 4.
    if query.id != outer_id:
        raise MalformedError("query.id", "another question than the id outside stands for")
    return query


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which a decoder of pictures may give
        raise MalformedError("query.text", "not Unicode") from error


def _unpad(value: Any) -> str:
    where = "query.text"
    if type(value) is not bytes:
        raise MalformedError(where, "missing" if value is None else "not a byte string")
    try:
        text = unpad(value, where, step=QUERY_PADDED_BYTES).decode()
    except UnicodeDecodeError as error:
        raise MalformedError(where, "not UTF-8") from error
    return cbor.text(text, where, 1, QUERY_TEXT_CHARS)


def _read_sealed(data: bytes) -> tuple[bytes, bytes]:
    what = "sealed query"
    fields = cbor.fields(cbor.decode(data, what=what, limit=QUERY_BYTES), what=what, known=frozenset({1, 2}))
    return (
        cbor.sized_bytes(fields.get(1), "sealed query.id", QUERY_ID_BYTES),
        cbor.sized_bytes(fields.get(2), "sealed query.ciphertext", SEALING_BYTES, QUERY_BYTES),
    )


def _read_query(plain: bytes) -> Query:
    what = "query"
    fields = cbor.fields(cbor.decode(plain, what=what, limit=QUERY_BYTES), what=what, known=frozenset(range(1, 7)))
    scheme = cbor.member(fields.get(5), "query.scheme", Scheme)
    if scheme not in _SCHEMES:
        raise MalformedError("query.scheme", "only card numbers and opaque codes are looked up")
    return Query(
        nonce=cbor.sized_bytes(fields.get(1), "query.nonce", QUERY_NONCE_BYTES),
        device=cbor.sized_bytes(fields.get(2), "query.device", DEVICE_BYTES),
        place=cbor.name(fields.get(3), "query.place"),
        gate=cbor.name(fields.get(4), "query.gate"),
        scheme=scheme,
        text=_unpad(fields.get(6)),
    )
