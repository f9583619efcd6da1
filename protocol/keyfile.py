"""What a file with a private signing key holds: one line `ed25519 <32-byte seed in hex>`, or PKCS#8 PEM of a P-256 key.

Public keys lie in files as a COSE_Key (`keys.encode_key`).
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocol.errors import LimitError, MalformedError, UnsupportedError
from protocol.keys import SEED_BYTES, Ed25519SigningKey, P256SigningKey, SigningKey
from protocol.limits import KEY_FILE_BYTES

_ED25519 = b"ed25519 "


def encode_seed(seed: bytes) -> bytes:
    """Ed25519 seed, 32 bytes -> the file's content."""
    return _ED25519 + seed.hex().encode("ascii") + b"\n"


def parse_private(data: bytes) -> SigningKey:
    """The file's content -> key.

    Raises:
        LimitError: longer than any key.
        MalformedError: neither of the two forms.
        UnsupportedError: a key of another kind.
    """
    what = "private key"
    if len(data) > KEY_FILE_BYTES:
        raise LimitError(what, f"over {KEY_FILE_BYTES} bytes, no key is that long")
    if data.startswith(_ED25519):
        try:
            seed = bytes.fromhex(data.removeprefix(_ED25519).decode("ascii"))
        except ValueError as error:
            raise MalformedError(what, "the seed is not hexadecimal") from error
        if len(seed) != SEED_BYTES:
            raise MalformedError(what, f"a seed of {len(seed)} bytes instead of {SEED_BYTES}")
        return Ed25519SigningKey(seed)
    try:
        private = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise MalformedError(what, "neither an `ed25519` line nor a PEM without password") from error
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(what, "a kind of key that is not known here") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise UnsupportedError(what, "neither Ed25519 nor P-256")
    return P256SigningKey(private)
