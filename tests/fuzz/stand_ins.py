"""Keys that believe everything, so that a run reaches what lies behind a signature.

Nearly every mutation of a signed object dies at its signature. These stand in for the keys and let every signature
pass, so that the public function reads the payload; `sealed` puts an envelope of the right lengths around one.
`forgery` in `signed_targets.py` is the opposite: whole objects, with real keys.
"""

from types import SimpleNamespace
from typing import Any

from protocol import cbor
from protocol.keys import EDDSA, SIGNATURE_BYTES
from protocol.vectors.raw import KEYS

PUBLIC = KEYS["hub"].key.public
KID = PUBLIC.kid
_HEADERS = {None: cbor.encode({1: EDDSA, 4: KID})}


class _Whatever:
    """Differs from nothing, equals nothing."""

    __hash__ = None

    def __eq__(self, _other: object) -> bool:
        return False

    def __ne__(self, _other: object) -> bool:
        return False


class AnyKey:
    """A public key that fits every key id and every signature."""

    kid = alg = _Whatever()

    def verify(self, _message: bytes, _signature: bytes) -> None:
        """Fits."""


ANY_KEY: Any = AnyKey()


class _AnyKeys(dict):
    def get(self, _kid: bytes, _default: object = None) -> AnyKey:
        return ANY_KEY


ANY_KEYS: Any = _AnyKeys()
ANY_TRUST: Any = SimpleNamespace(find=lambda _kid, *, use, at_s: ANY_KEY, resolver=None)


class _NoSignature:
    public = PUBLIC

    def sign(self, _message: bytes) -> bytes:
        return bytes(SIGNATURE_BYTES)


UNSIGNED: Any = _NoSignature()
"""Seals with a signature of zeros, as `sealed` does."""


def sealed(payload: bytes, *, typ: str | None = None) -> bytes:
    """A payload -> an object in the form of this wire that only `ANY_KEY` believes."""
    header = _HEADERS.get(typ)
    if header is None:
        header = _HEADERS[typ] = cbor.encode({1: EDDSA, 4: KID, 16: typ})
    return b"".join(
        (b"\xd2\x84", _head(len(header)), header, b"\xa0", _head(len(payload)), payload, b"\x58\x40", bytes(64))
    )


def _head(length: int) -> bytes:
    if length < 24:
        return bytes([0x40 + length])
    if length < 256:
        return bytes([0x58, length])
    return b"\x59" + length.to_bytes(2, "big") if length < 65536 else b"\x5a" + length.to_bytes(4, "big")


class _Silent:
    """Takes any call and attribute and says nothing."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_: object, **__: object) -> Any:
        return self


SILENT: Any = _Silent()
