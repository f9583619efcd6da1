"""The register of a place: its rows as policy allows, to read, to take away, to delete. Every look is audited.

A place whose policy keeps no masked names has no rows to look at here, only counts (`/summary`). Names are shown where
check-ins carry them and retention has not erased them. Rows are found by the check-ins' own time, whenever they
arrived; a gate that was offline for days is in it, at the time at which it was passed.
"""

from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, GateId, PlaceId, Shape, TimeMs, Window
from hub.console.errors import ConflictError, InvalidError, NotFoundError
from hub.console.register.reading import newest_first
from hub.console.register.sheets import MEDIA
from hub.console.register.taking import chunks, write_file
from hub.console.register.wording import moment_text
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import StoredCheckIn
from hub.registry.checks import REASON_CHARS, checked_line
from hub.store.register_ports import Erasure, Wanted
from hub.trust.changes import policy_of
from hub.trust.rules import Rules
from protocol.errors import MalformedError
from protocol.reasons import Reason
from protocol.slip import read_slip, slip_number
from protocol.terms import Clock, Colour, Direction, Verdict

ROUTER = APIRouter(prefix="/register", tags=["Register"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.REGISTER))]
Taker = Annotated[Signed, Depends(Needs(Permission.REGISTER_TAKE))]
Place = Annotated[PlaceId, Path()]

ROWS_MOST: Final = 500
WINDOW_MOST_MS: Final = 366 * 86_400_000
_SHOWN_ERASURES: Final = 50


class Asked(Window):
    """A time, and which of its check-ins: what is not named is not filtered by."""

    gate: GateId = ""
    direction: Literal["in", "out"] | None = None
    colour: Literal["green", "notice", "yellow", "red", "grey"] | None = None
    verdict: Literal["admit", "hold", "refuse"] | None = None
    reason: Annotated[str, Field(max_length=32, pattern=r"^[a-z_]*$")] = ""
    slip: Annotated[str, Field(max_length=16)] = ""


