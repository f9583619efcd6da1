"""Places: list, page, gates, closing, applications, reissues. Through the whole application, with a real hub's errands."""

import pytest

from hub.model import AuditEntry, MinuteCount, Role
from hub.store.place_ports import ApplicationState
from hub.store.ports import IngestCommit
from hub.store.trust_ports import ClosedBy, Closing
from protocol.terms import Colour, Direction, Verdict
from tests.hub.registry.test_applications import OPTIONAL, TYPED

from .standin import GREEN, RED, platform_behind


@pytest.fixture
async def platform(console, tmp_path):
    console.be_patient()
    async with platform_behind(console, tmp_path) as platform:
        yield platform


async def actions(console):
    return [(entry.who, entry.action) for entry in reversed(await console.store.audit_log(limit=100))]


async def test_a_responsible_person_applies_and_the_place_is_theirs(console, platform):
    browser = await console.signed_in(Role.RESPONSIBLE)
    done = await browser.post("/place-applications/new", data=GREEN)
    assert done.status_code == 303, done.text
    place = done.headers["location"].removeprefix("/places/")
    assert place.startswith("P500105-")
    told = (await browser.get(f"/api/v1/places/{place}")).json()
    assert (told["name"], told["responsible"], told["serial"]) == ("江北万象城", "张伟", 1)
    shown = await browser.get(f"/places/{place}")
    assert "13*******01" in shown.text
    assert GREEN["id_number"] not in shown.text
    assert {each["id"] for each in (await browser.get("/api/v1/places")).json()} == {"mall", place}
    assert ("responsible", "place.apply") in await actions(console)
    assert ("hub", "place.issued") in await actions(console)


async def test_who_is_not_green_is_told_so_at_the_field_and_loses_nothing(console, platform):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    page = await browser.post("/place-applications/new", data=RED | {"id": "ab" * 16})
    assert page.status_code == 422
    assert "The platform takes applications only from people whose own code is green." in page.text
    assert 'aria-describedby="id_number-wrong' in page.text
    for value in RED.values():
        assert value in page.text
    assert "ab" * 16 not in page.text
    (application,) = await console.store.applications(limit=9)
    assert application.state is ApplicationState.REFUSED
    shown = await browser.get(f"/place-applications/{application.application_id.hex()}")
    assert "whose own code is green" in shown.text
    assert RED["id_number"] not in shown.text


async def test_all_errors_come_at_once_and_nothing_is_asked(console, platform):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    page = await browser.post("/place-applications/new", data={"name": "<script>alert(1)</script>"})
    assert page.status_code == 422
    for name in TYPED.keys() - OPTIONAL - {"name"}:
        assert f'id="{name}-wrong"' in page.text
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    told = await browser.post("/api/v1/place-applications", json={})
    assert told.status_code == 422
    assert told.json()["fields"].keys() == TYPED.keys() - OPTIONAL
    assert platform.asked == 0
    assert await console.store.applications(limit=9) == ()


async def test_the_form_speaks_chinese(console, platform):
    browser = await console.signed_in(Role.ADMINISTRATOR, **{"accept-language": "zh"})
    page = await browser.post("/place-applications/new", data=GREEN | {"phone": "1"})
    assert "电话号码不正确" in page.text
    assert "本人对本场所负责" in page.text
    await browser.post("/place-applications/new", data=GREEN)
    (application,) = await console.store.applications(limit=9)
    assert application.commitment.startswith("本人对本场所负责")


async def test_the_same_application_sent_twice_counts_once(console, platform):
    program = await console.program(Role.ADMINISTRATOR)
    sent = GREEN | {"id": "cd" * 16, "language": "en"}
    first = await program.post("/api/v1/place-applications", json=sent)
    assert first.status_code == 201, first.text
    again = await program.post("/api/v1/place-applications", json=sent)
    assert again.json() == first.json()
    assert platform.asked == 1
    assert first.json()["commitment"].startswith("I answer for this place.")


async def test_an_application_waits_for_a_platform_that_is_away(console, platform):
    platform.away = True
    browser = await console.signed_in(Role.ADMINISTRATOR)
    done = await browser.post("/place-applications/new", data=GREEN)
    where = done.headers["location"]
    assert "The platform has not answered yet" in (await browser.get(where)).text
    away = await browser.post(f"{where}/ask")
    assert away.status_code == 503
    assert "The platform does not answer" in away.text
    platform.away = False
    assert (await browser.post(f"{where}/ask")).status_code == 303
    assert "has issued a place code" in (await browser.get(where)).text


async def test_a_code_for_a_place_that_is_there(console, platform):
    browser = await console.signed_in(Role.RESPONSIBLE)
    assert 'value="mall" selected' in (await browser.get("/place-applications/new?place=mall")).text
    done = await browser.post("/place-applications/new", data=GREEN | {"place": "mall"})
    assert done.headers["location"] == "/places/mall"
    for elsewhere, status in (("station", 404), ("nowhere", 404)):
        assert (
            await browser.post("/api/v1/place-applications", json=GREEN | {"place": elsewhere})
        ).status_code == status
    administrator = await console.signed_in(Role.ADMINISTRATOR)
    told = await administrator.post("/api/v1/place-applications", json=GREEN | {"place": "nowhere"})
    assert told.json()["fields"] == {"place": "There is no such place."}


