"""The attendant's desk in a real browser: what is typed reaches the platform, and nobody between can read it."""

import base64
import json
import logging
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest_asyncio
from playwright.async_api import expect

from hub.model import AuditEntry, Gate, Role
from protocol.terms import Colour
from protocol.vectors import make
from tests.hub.console.desks import KNOWN, at_work, id_number

NAME, NUMBER, PHONE = "欧阳无名", id_number(KNOWN), "02363800000"
DESK = "/desk/mall/G1"


@pytest_asyncio.fixture(loop_scope="session")
async def platform(served, tmp_path):
    async with at_work(served, tmp_path / "platform") as (window, desk):
        window.desk_part = desk
        yield window


async def at_desk(stage, path=DESK):
    page = await stage.page(Role.ATTENDANT)
    await page.goto(path)
    await expect(page.locator("#number")).to_be_enabled()
    return page


def answer(page, colour):
    return page.locator(f"#result .answer.{colour}")


def forms(text):
    """How a text may stand in bytes: as it is, in hex, in percents, in JSON, in base64 at each of three offsets."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        data = text.encode(encoding)
        yield data
        yield data.hex().encode()
        yield data.hex().upper().encode()
        for offset in range(3):
            inside = base64.b64encode(bytes(offset) + data)[4 if offset else 0 :]
            yield inside.rstrip(b"=")[:-1]
    yield quote(text).encode()
    yield quote(quote(text)).encode()
    yield text.encode("unicode_escape")
    yield text[::-1].encode()


def found(texts, data):
    """The forms of any of the texts that stand in the data; ASCII letters count in either case."""
    low = data.lower()
    return [form for text in texts for form in forms(text) if len(form) >= 5 and form.lower() in low]


async def test_nobody_between_desk_and_platform_reads_what_is_typed(one_stage, platform, tmp_path, caplog):
    """N9: every byte that leaves the browser, all of the hub's database, what goes on to the platform, every log."""
    caplog.set_level(logging.DEBUG)
    stage, companion = one_stage, id_number(12345)
    platform.turn(KNOWN, Colour.RED)
    left = []
    page = await stage.page(Role.ATTENDANT)
    page.on("request", lambda request: left.append(
        f"{request.url} {request.headers}".encode() + (request.post_data_buffer or b"")
    ))  # fmt: skip
    await page.goto(DESK)
    await page.locator("#number").fill(NUMBER)
    await page.locator("#person-name").fill(NAME)
    await page.locator("#phone").fill(PHONE)
    await page.locator("#add-companion").click()
    await page.locator("#number-companion-1").fill(companion)
    await page.locator("#person-name-companion-1").fill("Companion Surname")
    await page.locator("button[data-direction=in]").click()
    await expect(answer(page, "red")).to_be_visible()
    for field in ("#number", "#person-name", "#phone"):
        assert await page.locator(field).input_value() == ""
    await page.goto(f"{DESK}/look-up")
    await page.locator("#number").fill(companion)
    await page.locator("#consent").check()
    await page.locator("button.main").click()
    await expect(answer(page, "grey")).to_be_visible()

    texts = (NAME, NUMBER, PHONE, companion, "Companion Surname")
    assert [row[:3] for row in platform.people()] == [
        (0, NAME, NUMBER), (0, "Companion Surname", companion), (1, "", companion)
    ]  # fmt: skip
    assert {row[4:] for row in platform.people()} == {(PHONE, 3), ("", 3)}
    files = [path for path in tmp_path.iterdir() if path.name.startswith("hub.sqlite")]
    assert {path.name for path in files} >= {"hub.sqlite", "hub.sqlite-wal"}
    places = {
        "leaves the browser": b"\n".join(left),
        "the hub's database": b"".join(path.read_bytes() for path in files),
        "hub to platform": b"".join(platform.asked),
        "platform to hub": b"".join(platform.answers),
        "logs": caplog.text.encode(),
    }
    assert all(places[name] for name in places if name != "logs")
    assert {name: found(texts, data) for name, data in places.items()} == {name: [] for name in places}
    # The search itself finds what is there: the platform's own file has it.
    kept = b"".join(path.read_bytes() for path in (tmp_path / "platform").glob("platform.sqlite*"))
    assert found((NAME,), kept)
    assert found((NUMBER,), kept)
    # No column says it in another way: the visit is sealed bytes that the receipt has erased.
    with sqlite3.connect(tmp_path / "hub.sqlite") as db:
        assert list(db.execute("SELECT place, gate, state, sealed FROM desk_visit")) == [("mall", "G1", "stored", None)]


