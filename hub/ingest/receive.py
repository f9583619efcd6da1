"""Delivery -> CheckIns | PresenceSaid | Refused. Stage 1 of ingest. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from protocol import topics
from protocol.checkin import SealedCheckIn, decode_message, parse_checkin
from protocol.errors import ProtocolError
from protocol.presence import DevicePresence, decode_device_presence
from protocol.record import record

_TOPICS_MAX: Final = 16_384
"""Each gate writes to five topics, again and again."""
Parse = Callable[[bytes], SealedCheckIn]
"""Raises ProtocolError for what is no check-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An entry of a message that is no check-in. `reason` is stable, such as `malformed`."""

    data: bytes
    reason: str
    detail: str


@record
class CheckIns:
    """What one device sent in one message; its 1 to 64 entries are parsed and not verified."""

    entries: tuple[SealedCheckIn | Unreadable, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceSaid:
    """What a device says it holds."""

    presence: DevicePresence


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message as a whole that says nothing. `keep`: its bytes are evidence, for it came as check-ins."""

    reason: str
    detail: str
    keep: bool


@lru_cache(maxsize=_TOPICS_MAX)
def read_topic(topic: str) -> tuple[bytes, str] | None:
    """Topic -> (device id of 8 bytes, last level), or None when it is no device's."""
    try:
        return topics.parse_device_topic(topic)
    except ProtocolError:
        return None


def read_payload(leaf: str, payload: bytes, *, parse: Parse = parse_checkin) -> CheckIns | PresenceSaid | Refused:
    """The payload of a device's topic, within the wire's limits. `parse` reads one check-in of a message."""
    try:
        if leaf == "checkins":
            return CheckIns(entries=tuple([_read_entry(data, parse) for data in decode_message(payload)]))
        if leaf == "presence":
            return PresenceSaid(presence=decode_device_presence(payload))
    except ProtocolError as error:
        return Refused(reason=error.reason, detail=str(error), keep=leaf == "checkins")
    return Refused(reason="bad_topic", detail=leaf, keep=False)


def _read_entry(data: bytes, parse: Parse) -> SealedCheckIn | Unreadable:
    try:
        return parse(data)
    except ProtocolError as error:
        return Unreadable(data=data, reason=error.reason, detail=str(error))
