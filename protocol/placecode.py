"""The place code: what a poster at a door shows, and a person's phone scans.

The text is `GLP1:` + Base45(COSE_Sign1), signed by a key of the platform with the use `place`. It says which place this
is and nothing else; what a phone gets for it, the platform answers. A reissued code has a higher serial, and the
platform knows no other than the newest.
"""

import re
from dataclasses import dataclass
from typing import Any

from protocol import base45, cbor, envelope
from protocol.envelope import AAD_PLACE, Sealed
from protocol.errors import LimitError, MalformedError, UnsupportedError
from protocol.keys import SigningKey
from protocol.limits import PLACE_CODE_BYTES, PLACE_NAME_CHARS, QR_TEXT_CHARS
from protocol.trust import KeyUse, TrustBundle

PREFIX = "GLP1:"
_WHAT = "place code"
_ANY_VERSION = re.compile(r"GLP[1-9][0-9]?:")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCode:
    """This is that place. `serial` counts a place's codes from 1."""

    place: str
    name: str
    serial: int
    issued_s: int


def is_place_code(text: str) -> bool:
    """Whether a text claims to be a place code, of any version."""
    return _ANY_VERSION.match(text) is not None


def seal_place_code(code: PlaceCode, *, key: SigningKey) -> str:
    """Place code -> the text of its QR, as the platform makes it.

    Raises:
        LimitError, MalformedError: one that a phone would refuse.
    """
    payload = cbor.encode({1: code.place, 2: code.name, 3: code.serial, 4: code.issued_s})
    _read_place_code(payload)
    data = envelope.seal(payload, key=key, aad=AAD_PLACE)
    if len(data) > PLACE_CODE_BYTES:
        raise LimitError(_WHAT, f"{len(data)} bytes, at most {PLACE_CODE_BYTES} are allowed")
    return place_code_text(data)


def place_code_text(data: bytes) -> str:
    """A place code's COSE bytes -> the text of its QR."""
    return PREFIX + base45.encode(data)


def open_place_code(text: str, *, trust: TrustBundle, at_s: int) -> PlaceCode:
    """Scanned text -> place code. Whether it is the place's newest, the platform says.

    1. The text begins with `GLP1:` and is within its limit.
    2. Base45, then a COSE_Sign1 of this wire's form.
    3. Signed by a key that may sign place codes at this time.
    4. The code, each field within its bounds.

    Args:
        text: as scanned.
        trust: the bundle in force.
        at_s: now.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a place code.
        UnknownKeyError: signed by no trusted key.
        KeyUseError: the key is not for this, or not now.
        SignatureError: the signature does not fit.
    """
    # 1. and 2.
    sealed = _parse(text)
    # 3.
    key = trust.find(sealed.kid, use=KeyUse.PLACE, at_s=at_s)
    envelope.verify(sealed, key=key, aad=AAD_PLACE)
    # 4.
    return _read_place_code(sealed.payload)


def read_line(value: Any, where: str, most_chars: int) -> str:
    """A text of one line that people read on posters and screens: nothing in it may steer either.

    Raises:
        MalformedError: empty, too long, or with a character that cannot be printed.
    """
    text = cbor.text(value, where, 1, most_chars)
    if not text.isprintable():
        raise MalformedError(where, "a character that cannot be printed")
    return text


def _parse(text: str) -> Sealed:
    if len(text) > QR_TEXT_CHARS:
        raise LimitError(_WHAT, f"{len(text)} characters, at most {QR_TEXT_CHARS} are allowed")
    if not is_place_code(text):
        raise MalformedError(_WHAT, f"the text does not begin with {PREFIX}")
    if not text.startswith(PREFIX):
        raise UnsupportedError(_WHAT, "a later version of this wire")
    return envelope.parse(base45.decode(text[len(PREFIX) :]), what=_WHAT, limit=PLACE_CODE_BYTES)


def _read_place_code(payload: bytes) -> PlaceCode:
    fields = cbor.fields(
        cbor.decode(payload, what=_WHAT, limit=PLACE_CODE_BYTES), what=_WHAT, known=frozenset({1, 2, 3, 4})
    )
    return PlaceCode(
        place=cbor.name(fields.get(1), f"{_WHAT}.place"),
        name=read_line(fields.get(2), f"{_WHAT}.name", PLACE_NAME_CHARS),
        serial=cbor.seq(fields.get(3), f"{_WHAT}.serial"),
        issued_s=cbor.time_s(fields.get(4), f"{_WHAT}.issued"),
    )