async def test_an_attendant_registers_a_family(stage, platform):
    platform.turn(KNOWN, Colour.GREEN)
    page = await at_desk(stage)
    await page.locator("#number").fill(NUMBER)
    await page.locator("#person-name").fill(NAME)
    await page.get_by_role("button", name=stage.say("Add a companion")).click()
    await page.locator("#person-name-companion-1").fill("小名")
    await page.locator("#companions").get_by_text(stage.say("A child without an ID number")).click()
    await stage.check(page, "desk-family")
    await page.get_by_role("button", name=stage.say("Register: comes in")).click()
    await expect(answer(page, "green")).to_have_count(2)
    await expect(page.get_by_text(stage.say("Registered. The platform has it."))).to_be_visible()
    await expect(answer(page, "green").last).to_contain_text("小＊")
    await stage.check(page, "desk-green")
    assert [(row[1], row[2]) for row in platform.people()] == [(NAME, NUMBER), ("小名", "")]
    await page.get_by_role("button", name=stage.say("Next person")).click()
    await expect(page.locator("#result")).to_be_hidden()
    await expect(page.locator("#number")).to_be_focused()


async def test_a_card_reader_and_the_keyboard_are_enough(stage, platform):
    platform.turn(KNOWN, Colour.YELLOW)
    page = await at_desk(stage)
    await expect(page.locator("#number")).to_be_focused()
    await page.keyboard.type(f"{NAME} {NUMBER.lower()}")
    await page.keyboard.press("Enter")
    await expect(page.locator("#person-name")).to_have_value(NAME)
    await expect(page.locator("#number")).to_have_value(NUMBER)
    await expect(page.get_by_role("button", name=stage.say("Register: comes in"))).to_be_focused()
    assert platform.asked == []
    await page.keyboard.press("Enter")
    await expect(answer(page, "yellow")).to_contain_text(stage.say("Yellow: observation at home"))
    await stage.check(page, "desk-yellow")
    await expect(page.get_by_role("button", name=stage.say("Next person"))).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#number")).to_be_focused()


async def test_a_look_up_needs_consent_and_tells_what_to_do(stage, platform):
    platform.turn(KNOWN, Colour.RED)
    page = await at_desk(stage, f"{DESK}/look-up")
    await page.keyboard.type(NUMBER)
    await page.get_by_role("button", name=stage.say("Look up the colour")).click()
    await expect(page.get_by_text(stage.say("Nobody is looked up without consent."))).to_be_visible()
    await stage.check(page, "desk-consent")
    assert platform.asked == []
    await page.get_by_text(stage.say("The person stands here and agrees.")).click()
    await page.get_by_role("button", name=stage.say("Look up the colour")).click()
    await expect(answer(page, "red")).to_contain_text(stage.say("Red: observation in a designated place"))
    await stage.check(page, "desk-red")
    entry, *_ = [each for each in await stage.console.store.audit_log(limit=9) if each.action == "desk.look_up"]
    assert (entry.who, entry.detail) == ("attendant", "mall/G1, with consent")


async def test_what_is_wrong_is_said_at_its_field_and_not_sent(stage, platform):
    page = await at_desk(stage)
    await page.locator("#number").fill(NUMBER[:-1] + ("1" if NUMBER[-1] != "1" else "2"))
    await page.locator("#phone").fill("12")
    await page.get_by_role("button", name=stage.say("Register: goes out")).click()
    for sentence in (
        "This is not an ID number: 18 characters with their check digit.",
        "The name is missing.",
        "5 to 20 digits, + and -.",
    ):
        await expect(page.get_by_text(stage.say(sentence))).to_be_visible()
    await expect(page.locator("#number")).to_be_focused()
    await stage.check(page, "desk-wrong")
    assert platform.asked == []


async def test_while_the_platform_is_away_a_visit_is_kept_and_a_look_up_is_grey(stage, platform):
    stage.expects(r"503")
    platform.away = True
    page = await at_desk(stage)
    await page.locator("#number").fill(NUMBER)
    await page.locator("#person-name").fill(NAME)
    await page.get_by_role("button", name=stage.say("Register: goes out")).click()
    kept = (
        "Kept, and will be delivered: the platform does not answer now. The colour cannot be known; decide as for grey."
    )
    await expect(page.get_by_text(stage.say(kept))).to_be_visible()
    await stage.check(page, "desk-kept")
    await page.goto(f"{DESK}/look-up")
    await page.locator("#number").fill(NUMBER)
    await page.locator("#consent").check()
    await page.get_by_role("button", name=stage.say("Look up the colour")).click()
    grey = "Grey: it cannot be known now, as the platform does not answer. Nobody is red for that."
    await expect(page.get_by_text(stage.say(grey))).to_be_visible()
    platform.away = False
    assert await platform.desk_part.deliver()
    assert [(row[0], row[1]) for row in platform.people()] == [(0, NAME)]
    assert await stage.console.store.visits_waiting() == 0


