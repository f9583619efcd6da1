"""What a store keeps of the live side: newest rows, counts that last, alerts and who is told of them.

The rules of `hub.store.ports` hold here too: every method that writes is one transaction, and every method may raise
`StoreWriteError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

from hub.model import AuditEntry
from protocol.terms import Clock, Colour, Direction, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """A stored check-in as a wall shows it. `masked` is None where the policy keeps none, or nobody asked for it."""

    row_id: int
    device_id: bytes
    hash: bytes
    at_ms: int
    received_ms: int
    place_id: str
    gate_id: str
    direction: Direction
    colour: Colour
    verdict: Verdict
    clock: Clock
    code: bytes
    masked: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """How many check-ins of one sort a gate had in an hour (hours since 1970)."""

    place_id: str
    hour: int
    gate_id: str
    colour: Colour
    verdict: Verdict
    direction: Direction
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLive:
    """What a place is watched by."""

    place_id: str
    people_most: int | None = None
    """None: no limit."""
    day_begins_h: int = 4
    """Local hour at which nobody is there: counts and occupancy begin anew."""
    escalate_min: int = 5
    """After so long without an answer an alert goes to the next level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsNow:
    """Counts since some hour, and the newest row that is in them: one moment of the database."""

    counts: tuple[HourCount, ...]
    untimed: dict[tuple[str, int], int]
    """By place and hour."""
    newest_id: int


class Level(IntEnum):
    """Who is told: each has more authority than the one before, and fewer people."""

    COMMUNITY = 1
    REGULATOR = 2
    HEADQUARTERS = 3


class DeliveryState(StrEnum):
    """Where the telling of one channel stands."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


RED = "red"
"""The kind of an alert that a check-in raised. All other kinds are troubles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlert:
    """Something that people must know of now."""

    kind: str
    about: str
    """Of each kind and this at most one stands at a time."""
    place_id: str = ""
    gate_id: str = ""
    device_id: bytes | None = None
    row_id: int | None = None
    slip: str = ""
    detail: str = ""
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One that was raised. It is open while nobody has acknowledged it and it has not ended by itself."""

    alert_id: int
    kind: str
    about: str
    place_id: str
    gate_id: str
    device_id: bytes | None
    row_id: int | None
    slip: str
    detail: str
    at_ms: int
    raised_ms: int
    newest_ms: int
    times: int
    level: Level
    level_ms: int
    acknowledged_ms: int | None
    acknowledged_by: str
    ended_ms: int | None

    @property
    def open(self) -> bool:
        """Whether somebody has still to look after it."""
        return self.acknowledged_ms is None and self.ended_ms is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One thing that happened to an alert; never changed."""

    event_id: int
    alert_id: int
    at_ms: int
    who: str
    what: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts are asked for. An empty value asks for all."""

    state: str = ""
    """`open`, `acknowledged`, `ended`."""
    kind: str = ""
    """`red`, `trouble`, or one kind."""
    place_id: str = ""
    scope: frozenset[tuple[str, str]] | None = None
    """(place, gate) that the asker may see, an empty gate for the whole place; None: everything."""
    before_id: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to tell somebody."""

    channel_id: int = 0
    name: str
    level: Level
    place_id: str = ""
    region: str = ""
    reds: bool = True
    troubles: bool = False
    language: str = "zh"
    url: str = field(repr=False)
    """A secret: whoever has it can write there."""
    enabled: bool = True
    changed_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The telling of one alert by one channel."""

    delivery_id: int
    alert_id: int
    channel_id: int
    channel: str
    """The channel's name; empty when it is gone."""
    state: DeliveryState
    attempts: int
    made_ms: int
    next_try_ms: int
    ended_ms: int | None
    detail: str


