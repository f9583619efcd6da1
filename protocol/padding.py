"""Padding before sealing, so that lengths tell little (ISO/IEC 7816-4): one byte 0x80, zeros up to a multiple."""

from protocol.errors import MalformedError

_BEGIN = b"\x80"


def pad(data: bytes, *, step: int) -> bytes:
    """Bytes -> bytes whose length is a multiple of `step`, always longer than before."""
    padded = data + _BEGIN
    return padded + bytes(-len(padded) % step)


def unpad(data: bytes, where: str, *, step: int) -> bytes:
    """Padded bytes -> bytes.

    Raises:
        MalformedError: not padded, or not as `pad` does it.
    """
    if not data or len(data) % step:
        raise MalformedError(where, f"not in steps of {step} bytes")
    begun = data.rstrip(b"\x00")
    if not begun.endswith(_BEGIN) or len(data) - len(begun) >= step:
        raise MalformedError(where, "wrongly padded")
    return begun[:-1]
