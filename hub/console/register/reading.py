"""A place and a time -> the newest rows of its register, page by page, in bounded steps."""

from dataclasses import dataclass, replace
from typing import Final

from hub.model import StoredCheckIn
from hub.store.register_ports import RegisterStore, Wanted

SCAN_ROWS_MOST: Final = 200_000
"""Looked through for one page: half a second of one core. A page that ends by it says so; the next goes on there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Rows, the last to arrive first. `next_id`: rows before this one are still to be looked through; None: none is."""

    rows: tuple[StoredCheckIn, ...]
    scanned_rows: int
    next_id: int | None


async def newest_first(
    store: RegisterStore, wanted: Wanted, *, before_id: int | None, limit: int, scan_most: int = SCAN_ROWS_MOST
) -> Found:
    """At most `limit` wanted rows that arrived before a row."""
    found: list[StoredCheckIn] = []
    scanned = 0
    for span in reversed(await store.spans(from_ms=wanted.from_ms, to_ms=wanted.to_ms)):
        last_id = span.last_id if before_id is None else min(span.last_id, before_id - 1)
        if last_id < span.first_id:
            continue
        if scanned >= scan_most:
            return Found(rows=tuple(found), scanned_rows=scanned, next_id=last_id + 1)
        rows = await store.rows_of(replace(span, last_id=last_id), wanted, personal=True)
        scanned += last_id - span.first_id + 1
        found += reversed(rows)
        if len(found) > limit:
            return Found(rows=tuple(found[:limit]), scanned_rows=scanned, next_id=found[limit - 1].row_id)
    return Found(rows=tuple(found), scanned_rows=scanned, next_id=None)
