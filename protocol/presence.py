"""Who is there: the retained presence of hub and device, which is also their last will (PROTOCOL §6).

Presence is not signed: it moves nothing but the moment of sending and, on the device's side, the statement
"I no longer hold anything before `oldest_seq`", which the broker's access rules bind to that device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol import cbor
from protocol.checkin import EPOCH_BYTES
from protocol.errors import MalformedError
from protocol.limits import PRESENCE_BYTES, PRESENCE_LISTS, VERSION_CHARS

SESSION_BYTES = 8
LIST_ID_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPresence:
    """`session` is new for each connection of the hub: a device that sees a new one sends again."""

    session: bytes
    online: bool
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePresence:
    """What a device holds. `oldest_seq` is `newest_seq + 1` when its spool is empty; a version of 0 is none.

    `lists` has the version of each status list by the list's id.
    """

    session: bytes
    online: bool
    epoch: bytes
    oldest_seq: int
    newest_seq: int
    firmware: str
    trust_version: int
    policy_version: int
    lists: Mapping[bytes, int] = field(default_factory=dict)


def encode_hub_presence(presence: HubPresence) -> bytes:
    """Presence -> `{1: session, 2: online, 3: at ms}`."""
    return cbor.encode({1: presence.session, 2: presence.online, 3: presence.at_ms})


def decode_hub_presence(data: bytes) -> HubPresence:
    """Bytes -> presence.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "hub presence"
    fields = cbor.fields(cbor.decode(data, what=what, limit=PRESENCE_BYTES), what=what, known=frozenset({1, 2, 3}))
    return HubPresence(
        session=cbor.sized_bytes(fields.get(1), "hub presence.session", SESSION_BYTES),
        online=cbor.boolean(fields.get(2), "hub presence.online"),
        at_ms=cbor.time_ms(fields.get(3), "hub presence.at"),
    )


def encode_device_presence(presence: DevicePresence) -> bytes:
    """Presence -> map with keys 1 to 8 in the order of the fields, and 9 where it has lists."""
    fields: dict[int, Any] = {
        1: presence.session,
        2: presence.online,
        3: presence.epoch,
        4: presence.oldest_seq,
        5: presence.newest_seq,
        6: presence.firmware,
        7: presence.trust_version,
        8: presence.policy_version,
    }
    if presence.lists:
        fields[9] = dict(presence.lists)
    return cbor.encode(fields)


def decode_device_presence(data: bytes) -> DevicePresence:
    """Bytes -> presence.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "device presence"
    fields = cbor.fields(cbor.decode(data, what=what, limit=PRESENCE_BYTES), what=what, known=frozenset(range(1, 10)))
    presence = DevicePresence(
        session=cbor.sized_bytes(fields.get(1), "device presence.session", SESSION_BYTES),
        online=cbor.boolean(fields.get(2), "device presence.online"),
        epoch=cbor.sized_bytes(fields.get(3), "device presence.epoch", EPOCH_BYTES),
        oldest_seq=cbor.seq(fields.get(4), "device presence.oldest"),
        newest_seq=cbor.seq(fields.get(5), "device presence.newest", least=0),
        firmware=cbor.text(fields.get(6), "device presence.firmware", 1, VERSION_CHARS),
        trust_version=cbor.seq(fields.get(7), "device presence.trust_version", least=0),
        policy_version=cbor.seq(fields.get(8), "device presence.policy_version", least=0),
        lists=_read_lists(fields[9]) if 9 in fields else {},
    )
    if presence.oldest_seq > presence.newest_seq + 1:
        raise MalformedError("device presence.oldest", "beyond the newest")
    return presence


def _read_lists(value: Any) -> dict[bytes, int]:
    where = "device presence.lists"
    if type(value) is not dict or not 1 <= len(value) <= PRESENCE_LISTS:
        raise MalformedError(where, f"not a map of 1 to {PRESENCE_LISTS} lists")
    return {
        cbor.sized_bytes(list_id, where, LIST_ID_BYTES): cbor.seq(version, where) for list_id, version in value.items()
    }
