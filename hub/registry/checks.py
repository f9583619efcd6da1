"""What an operator types or hands over -> checked values. Pure."""

import re
import unicodedata
from typing import Final

from protocol.errors import ProtocolError
from protocol.keys import VerifyKey, decode_key
from protocol.limits import NAME_CHARS

DISPLAY_CHARS: Final = 64
"""A name is shown on one line of a list."""
REASON_CHARS: Final = 200
"""A reason is a sentence, not a report."""

_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_CHARS}}}", re.ASCII)
_REGION: Final = re.compile(r"[0-9]{2,12}", re.ASCII)
_DEVICE_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)


class RegistryError(Exception):
    """Something cannot be registered; the sentence says what and why."""


class RequestRefusedError(RegistryError):
    """What a device asked for is not granted; `reason` is stable, and goes to the device and into the audit log."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


def checked_id(text: str, *, what: str) -> str:
    """A place or gate id: it stands in topics, on posters and in every check-in.

    Raises:
        RegistryError: `what` has an id of other characters, or a longer one.
    """
    if not _ID.fullmatch(text):
        raise RegistryError(f"{what} {text!r}: 1 to {NAME_CHARS} letters, digits, dots, dashes or underscores")
    return text


def checked_device_id(text: str) -> bytes:
    """A device id's text form -> 8 bytes.

    Raises:
        RegistryError: not 16 lower-case hex digits.
    """
    if not _DEVICE_ID.fullmatch(text):
        raise RegistryError(f"device id {text!r}: 16 lower-case hex digits, as on the device's certificate")
    return bytes.fromhex(text)


def checked_line(text: str, *, what: str, limit_chars: int = DISPLAY_CHARS) -> str:
    """A line for people, such as a name or a reason; may be empty.

    Raises:
        RegistryError: too long, or with characters that steer a terminal or reverse the writing.
    """
    if len(text) > limit_chars:
        raise RegistryError(f"{what}: {len(text)} characters, at most {limit_chars} are allowed")
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise RegistryError(f"{what} {text!r}: control characters are not allowed")
    return text


def checked_region(text: str) -> str:
    """An administrative division code of 2 to 12 digits, or empty.

    Raises:
        RegistryError: something else.
    """
    if text and not _REGION.fullmatch(text):
        raise RegistryError(f"region {text!r}: a division code of 2 to 12 digits, such as 110105")
    return text


def checked_key(data: bytes) -> VerifyKey:
    """A device's public key, as a deterministic COSE_Key -> key, checked to be a sound one.

    Raises:
        RegistryError: no such key, of another kind, or one that anybody could sign with.
    """
    try:
        return decode_key(data)
    except ProtocolError as error:
        raise RegistryError(f"the key file holds no device key: {error}") from error