async def test_a_reissue_needs_a_reason_and_gives_the_next_serial(console, platform):
    browser = await console.signed_in(Role.RESPONSIBLE)
    await browser.post("/place-applications/new", data=GREEN | {"place": "mall"})
    assert (await browser.post("/places/mall/code", data={"why": " "})).status_code == 422
    sent = {"why": "torn off", "request": "ef" * 16}
    assert (await browser.post("/places/mall/code", data=sent)).status_code == 303
    assert (await browser.post("/places/mall/code", data=sent)).status_code == 303
    told = (await browser.get("/api/v1/places/mall")).json()
    assert [code["serial"] for code in told["codes"]] == [2, 1]
    assert told["codes"][0]["why"] == "torn off"
    assert ("responsible", "place.reissue") in await actions(console)
    administrator = await console.signed_in(Role.ADMINISTRATOR)
    assert (await administrator.post("/places/station/code", data={"why": "torn"})).status_code == 409


async def test_gates_are_added_renamed_and_counted_by_themselves_and_together(console):
    browser = await console.signed_in(Role.RESPONSIBLE)
    assert (await browser.post("/places/mall/gates", data={"gate": "G2", "gate_name": "South"})).status_code == 303
    assert (await browser.post("/places/mall/gates", data={"gate": "G2"})).status_code == 409
    assert (await browser.post("/places/mall/gates", data={"gate": "no good"})).status_code == 422
    assert (await browser.post("/places/mall/gates/G2", data={"name": "<b>East</b>"})).status_code == 303
    assert (await browser.post("/places/mall/gates/G9", data={"name": "East"})).status_code == 409
    minute = console.clock.ms // 60_000

    def count(gate, n, *, verdict=Verdict.ADMIT, direction=Direction.IN, at=minute, place="mall"):
        return MinuteCount(
            place_id=place, gate_id=gate, minute=at, colour=Colour.GREEN, verdict=verdict, direction=direction, n=n
        )

    counts = (
        count("G1", 5), count("G2", 7), count("G1", 2, verdict=Verdict.HOLD), count("G2", 3, direction=Direction.OUT),
        count("G1", 1, at=minute - 1), count("G1", 100, at=minute - 1440), count("G1", 50, place="station"),
    )  # fmt: skip
    await console.store.commit(IngestCommit(received_ms=0, counts=counts))
    told = (await browser.get("/api/v1/places/mall")).json()
    assert {lane["id"]: lane["today"] for lane in told["lanes"]} == {
        "G1": {"entered": 6, "left": 0, "stopped": 2},
        "G2": {"entered": 7, "left": 3, "stopped": 0},
    }
    assert told["today"] == {"entered": 13, "left": 3, "stopped": 2}
    page = (await browser.get("/places/mall")).text
    assert "&lt;b&gt;East&lt;/b&gt;" in page
    assert "<b>East" not in page
    assert ("responsible", "gate.rename") in await actions(console)


async def test_a_place_is_closed_and_opened_and_the_platforms_closing_is_shown(console):
    browser = await console.signed_in(Role.RESPONSIBLE)
    assert (await browser.post("/places/mall/close", data={"closing": ""})).status_code == 422
    assert (await browser.post("/places/mall/close", data={"closing": "cleaning"})).status_code == 303
    assert (await browser.post("/places/mall/close", data={"closing": "cleaning"})).status_code == 409
    assert "Closed by an operator" in (await browser.get("/places/mall")).text
    assert (await browser.post("/places/mall/open")).status_code == 303
    assert (await browser.post("/places/mall/open")).status_code == 409
    entry = AuditEntry(at_ms=0, who="platform", action="place.close", detail="")
    closing = Closing(place_id="mall", by=ClosedBy.PLATFORM, why="responsible person is red", since_ms=1)
    await console.store.close_place(closing, audit=entry)
    page = (await browser.get("/places/mall")).text
    assert "Closed by the platform" in page
    assert "responsible person is red" in page
    assert (await browser.post("/places/mall/open")).status_code == 409
    assert "closed" in (await browser.get("/places")).text


async def test_an_administrator_registers_a_place_without_a_code(console):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    assert (await browser.post("/places", data={"id": "park", "name": "公园"})).status_code == 303
    assert (await browser.post("/places", data={"id": "park", "name": "公园"})).status_code == 409
    assert (await browser.post("/places", data={"id": "a/b", "name": "x"})).status_code == 422
    assert "公园" in (await browser.get("/places")).text
    other = await console.signed_in(Role.RESPONSIBLE)
    assert (await other.post("/places", data={"id": "mine", "name": "x"})).status_code == 403


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ATTENDANT, Role.AUDITOR])
async def test_others_change_nothing(console, role):
    browser = await console.signed_in(role)
    for path in ("/places", "/places/mall/gates", "/places/mall/close", "/places/mall/code", "/place-applications/new"):
        assert (await browser.post(path, data=GREEN)).status_code == 403
    reads = role is Role.OPERATOR
    assert ((await browser.get("/places/mall")).status_code == 200) is reads


async def test_what_is_elsewhere_is_not_there(console, platform):
    administrator = await console.signed_in(Role.ADMINISTRATOR)
    await administrator.post("/place-applications/new", data=GREEN)
    (application,) = await console.store.applications(limit=9)
    browser = await console.signed_in(Role.RESPONSIBLE)
    name = application.application_id.hex()
    for path in ("/places/station", "/places/nowhere", "/places/station/poster", f"/place-applications/{name}"):
        assert (await browser.get(path)).status_code == 404
    for path in ("/places/station/close", "/places/station/gates", f"/place-applications/{name}/ask"):
        assert (await browser.post(path, data={"closing": "x", "gate": "G9"})).status_code == 404
    assert (await browser.get("/api/v1/place-applications")).json() == []
    sent = GREEN | {"id": name}
    assert (await browser.post("/api/v1/place-applications", json=sent)).status_code == 404