async def test_an_answer_that_was_lost_is_asked_for_again_and_nobody_registered_twice(one_stage, platform):
    one_stage.expects(r"ERR_FAILED|Failed to load|net::")
    page = await at_desk(one_stage)
    lost = []

    async def lose(route):
        if lost:
            await route.continue_()
        else:
            lost.append(await route.fetch())
            await route.abort()

    await page.route("**/api/v1/desk/registrations", lose)
    await page.locator("#number").fill(NUMBER)
    await page.locator("#person-name").fill(NAME)
    await page.locator("button[data-direction=in]").click()
    again = page.get_by_role("button", name=one_stage.say("Send the same again"))
    await expect(again).to_be_visible()
    assert await page.locator("#number").input_value() == ""
    await again.click()
    await expect(answer(page, "green")).to_be_visible()
    assert len(platform.people()) == 1
    assert len({bytes(each) for each in platform.answers}) == 1


async def test_an_answer_that_was_tampered_with_shows_no_colour(one_stage, platform):
    """Whoever sits between, the hub included, can take an answer away but make none."""
    page = await at_desk(one_stage)
    before = []

    async def spoil(route):
        response = await route.fetch()
        said = await response.json()
        data = bytearray(base64.b64decode(said["answer"]))
        before.append(said["answer"])
        if len(before) == 1:
            data[-100] ^= 1
            said["answer"] = base64.b64encode(data).decode()
        else:
            said["answer"] = before[0]  # an answer to another question
        await route.fulfill(response=response, json=said)

    await page.route("**/api/v1/desk/registrations", spoil)
    for _ in range(2):
        await page.locator("#number").fill(NUMBER)
        await page.locator("#person-name").fill(NAME)
        await page.locator("button[data-direction=in]").click()
        await expect(page.locator("#result .note.bad")).to_be_visible()
        await expect(page.locator("#result .answer")).to_have_count(0)
        await page.get_by_role("button", name=one_stage.say("Next person")).click()
    assert len(before) == 2


async def test_a_key_that_is_not_the_one_shown_seals_nothing(one_stage, platform):
    page = await one_stage.page(Role.ATTENDANT)

    async def swap(route):
        response = await route.fetch()
        text = re.sub(r'data-key="\w+"', f'data-key="{"09" + "00" * 31}"', await response.text())
        await route.fulfill(response=response, body=text)

    await page.route(f"**{DESK}", swap)
    await page.goto(DESK)
    await expect(page.locator("#result .note.bad")).to_be_visible()
    await expect(page.locator("#number")).to_be_disabled()


async def test_without_scripts_nothing_can_be_typed_or_sent(one_stage, platform):
    page = await one_stage.page(Role.ATTENDANT)
    context = page.context
    plain = await context.browser.new_context(
        java_script_enabled=False, storage_state=await context.storage_state(), base_url=one_stage.console.site.url
    )
    page = await plain.new_page()
    for path in (DESK, f"{DESK}/look-up"):
        await page.goto(path)
        await expect(page.locator("#number")).to_be_disabled()
        await expect(page.locator("noscript")).to_be_visible()
        assert await page.locator("#desk-form [name]").count() == 0
    await plain.close()


async def test_the_check_digit_in_the_browser_is_that_of_the_wire(one_stage, platform):
    vectors = json.loads((Path(make.__file__).parent / "id-numbers.json").read_text(encoding="utf-8"))["vectors"]
    page = await at_desk(one_stage)
    said = await page.evaluate(
        "async (texts) => { const {isIdNumber} = await import('/static/desk_number.js'); return texts.map(isIdNumber); }",
        [vector["input"]["text"] for vector in vectors],
    )
    assert said == [vector["expected"]["id_number"] for vector in vectors]


async def test_several_desks_are_a_choice(stage, platform):
    await stage.console.account(Role.ADMINISTRATOR)
    await stage.console.account(Role.ATTENDANT)
    store = stage.console.store
    entry = AuditEntry(at_ms=1, who="test", action="gate.add", detail="")
    await store.add_gate(Gate(place_id="mall", gate_id="G2", name="South"), audit=entry)
    account = await store.find_account("attendant")
    await store.change_account(replace(account, scope=frozenset({("mall", "")})), audit=entry)
    page = await stage.page(Role.ATTENDANT)
    await page.goto("/desk")
    await stage.check(page, "desk-choose")
    await page.get_by_role("link", name="South").click()
    await expect(page.locator("#number")).to_be_enabled()
    await expect(page.get_by_role("link", name=stage.say("Another gate"))).to_be_visible()
