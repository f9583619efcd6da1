"""Base45, the alphabet of alphanumeric QR codes (RFC 9285)."""

from protocol.errors import MalformedError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Bytes -> text: three characters for two bytes, two for a last single one (RFC 9285 §4)."""
    out: list[str] = []
    for at in range(0, len(data) - 1, 2):
        high, low = divmod(data[at] * 256 + data[at + 1], 45)
        high, middle = divmod(high, 45)
        out += (ALPHABET[low], ALPHABET[middle], ALPHABET[high])
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        out += (ALPHABET[low], ALPHABET[high])
    return "".join(out)


def decode(text: str) -> bytes:
    """Text -> bytes.

    Raises:
        MalformedError: a character outside the alphabet, an impossible length, or a group whose value
            does not fit into its bytes (RFC 9285 §6).
    """
    try:
        values = [_VALUES[character] for character in text]
    except KeyError as error:
        raise MalformedError("base45", f"character {error.args[0]!r} is not in the alphabet") from error
    if len(values) % 3 == 1:
        raise MalformedError("base45", "a single character is left over")
    out = bytearray()
    for at in range(0, len(values) - 2, 3):
        number = values[at] + 45 * values[at + 1] + 2025 * values[at + 2]
        if number > 0xFFFF:
            raise MalformedError("base45", f"the group at {at} is larger than two bytes")
        out += number.to_bytes(2, "big")
    if len(values) % 3 == 2:
        number = values[-2] + 45 * values[-1]
        if number > 0xFF:
            raise MalformedError("base45", "the last group is larger than a byte")
        out.append(number)
    return bytes(out)
