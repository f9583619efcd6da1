"""The number on the slip: what a person who was not admitted is told, to appeal with.

Eight characters of Crockford's Base32 over the first 40 bits of the check-in's hash. Gate, hub and platform find the
same record by it, each on its own, and it says nothing about the person: the hash covers the sealed subject.
"""

from protocol.checkin import HASH_BYTES
from protocol.errors import MalformedError

SLIP_BYTES = 5
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def slip_number(checkin_hash: bytes) -> str:
    """A check-in's hash, 32 bytes -> its number, such as `7K3M-9QXA`."""
    if len(checkin_hash) != HASH_BYTES:
        raise ValueError(f"a check-in's hash has {HASH_BYTES} bytes, not {len(checkin_hash)}")
    value = int.from_bytes(checkin_hash[:SLIP_BYTES], "big")
    text = "".join(_ALPHABET[value >> shift & 31] for shift in range(35, -1, -5))
    return f"{text[:4]}-{text[4:]}"


def read_slip(text: str) -> bytes:
    """A number as somebody writes it down -> the first 5 bytes of the hash.

    Case, dashes and spaces do not count; I and L are read as 1, O as 0.

    Raises:
        MalformedError: not eight such characters.
    """
    plain = text.upper().translate(_READ_AS)
    if len(plain) != 8 or any(character not in _ALPHABET for character in plain):
        raise MalformedError("slip number", "not eight letters and digits, such as 7K3M-9QXA")
    value = 0
    for character in plain:
        value = value << 5 | _ALPHABET.index(character)
    return value.to_bytes(SLIP_BYTES, "big")
