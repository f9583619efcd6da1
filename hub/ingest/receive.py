"""Delivery -> CheckIns | PresenceSaid | Refused. Stage 1 of ingest. Pure."""

from dataclasses import dataclass

from protocol import topics
from protocol.checkin import SealedCheckIn, decode_message, parse_checkin
from protocol.errors import ProtocolError
from protocol.presence import DevicePresence, decode_device_presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An entry of a message that is no check-in. `reason` is stable, such as `malformed`."""

    data: bytes
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
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


def read_topic(topic: str) -> tuple[bytes, str] | None:
    """Topic -> (device id of 8 bytes, last level), or None when it is no device's."""
    try:
        return topics.parse_device_topic(topic)
    except ProtocolError:
        return None


def read_payload(leaf: str, payload: bytes) -> CheckIns | PresenceSaid | Refused:
    """The payload of a device's topic, within the wire's limits."""
    try:
        if leaf == "checkins":
            return CheckIns(entries=tuple(_read_entry(data) for data in decode_message(payload)))
        if leaf == "presence":
            return PresenceSaid(presence=decode_device_presence(payload))
    except ProtocolError as error:
        return Refused(reason=error.reason, detail=str(error), keep=leaf == "checkins")
    return Refused(reason="bad_topic", detail=leaf, keep=False)


def _read_entry(data: bytes) -> SealedCheckIn | Unreadable:
    try:
        return parse_checkin(data)
    except ProtocolError as error:
        return Unreadable(data=data, reason=error.reason, detail=str(error))
