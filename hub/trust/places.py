"""Which places the platform keeps closed, written down with an audit entry each."""

import re
from typing import Final, Protocol

from hub.model import AuditEntry
from hub.store.trust_ports import ClosedBy, Closing
from hub.trust.ports import Clock, ClosedPlace
from hub.trust.words import one_line
from protocol.errors import LimitError, MalformedError
from protocol.limits import NAME_CHARS

CLOSED_MAX: Final = 10_000
"""More places than any operator has; the platform must not fill the disk."""
WHY_CHARS: Final = 200
_PLACE: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_CHARS}}}", re.ASCII)


class ClosingStore(Protocol):
    """The part of `hub.store.trust_ports.TrustStore` that is used here."""

    async def closings(self) -> tuple[Closing, ...]:
        """Every place that somebody keeps closed."""

    async def close_place(self, closing: Closing, *, audit: AuditEntry) -> bool:
        """False when it is closed by the same side already."""

    async def open_place(self, place_id: str, *, by: ClosedBy, audit: AuditEntry) -> bool:
        """End this side's closing."""


class PlatformPlaces:
    """The platform's own closings; those of operators stay as they are."""

    def __init__(self, *, store: ClosingStore, now_ms: Clock) -> None:
        self._store, self._now_ms = store, now_ms

    async def mark(self, place: ClosedPlace, *, closed: bool) -> None:
        """Close or open one place.

        Raises:
            MalformedError: that is no place's id.
            LimitError: more places than there can be.
            StoreError: nothing was written.
        """
        _require_id(place.place_id)
        if not closed:
            await self._open(place.place_id)
            return
        known = await self._closed()
        if place.place_id not in known and len(known) >= CLOSED_MAX:
            raise LimitError("places", f"more than {CLOSED_MAX} closed")
        await self._close(place)

    async def replace(self, places: tuple[ClosedPlace, ...]) -> None:
        """These and no others are closed by the platform.

        Raises:
            MalformedError, LimitError: as `mark`; nothing was changed.
            StoreError: perhaps only some were written.
        """
        if len(places) > CLOSED_MAX:
            raise LimitError("places", f"more than {CLOSED_MAX} closed")
        for place in places:
            _require_id(place.place_id)
        for place in places:
            await self._close(place)
        for place_id in await self._closed() - {place.place_id for place in places}:
            await self._open(place_id)

    async def _closed(self) -> set[str]:
        return {closing.place_id for closing in await self._store.closings() if closing.by is ClosedBy.PLATFORM}

    async def _close(self, place: ClosedPlace) -> None:
        now_ms, why = self._now_ms(), one_line(place.why, WHY_CHARS)
        audit = AuditEntry(at_ms=now_ms, who="platform", action="place.close", detail=f"{place.place_id}: {why}")
        closing = Closing(place_id=place.place_id, by=ClosedBy.PLATFORM, why=why, since_ms=now_ms)
        await self._store.close_place(closing, audit=audit)

    async def _open(self, place_id: str) -> None:
        audit = AuditEntry(at_ms=self._now_ms(), who="platform", action="place.open", detail=place_id)
        await self._store.open_place(place_id, by=ClosedBy.PLATFORM, audit=audit)


def _require_id(place_id: str) -> None:
    if not _PLACE.fullmatch(place_id):
        raise MalformedError("place", f"no place's id: {place_id!r:.80}")