class PageAsked(Asked):
    """A page of it."""

    before: Annotated[int | None, Field(ge=1, lt=2**63, description="`next` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=ROWS_MOST)] = 100


class FileAsked(Asked):
    """All of it, as a file."""

    format: Literal["csv", "xlsx"] = "csv"
    language: Literal["en", "zh"] = "en"


class RowOut(Shape):
    """One check-in. `masked`: surname, first and last two digits; None where policy kept none or retention is over."""

    at_ms: TimeMs
    received_ms: TimeMs
    clock_trusted: bool
    gate: str
    direction: str
    colour: str
    verdict: str
    reason: str
    slip: str
    masked: list[str] | None


class RegisterOut(Shape):
    """A page, the last to arrive first.

    `shows` is `counts` where policy allows no rows. `next` is `before` of the next page; None: everything was looked
    through. A page may end with few rows or none, when `scanned_rows` were looked through for it.
    """

    place: str
    shows: Literal["masked", "counts"]
    rows: list[RowOut]
    scanned_rows: int
    next: int | None


class DeletionIn(Shape):
    """Which register to delete. `confirm` is the place's id, typed once more."""

    from_ms: TimeMs
    to_ms: TimeMs
    confirm: Annotated[str, Field(max_length=32)]
    why: Annotated[str, Field(min_length=1, max_length=REASON_CHARS)]


class DeletionOut(Shape):
    """A deletion. `finished_ms` None: rows are still to be looked through, or wait for the platform's receipt."""

    id: int
    from_ms: TimeMs
    to_ms: TimeMs
    who: str
    why: str
    asked_ms: TimeMs
    erased: int
    finished_ms: TimeMs | None


@ROUTER.get("/{place}")
async def read(site: TheSite, who: Reader, place: Place, asked: Annotated[PageAsked, Query()]) -> RegisterOut:
    """A page of a register."""
    await _require(site, who, place, asked.gate)
    wanted = wanted_of(place, asked, who.now_ms)
    if not await shows_rows(site, place):
        return RegisterOut(place=place, shows="counts", rows=[], scanned_rows=0, next=None)
    found = await newest_first(site.store, wanted, before_id=asked.before, limit=asked.limit)
    detail = f"{_told(site, wanted, asked)}: {len(found.rows)} rows"
    await site.store.audit(who.entry("register.view", detail))
    return RegisterOut(
        place=place,
        shows="masked",
        rows=[_row(row) for row in found.rows],
        scanned_rows=found.scanned_rows,
        next=found.next_id,
    )


@ROUTER.get("/{place}/export", response_class=StreamingResponse)
async def export(site: TheSite, who: Taker, place: Place, asked: Annotated[FileAsked, Query()]) -> StreamingResponse:
    """A register as CSV or XLSX, in order of arrival: what the account may see, and nothing more."""
    await _require(site, who, place, asked.gate)
    wanted = wanted_of(place, asked, who.now_ms)
    if not await shows_rows(site, place):
        raise ConflictError("counts_only", "The policy of this place allows counts only. Take the summary.")
    file, rows = await write_file(
        site.store, wanted, layout=asked.format, say=site.words.of(asked.language), zone=ZoneInfo(site.timezone)
    )
    try:
        # Before the first row leaves.
        detail = f"{_told(site, wanted, asked)} as {asked.format}: {rows} rows"
        await site.store.audit(who.entry("register.export", detail))
    except BaseException:
        file.close()
        raise
    headers = {"content-disposition": f'attachment; filename="register-{place}.{asked.format}"'}
    return StreamingResponse(chunks(file), media_type=MEDIA[asked.format], headers=headers)


@ROUTER.get("/{place}/deletions")
async def deletions(site: TheSite, who: Reader, place: Place) -> list[DeletionOut]:
    """What was deleted, or is being deleted, newest first."""
    await _require(site, who, place, "")
    return [_erasure(erasure) for erasure in await site.store.erasures(place, limit=_SHOWN_ERASURES)]


@ROUTER.post("/{place}/deletions", status_code=202)
async def delete(site: TheSite, who: Taker, place: Place, body: DeletionIn) -> DeletionOut:
    """Erase the personal fields of what is stored of a time: names, sealed subjects, and the sealed bytes they are in.

    Only a receipt forgets: what the platform has not signed for yet is erased when it has. Time, gate, colour and
    verdict stay, as do counts. Check-ins that arrive later are not of it.
    """
    await _require(site, who, place, "")
    if body.confirm.strip() != place:
        raise InvalidError("unconfirmed", "Type the id of the place, as it is written.", where="confirm")
    _check_time(body.from_ms, body.to_ms)
    why = checked_line(body.why, what="reason", limit_chars=REASON_CHARS)
    if not why:
        raise InvalidError("malformed", "Say why.", where="why")
    counted = await site.store.counts(
        place_id=place, from_minute=body.from_ms // 60_000, to_minute=-(-body.to_ms // 60_000), step_minutes=2**31
    )
    total = sum(count.n for count in counted)
    window = f"{place} {_time(site, body.from_ms)} to {_time(site, body.to_ms)}"
    erasure_id = await site.store.add_erasure(
        place_id=place,
        from_ms=body.from_ms,
        to_ms=body.to_ms,
        why=why,
        who=who.account.name,
        asked_ms=who.now_ms,
        audit=who.entry("register.delete", f"{window}: {total} check-ins counted; {why}"),
    )
    for erasure in await site.store.erasures(place, limit=_SHOWN_ERASURES):
        if erasure.erasure_id == erasure_id:
            return _erasure(erasure)
    raise NotFoundError


async def shows_rows(site: Site, place: str) -> bool:
    """Whether the policy in force lets a register show more than counts."""
    rules = Rules.from_json((await policy_of(site.store, place)).rules)
    return rules.texts()["keep_masked"] == "yes"


def wanted_of(place: str, asked: Asked, now_ms: int) -> Wanted:
    """What the store is asked for. Raises InvalidError that names the field."""
    from_ms, to_ms = asked.times(now_ms)
    _check_time(from_ms, to_ms)
    try:
        slip = read_slip(asked.slip) if asked.slip else None
    except MalformedError as error:
        raise InvalidError("malformed", "Eight letters and digits, such as 7K3M-9QXA.", where="slip") from error
    reasons = {reason.wire_name: reason for reason in Reason}
    if asked.reason and asked.reason not in reasons:
        raise InvalidError("malformed", "There is no such reason.", where="reason")
    return Wanted(
        place_id=place,
        from_ms=from_ms,
        to_ms=to_ms,
        gate_id=asked.gate or None,
        direction=None if asked.direction is None else Direction[asked.direction.upper()],
        colour=None if asked.colour is None else Colour[asked.colour.upper()],
        verdict=None if asked.verdict is None else Verdict[asked.verdict.upper()],
        reason=reasons.get(asked.reason),
        slip=slip,
    )


def _check_time(from_ms: int, to_ms: int) -> None:
    if from_ms >= to_ms:
        raise InvalidError("malformed", "The end must be later than the beginning.", where="to_ms")
    if to_ms - from_ms > WINDOW_MOST_MS:
        raise InvalidError("limit", "At most a year at once.", where="to_ms")


async def _require(site: Site, who: Signed, place: str, gate: str) -> None:
    who.must_see(place, gate)
    if place not in {known.place_id for known in await site.store.places()}:
        raise NotFoundError


def _told(site: Site, wanted: Wanted, asked: Asked) -> str:
    """What the audit log says was looked at."""
    filters = asked.model_dump(include={"gate", "direction", "colour", "verdict", "reason", "slip"})
    named = "".join(f", {key} {value}" for key, value in filters.items() if value)
    return f"{wanted.place_id} {_time(site, wanted.from_ms)} to {_time(site, wanted.to_ms)}{named}"


def _time(site: Site, at_ms: int) -> str:
    return moment_text(at_ms, ZoneInfo(site.timezone))


def _row(row: StoredCheckIn) -> RowOut:
    return RowOut(
        at_ms=row.at_ms,
        received_ms=row.received_ms,
        clock_trusted=row.clock is Clock.TRUSTED,
        gate=row.gate_id,
        direction=row.direction.wire_name,
        colour=row.colour.wire_name,
        verdict=row.verdict.wire_name,
        reason=row.reason.wire_name,
        slip=slip_number(row.hash),
        masked=None if row.masked is None else list(row.masked),
    )


def _erasure(erasure: Erasure) -> DeletionOut:
    return DeletionOut(
        id=erasure.erasure_id,
        from_ms=erasure.from_ms,
        to_ms=erasure.to_ms,
        who=erasure.who,
        why=erasure.why,
        asked_ms=erasure.asked_ms,
        erased=erasure.erased,
        finished_ms=erasure.finished_ms,
    )
