"""Registers: who sees what of whom, what leaves as a file, and what is erased."""

import csv
import io
import re
import zipfile
from xml.etree import ElementTree as ET

import pytest

from hub.console.register import reading, taking
from hub.console.register.sheets import CsvSheet, XlsxSheet
from hub.model import Role
from hub.registry.changes import Operator
from hub.store.register_ports import Wanted
from hub.trust import changes
from protocol.slip import slip_number
from protocol.terms import Verdict

from .rows import RED, YELLOW, Stream

BASE = "/api/v1/register"
HOUR_MS = 3_600_000


async def keep_masked(console, place="mall", value="yes"):
    operator = Operator(who="test", now_ms=1)
    await changes.set_policy(console.store, operator=operator, place_id=place, changes={"keep_masked": value})


@pytest.fixture
async def stream(console):
    await keep_masked(console)
    return await Stream(console).register()


def window(console, **more):
    now_ms = console.clock.now_ms()
    return {"from_ms": now_ms - HOUR_MS, "to_ms": now_ms + HOUR_MS, **more}


async def read(console, browser, place="mall", **more):
    return await browser.get(f"{BASE}/{place}", params=window(console, **more))


async def test_rows_are_masked_and_each_look_is_audited(console, stream):
    (sealed,) = await stream.put(RED)
    browser = await console.signed_in(Role.RESPONSIBLE)
    found = (await read(console, browser, colour="red")).json()
    assert found["shows"] == "masked"
    (row,) = found["rows"]
    assert row["masked"] == ["张", "11", "23"]
    assert (row["colour"], row["verdict"], row["reason"]) == ("red", "refuse", "colour_red")
    assert row["slip"] == slip_number(sealed.hash)
    assert "subject" not in str(found)
    entry = (await console.store.audit_log(limit=1))[0]
    assert (entry.who, entry.action) == ("responsible", "register.view")
    assert entry.detail.startswith("mall 2026-09-21 ")
    assert entry.detail.endswith(", colour red: 1 rows")


async def test_a_place_that_keeps_no_names_shows_counts_only(console, stream):
    await stream.put({})
    await keep_masked(console, value="no")
    browser = await console.signed_in(Role.RESPONSIBLE)
    found = (await read(console, browser)).json()
    assert (found["shows"], found["rows"]) == ("counts", [])
    refused = await browser.get(f"{BASE}/mall/export", params=window(console))
    assert (refused.status_code, refused.json()["error"]) == (409, "counts_only")


async def test_filters_and_paging(console, stream):
    await stream.put(*[RED if n % 3 else {} for n in range(9)])
    browser = await console.signed_in(Role.ADMINISTRATOR)
    seen, before = [], {}
    while True:
        found = (await read(console, browser, verdict="refuse", limit=2, **before)).json()
        seen += [row["slip"] for row in found["rows"]]
        if found["next"] is None:
            break
        before = {"before": found["next"]}
    assert len(seen) == len(set(seen)) == 6
    one = (await read(console, browser, slip=seen[3].lower())).json()["rows"]
    assert [row["slip"] for row in one] == [seen[3]]
    for nothing in ({"direction": "out"}, {"gate": "G2"}, {"colour": "grey"}, {"reason": "expired"}):
        assert (await read(console, browser, **nothing)).json()["rows"] == []


async def test_a_page_ends_when_enough_was_looked_through(console, stream, monkeypatch):
    monkeypatch.setattr("hub.store.sqlite.register.SPAN_ROWS", 4)
    await stream.put(RED, *[{}] * 20)
    asked = Wanted(place_id="mall", from_ms=0, to_ms=2**52, verdict=Verdict.REFUSE)
    pages, before = [], None
    while True:
        found = await reading.newest_first(console.store, asked, before_id=before, limit=5, scan_most=8)
        pages.append((found.scanned_rows, len(found.rows)))
        if found.next_id is None:
            break
        before = found.next_id
    assert pages == [(9, 0), (8, 0), (4, 1)]


async def test_what_arrived_days_late_stands_at_its_own_time(console, stream):
    at_ms = console.clock.now_ms()
    await stream.put({}, received_ms=at_ms + 5 * 86_400_000)
    browser = await console.signed_in(Role.RESPONSIBLE)
    (row,) = (await read(console, browser)).json()["rows"]
    assert row["received_ms"] - row["at_ms"] == 5 * 86_400_000


