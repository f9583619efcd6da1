"""The audit log: page by page, verified, exported. Reading it is written down in it too."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import PAGE_MOST, REFUSALS, Shape, TimeMs
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.store.audit_chain import GENESIS, link
from hub.store.console_ports import AuditRow

ROUTER = APIRouter(prefix="/audit", tags=["Audit log"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.AUDIT))]


class EntryOut(Shape):
    """One entry. Its hash covers the hash of the one before it."""

    id: int
    at_ms: TimeMs
    who: str
    action: str
    detail: str
    hash: str


class Verified(Shape):
    """Whether every entry is what its hash says. `head` is the newest hash: keep it to compare with a later one."""

    holds: bool
    entries: int
    head: str
    broken_at: int | None = None
    """The first entry that does not fit."""


class AuditPage(Shape):
    """Entries, newest first. `next` is `before` of the next page; None: this is the last."""

    entries: list[EntryOut]
    next: int | None


@ROUTER.get("")
async def list_entries(
    site: TheSite,
    who: Who,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    action: Annotated[str, Query(max_length=64)] = "",
    by: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = 100,
) -> AuditPage:
    """Entries whose action begins with `action`, by one person or all."""
    rows = await site.store.audit_page(before_id=before, limit=limit, action=action, who=by)
    return AuditPage(entries=[_out(row) for row in rows], next=rows[-1].row_id if len(rows) == limit else None)


@ROUTER.get("/verification")
async def verify(site: TheSite, who: Who) -> Verified:
    """Read the whole log and compute every hash anew."""
    head, entries = GENESIS, 0
    async for row in site.store.audit_rows():
        entry = row.entry
        fits = row.row_id == entries + 1
        if not fits or row.hash != link(head, row.row_id, entry.at_ms, entry.who, entry.action, entry.detail):
            return Verified(holds=False, entries=entries, head=head.hex(), broken_at=entries + 1)
        head, entries = row.hash, row.row_id
    return Verified(holds=True, entries=entries, head=head.hex())


@ROUTER.get("/export", response_class=StreamingResponse)
async def export(site: TheSite, who: Who) -> StreamingResponse:
    """The whole log as CSV with its hashes, in UTF-8."""
    await site.store.audit(who.entry("audit.export", "whole"))
    headers = {"content-disposition": 'attachment; filename="audit.csv"'}
    return StreamingResponse(_csv(site), media_type="text/csv; charset=utf-8", headers=headers)


async def _csv(site: Site) -> AsyncIterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("id", "at_ms", "who", "action", "detail", "hash"))
    async for row in site.store.audit_rows():
        entry = row.entry
        writer.writerow((row.row_id, entry.at_ms, *map(plain, (entry.who, entry.action, entry.detail)), row.hash.hex()))
        if out.tell() > 64 * 1024:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def plain(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _out(row: AuditRow) -> EntryOut:
    entry = row.entry
    return EntryOut(
        id=row.row_id,
        at_ms=entry.at_ms,
        who=entry.who,
        action=entry.action,
        detail=entry.detail,
        hash=row.hash.hex(),
    )