class LiveStore(Protocol):
    """What the wall, occupancy and alerts need."""

    async def newest_row_id(self) -> int:
        """Of the check-ins; 0 when there is none."""

    async def live_rows(self, *, after_id: int, limit: int, masked: bool) -> tuple[LiveRow, ...]:
        """The rows after one, in order of arrival."""

    async def red_rows(self, *, after_id: int, upto_id: int) -> tuple[LiveRow, ...]:
        """The red ones among the rows after one, in order; at most one span of ids is read."""

    async def counts_since(self, *, from_hour: int) -> CountsNow:
        """Everything counted since an hour, of all places, with the row that was newest then."""

    async def hour_counts(self, *, place_id: str, from_hour: int, to_hour: int) -> tuple[HourCount, ...]:
        """A place's counts of `from_hour <= hour < to_hour`, however old."""

    async def roll_up(self, *, before_minute: int, limit_minutes: int) -> int:
        """Move the oldest `limit_minutes` into the counts by hour; returns how many counts it took.

        What is counted for such a minute later is added to its hour by a later call.
        """

    async def forget_counts(self, *, before_hour: int, limit: int) -> int:
        """Delete the oldest counts by hour; returns how many rows it took."""

    async def certificates_until(self) -> dict[bytes, int]:
        """By device: when the last of its certificates ends, ms. Revoked ones do not count."""

    async def places_live(self) -> tuple[PlaceLive, ...]:
        """Of every place for which something was set."""

    async def set_place_live(self, place: PlaceLive, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when there is no such place."""

    async def alert_cursor(self) -> int:
        """Rows up to here have been looked at."""

    async def raise_alerts(
        self, alerts: Sequence[NewAlert], *, looked_upto: int | None, now_ms: int, most_at_gate: int
    ) -> None:
        """Raise each, or add it to the one that stands already; a row that was added before is not added again.

        With the alert its deliveries are made, one for each channel of its level. Where `most_at_gate` stand at a
        gate, a red joins the newest of them.
        """

    async def end_troubles(self, troubles: Sequence[tuple[str, str]], *, now_ms: int) -> None:
        """These (kind, about) are no more."""

    async def standing_troubles(self) -> tuple[tuple[str, str], ...]:
        """(kind, about) of every trouble that has not ended."""

    async def escalate_due(self, *, now_ms: int, after_min: int) -> int:
        """Open reds that nobody answered go one level up, each after its place's time, or `after_min` where none is
        set; returns how many went.
        """

    async def escalate(self, alert_id: int, *, note: str, audit: AuditEntry) -> Alert:
        """One level up by hand. Raises RegistryConflictError: not open, or at the top."""

    async def acknowledge(self, alert_id: int, *, done: str, audit: AuditEntry) -> Alert:
        """Somebody has looked after it. Raises RegistryConflictError: somebody had already, or it is over."""

    async def find_alert(self, alert_id: int) -> Alert | None:
        """It, in whatever state."""

    async def alerts(self, wanted: AlertFilter, *, limit: int) -> tuple[Alert, ...]:
        """Those asked for, newest first."""

    async def alert_events(self, alert_id: int) -> tuple[AlertEvent, ...]:
        """What happened to it, in order."""

    async def newest_event_id(self) -> int:
        """Grows with whatever happens to any alert."""

    async def events_after(self, event_id: int, *, limit: int) -> tuple[AlertEvent, ...]:
        """What happened to any alert after that."""

    async def channels(self) -> tuple[Channel, ...]:
        """All channels, by level and name."""

    async def put_channel(self, channel: Channel, *, audit: AuditEntry) -> int:
        """A new one (`channel_id` 0), or another content for one; returns its id.

        Raises RegistryConflictError when there is no such one.
        """

    async def remove_channel(self, channel_id: int, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when there is no such one. What waits for it is given up."""

    async def deliveries_of(self, alert_id: int) -> tuple[Delivery, ...]:
        """Who was told of an alert, and who is still to be."""

    async def due_deliveries(self, *, now_ms: int, limit: int) -> tuple[Delivery, ...]:
        """Those waiting whose time has come, longest due first."""

    async def waiting_deliveries(self) -> int:
        """How many people are still to be told."""

    async def end_delivery(self, delivery_id: int, *, state: DeliveryState, detail: str, now_ms: int) -> None:
        """It went, or is given up."""

    async def retry_delivery(self, delivery_id: int, *, next_try_ms: int, detail: str) -> None:
        """It did not go; try it again then."""
