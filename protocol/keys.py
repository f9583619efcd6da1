"""Keys and their ids: Ed25519 (EdDSA, -8) and P-256 (ES256, -7), as COSE_Key maps (RFC 9052 §7, RFC 9053 §2)."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Protocol

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from protocol import cbor
from protocol.errors import MalformedError, SignatureError, UnsupportedError

EDDSA = -8
ES256 = -7
KID_BYTES = 8
SIGNATURE_BYTES = 64
SEED_BYTES = 32
_KEY_LIMIT_BYTES = 256
_KEPT_OPEN = 1 << 16
"""A hub of 16,000 gates, each of which has changed its key three times, has as many: some 30 MB."""
_P256_PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class VerifyKey:
    """A public key that has been checked: on its curve, canonical, not of small order.

    Built by `ed25519`, `p256`, `from_cose` or `decode_key`. `x` and `y` are big-endian, 32 bytes; `y` is empty
    for Ed25519.
    """

    alg: int
    x: bytes
    y: bytes = b""
    kid: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        thumbprint = hashlib.sha256(cbor.encode(self.cose_key)).digest()
        object.__setattr__(self, "kid", thumbprint[:KID_BYTES])

    @classmethod
    def ed25519(cls, public: bytes) -> "VerifyKey":
        """32 bytes -> key.

        Raises:
            MalformedError: not 32 bytes, not a canonical point of the main subgroup, or of small order.
        """
        if len(public) != 32 or not nacl.bindings.crypto_core_ed25519_is_valid_point(public):
            raise MalformedError("key", "not a valid Ed25519 public key")
        return cls(EDDSA, public)

    @classmethod
    def p256(cls, x: bytes, y: bytes) -> "VerifyKey":
        """Two coordinates of 32 bytes -> key.

        Raises:
            MalformedError: not a point of P-256.
        """
        key = cls(ES256, x, y)
        if len(x) != 32 or len(y) != 32:
            raise MalformedError("key", "P-256 coordinates are 32 bytes each")
        # OpenSSL reduces larger ones, and one key would have two ids.
        if max(int.from_bytes(x, "big"), int.from_bytes(y, "big")) >= _P256_PRIME:
            raise MalformedError("key", "a coordinate is not below the prime of P-256")
        try:
            _ = key._p256
        except ValueError as error:
            raise MalformedError("key", "not a point of P-256") from error
        return key

    @classmethod
    def from_cose(cls, value: Any) -> "VerifyKey":
        """A decoded COSE_Key map -> key (RFC 9053 §7).

        Raises:
            MalformedError: fields missing or of the wrong type, or no valid point.
            UnsupportedError: another key type or curve.
        """
        if type(value) is not dict:
            raise MalformedError("key", "not a map")
        if type(value.get(1)) is not int or type(value.get(-1)) is not int:  # true would match 1 below
            raise MalformedError("key", "key type or curve is missing or not an integer")
        match value:
            case {1: 1, -1: 6, -2: bytes(x)} if len(value) == 3:
                return cls.ed25519(x)
            case {1: 2, -1: 1, -2: bytes(x), -3: bytes(y)} if len(value) == 4:
                return cls.p256(x, y)
            case {1: 1, -1: 6} | {1: 2, -1: 1}:
                raise MalformedError("key", "coordinates are missing, of the wrong type, or not alone")
        raise UnsupportedError("key", f"key type {value[1]} with curve {value[-1]}")

    @property
    def cose_key(self) -> dict[int, Any]:
        """The COSE_Key map with the members of its thumbprint only (RFC 9679 §4)."""
        if self.alg == EDDSA:
            return {1: 1, -1: 6, -2: self.x}
        return {1: 2, -1: 1, -2: self.x, -3: self.y}

    @cached_property
    def _p256(self) -> ec.EllipticCurvePublicKey:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(self.x, "big"), int.from_bytes(self.y, "big"), ec.SECP256R1()
        )
        return numbers.public_key()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks a raw 64-byte signature: R‖S (RFC 8032 §5.1.7) or r‖s (RFC 9053 §2.1).

        Raises:
            SignatureError: it does not fit.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureError("signature", f"{len(signature)} bytes instead of {SIGNATURE_BYTES}")
        try:
            if self.alg == EDDSA:
                nacl.bindings.crypto_sign_open(signature + message, self.x)
            else:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                self._p256.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except (nacl.exceptions.BadSignatureError, InvalidSignature) as error:
            raise SignatureError("signature", "does not fit the bytes and the key") from error


class SigningKey(Protocol):
    """Whatever can sign: a file today, a TPM or PKCS#11 token behind the same two names."""

    @property
    def public(self) -> VerifyKey:
        """The key that verifies."""

    def sign(self, message: bytes) -> bytes:
        """Message -> raw 64-byte signature; ES256 with low s."""


class Ed25519SigningKey:
    """An Ed25519 key made from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        public, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.public = VerifyKey.ed25519(public)

    def sign(self, message: bytes) -> bytes:
        """Message -> R‖S."""
        return nacl.bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]


class P256SigningKey:
    """A P-256 key; signatures are deterministic (RFC 6979) and have low s."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP256R1):
            raise ValueError(f"the curve is {private.curve.name}, not P-256")  # noqa: TRY004 - right type, wrong curve
        self._private = private
        numbers = private.public_key().public_numbers()
        self.public = VerifyKey.p256(numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))

    def sign(self, message: bytes) -> bytes:
        """Message -> r‖s."""
        der = self._private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def low_s(signature: bytes) -> bytes:
    """The one of an ES256 signature's two forms, (r, s) and (r, n-s), that has the smaller s.

    Anyone can turn one form into the other without the key, so only one of them may name a thing.
    """
    s = int.from_bytes(signature[32:], "big")
    if not _P256_ORDER // 2 < s < _P256_ORDER:
        return signature
    return signature[:32] + (_P256_ORDER - s).to_bytes(32, "big")


def encode_key(key: VerifyKey) -> bytes:
    """Key -> deterministic COSE_Key."""
    return cbor.encode(key.cose_key)


@lru_cache(_KEPT_OPEN)
def decode_key(data: bytes) -> VerifyKey:
    """Deterministic COSE_Key -> key. The same bytes give the same object: to check a point takes 0.1 ms, and a hub
    opens the keys of all its gates again whenever one of them changes.

    Raises:
        MalformedError: not a COSE_Key of ours.
        UnsupportedError: another key type or curve.
    """
    return VerifyKey.from_cose(cbor.decode(data, what="key", limit=_KEY_LIMIT_BYTES))