async def test_who_may(console, stream):
    await stream.put({})
    responsible = await console.signed_in(Role.RESPONSIBLE)
    for path in ("", "/export", "/deletions"):
        answer = await responsible.get(f"{BASE}/station{path}", params={} if "del" in path else window(console))
        assert answer.status_code == 404, path
    for role in (Role.OPERATOR, Role.ATTENDANT, Role.AUDITOR):
        browser = await console.signed_in(role)
        assert (await read(console, browser)).status_code == 403
        assert (await browser.get(f"{BASE}/mall/export", params=window(console))).status_code == 403
        assert (await browser.post(f"{BASE}/mall/deletions", json={})).status_code == 403
        assert (await browser.get("/register")).status_code == 403
    assert (await read(console, console.browser())).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_ms": 5, "to_ms": 5},
        {"from_ms": 0, "to_ms": 2**52},
        {"from_ms": -1, "to_ms": 5},
        {"from_ms": 0, "to_ms": 10, "gate": "'; --"},
        {"from_ms": 0, "to_ms": 10, "colour": "blue"},
        {"from_ms": 0, "to_ms": 10, "reason": "none"},
        {"from_ms": 0, "to_ms": 10, "slip": "U"},
        {"from_ms": 0, "to_ms": 10, "before": 2**63},
        {"from_ms": 0, "to_ms": 10, "limit": 501},
        {"from_ms": 0, "to_ms": 10, "unknown": 1},
    ],
)
async def test_what_cannot_be_asked(console, wrong):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    answer = await browser.get(f"{BASE}/mall", params=wrong)
    assert answer.status_code == 422
    assert answer.json()["error"]


HOSTILE = ("=cmd|' /C calc'!A0", "+1", "@SUM(A1)", "-2+3", "\tx", "https://evil.example", "{=1}")


def xlsx_rows(data):
    book = zipfile.ZipFile(io.BytesIO(data))
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 -- our own
    strings = []
    if "xl/sharedStrings.xml" in book.namelist():
        shared = ET.fromstring(book.read("xl/sharedStrings.xml"))  # noqa: S314 -- our own
        strings = ["".join(item.itertext()) for item in shared]
    assert not list(sheet.iter(f"{space}f"))
    assert "hyperlink" not in book.read("xl/worksheets/sheet1.xml").decode()
    return [
        [
            strings[int(cell.findtext(f"{space}v"))] if cell.get("t") == "s" else "".join(cell.itertext())
            for cell in row.iter(f"{space}c")
        ]
        for row in sheet.iter(f"{space}row")
    ]


def test_no_cell_of_a_file_is_a_formula():
    file = io.BytesIO()
    sheet = CsvSheet(file, ["name"])
    sheet.add([[text] for text in HOSTILE])
    sheet.finish()
    cells = [row[0] for row in csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline=""))]
    assert all(cell[0] not in "=+-@\t\r" for cell in cells)
    file = io.BytesIO()
    sheet = XlsxSheet(file, ["name"])
    sheet.add([[text] for text in HOSTILE])
    sheet.finish()
    assert [row[0] for row in xlsx_rows(file.getvalue())] == ["name", *HOSTILE]


async def test_a_register_is_taken_as_csv_and_as_xlsx(console, stream):
    await stream.put({}, RED, {"masked": ("=1+1", "11", "23")}, {"masked": None})
    browser = await console.signed_in(Role.RESPONSIBLE)
    answer = await browser.get(f"{BASE}/mall/export", params=window(console, language="zh"))
    assert answer.headers["content-disposition"] == 'attachment; filename="register-mall.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert rows[0][:4] == ["时间", "通道", "方向", "颜色"]
    assert [row[6] for row in rows[1:]] == ["张", "张", "'=1+1", ""]
    answer = await browser.get(f"{BASE}/mall/export", params=window(console, format="xlsx"))
    rows = xlsx_rows(answer.content)
    assert rows[0][:4] == ["Time", "Gate", "Direction", "Colour"]
    assert [row[3] for row in rows[1:]] == ["Green", "Red", "Green", "Green"]
    assert re.fullmatch(r"2026-09-21 \d\d:\d\d:\d\d", rows[1][0])
    entry = (await console.store.audit_log(limit=1))[0]
    assert entry.action == "register.export"
    assert entry.detail.endswith("as xlsx: 4 rows")


async def test_a_file_has_an_end(console, stream, monkeypatch):
    monkeypatch.setattr(taking, "EXPORT_ROWS_MOST", 2)
    await stream.put({}, {}, {})
    browser = await console.signed_in(Role.RESPONSIBLE)
    answer = await browser.get(f"{BASE}/mall/export", params=window(console))
    assert (answer.status_code, answer.json()["where"]) == (422, "to_ms")
    assert "shorter time" in answer.json()["what"]


async def test_a_deletion_is_confirmed_and_waits_for_the_receipt(console, stream):
    await stream.put({}, RED)
    browser = await console.signed_in(Role.RESPONSIBLE)
    body = window(console) | {"confirm": "mal", "why": "moved out"}
    assert (await browser.post(f"{BASE}/mall/deletions", json=body)).json()["where"] == "confirm"
    assert (await browser.post(f"{BASE}/mall/deletions", json=body | {"why": " "})).status_code == 422
    asked = await browser.post(f"{BASE}/mall/deletions", json=body | {"confirm": "mall"})
    assert (asked.status_code, asked.json()["finished_ms"]) == (202, None)
    entry = (await console.store.audit_log(limit=1))[0]
    assert entry.action == "register.delete"
    assert entry.detail.endswith(": 2 check-ins counted; moved out")
    now_ms = console.clock.now_ms()
    assert await console.store.erase_part(now_ms=now_ms, again_ms=now_ms + 1)
    (row, _) = (await read(console, browser)).json()["rows"]
    assert row["masked"] == ["张", "11", "23"]
    batch = await console.store.fix_batch(batch_id=bytes(16), first_id=1, last_id=2, skipped=(), made_ms=now_ms)
    await console.store.mark_receipted(batch.batch_id, receipt=b"", rejected=(), now_ms=now_ms)
    assert await console.store.erase_part(now_ms=now_ms + 1, again_ms=now_ms + 2)
    assert [row["masked"] for row in (await read(console, browser)).json()["rows"]] == [None, None]
    (ended,) = (await browser.get(f"{BASE}/mall/deletions")).json()
    assert (ended["erased"], ended["finished_ms"]) == (2, now_ms + 1)


async def test_counts_by_hour_day_gate_and_colour(console, stream):
    at_ms = console.clock.now_ms()
    await stream.put({}, RED, YELLOW, {"at_ms": at_ms - HOUR_MS})
    browser = await console.signed_in(Role.RESPONSIBLE)
    asked = {"from_ms": at_ms - HOUR_MS, "to_ms": at_ms + HOUR_MS}
    found = (await browser.get("/api/v1/summary/mall", params=asked)).json()
    assert [step["counted"]["total"] for step in found["steps"]] == [1, 3, 0]
    assert found["whole"]["colours"] == {"green": 2, "red": 1, "yellow": 1, "notice": 0, "grey": 0}
    assert [(gate["gate"], gate["counted"]["total"]) for gate in found["gates"]] == [("G1", 4)]
    by_day = (await browser.get("/api/v1/summary/mall", params=asked | {"step": "day"})).json()
    assert sum(step["counted"]["total"] for step in by_day["steps"]) == 4
    text = (await browser.get("/api/v1/summary/mall/csv", params=asked)).text
    assert [line.split(",")[1] for line in text.splitlines()] == ["total", "1", "3", "0"]
    too_long = await browser.get("/api/v1/summary/mall", params={"from_ms": 0, "to_ms": 10**12})
    assert too_long.status_code == 422
    assert (await browser.get("/api/v1/summary/station", params=asked)).status_code == 404


async def test_the_pages(console, stream):
    await stream.put({}, RED, {"masked": ("<script>", "11", "23")})
    browser = await console.signed_in(Role.RESPONSIBLE)
    first = await browser.get("/register")
    assert (first.status_code, first.headers["location"]) == (303, "/register/mall")
    page = await browser.get("/register/mall")
    assert page.status_code == 200
    shown = await browser.get("/register/mall", params={"from": "2026-09-01T00:00", "to": "2026-10-01T00:00"})
    assert "张" in shown.text
    assert "<script>" not in shown.text.replace('<script type="module"', "")
    assert "/api/v1/register/mall/export?" in shown.text
    for bad in (
        {"from": "never"},
        {"colour": "blue"},
        {"slip": "?"},
        {"from": "2026-09-02T00:00", "to": "2026-09-01T00:00"},
    ):
        answer = await browser.get("/register/mall", params=bad)
        assert answer.status_code == 422, bad
    summary = await browser.get("/register/mall/summary", params={"from": "2026-09-21", "to": "2026-09-23"})
    assert summary.status_code == 200
    assert "<svg" in summary.text
    assert (await browser.get("/register/mall/delete")).status_code == 200
    form = {"from": "2026-09-01T00:00", "to": "2026-10-01T00:00", "confirm": "no", "why": "x"}
    assert (await browser.post("/register/mall/delete", data=form)).status_code == 422
    done = await browser.post("/register/mall/delete", data=form | {"confirm": "mall"})
    assert done.status_code == 303
    assert (await browser.get("/register/station")).status_code == 404
