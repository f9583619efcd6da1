"""Policies, registers, summaries, deletion and slips, as people do them."""

import random

from playwright.async_api import expect

from hub.model import Role
from hub.registry.changes import Operator
from hub.trust import changes
from protocol.reasons import Reason
from protocol.slip import slip_number
from protocol.terms import Colour, Direction, Verdict
from tests.hub.console.rows import RED, YELLOW, Stream

NOTICE = {"colour": Colour.NOTICE, "verdict": Verdict.HOLD, "reason": Reason.NOTICE}
GREY = {"colour": Colour.GREY, "verdict": Verdict.HOLD, "reason": Reason.STATUS_STALE, "masked": None}
PEOPLE = [("张", "11", "23"), ("欧阳", "50", "1X"), ("李", "32", "07"), ("W", "44", "80")]


async def day(stage, n=120):
    """A day's visits at the mall; returns the last one that was refused."""
    await changes.set_policy(
        stage.console.store,
        operator=Operator(who="wang", now_ms=stage.console.clock.now_ms() - 3_600_000),
        place_id="mall",
        changes={"keep_masked": "yes"},
        note="开业",
    )
    stream = await Stream(stage.console).register()
    chance, now_ms = random.Random(7), stage.console.clock.now_ms()
    day_ms = now_ms - (now_ms + 8 * 3_600_000) % 86_400_000
    kinds = chance.choices([{}, YELLOW, RED, NOTICE, GREY], weights=[80, 8, 3, 4, 5], k=n)
    moments = sorted(chance.randrange(day_ms, now_ms) for _ in range(n)) if now_ms > day_ms else [now_ms] * n
    rows = await stream.put(
        *[
            {"at_ms": at_ms, "masked": chance.choice(PEOPLE), "direction": chance.choice(list(Direction))} | kind
            for at_ms, kind in zip(moments, kinds, strict=True)
        ],
        RED,
    )
    return rows[-1]


async def test_a_policy_is_tried_published_and_taken_back(stage):
    await Stream(stage.console).register()
    page = await stage.page(Role.ADMINISTRATOR)
    await page.goto("/policies")
    await stage.check(page, "policies")
    await page.get_by_role("link", name="Mall").click()
    await page.get_by_label(stage.say("Yellow"), exact=True).select_option("refuse")
    await page.get_by_label(stage.say("Hold from this temperature on")).fill("37.3")
    await page.get_by_role("button", name=stage.say("Look what would change")).click()
    changed = page.get_by_role("region", name=stage.say("What would change"))
    await expect(changed).to_contain_text("37.3 °C")
    await stage.check(page, "policy-preview")
    await page.get_by_label(stage.say("Why, for the history")).fill("第 12 号令")
    await page.get_by_role("button", name=stage.say("Publish")).click()
    history = page.get_by_role("region", name=stage.say("History"))
    await expect(history).to_contain_text("第 12 号令")
    rules = (await changes.policy_of(stage.console.store, "mall")).rules
    assert '"yellow": "refuse"' in rules
    assert '"temperature_max_cc": "3730"' in rules
    await page.locator("#quiet_from").fill("22:00")
    await page.locator("#quiet_to").fill("06:00")
    await page.get_by_role("button", name=stage.say("Look what would change")).click()
    await page.get_by_role("button", name=stage.say("Publish")).click()
    await expect(history).to_contain_text("22:00-06:00+08:00")
    await stage.check(page, "policy")
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name=stage.say("Take these again")).click()
    await expect(history.get_by_role("row")).to_have_count(4)
    assert '"quiet": "off"' in (await changes.policy_of(stage.console.store, "mall")).rules


async def test_the_second_editor_is_told(stage):
    stage.expects("409")
    first, second = await stage.page(Role.ADMINISTRATOR), await stage.page(Role.ADMINISTRATOR)
    for page, rule in ((first, "hold"), (second, "admit")):
        await page.goto("/policies/mall")
        await page.get_by_label(stage.say("Green"), exact=True).select_option("hold")
        await page.get_by_label(stage.say("Notice"), exact=True).select_option(rule)
        await page.get_by_role("button", name=stage.say("Look what would change")).click()
    await first.get_by_role("button", name=stage.say("Publish")).click()
    await expect(first.get_by_role("region", name=stage.say("History")).get_by_role("row")).to_have_count(2)
    await second.get_by_role("button", name=stage.say("Publish")).click()
    told = stage.say("Somebody else has published another version meanwhile. Look at it, then try again.")
    await expect(second.get_by_role("alert")).to_contain_text(told)
    await stage.check(second, "policy-conflict")


async def test_a_responsible_person_reads_the_register_and_takes_it(stage):
    await day(stage)
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/register")
    visits = page.get_by_role("region", name=stage.say("Visits"))
    await expect(visits.get_by_role("row")).to_have_count(51)
    await stage.check(page, "register", full=False)
    await page.get_by_label(stage.say("Colour"), exact=True).select_option("red")
    await page.get_by_role("button", name=stage.say("Search")).click()
    await expect(visits).to_contain_text(stage.say("Refused"))
    await expect(visits).not_to_contain_text(stage.say("Admitted"))
    await stage.check(page, "register-red")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="XLSX").click()
    download = await waiting.value
    assert download.suggested_filename == "register-mall.xlsx"
    await page.get_by_role("link", name=stage.say("Summary")).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(stage.say("Summary"))
    await stage.check(page, "register-summary")


async def test_a_register_is_deleted(stage):
    stage.expects("422")
    await day(stage, n=5)
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/register/mall/delete")
    await page.get_by_label(stage.say("Why"), exact=True).fill("合同到期")
    confirm = page.get_by_label(stage.say("Type the id of the place to confirm"))
    await confirm.fill("station")
    await page.get_by_role("button", name=stage.say("Delete")).click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await confirm.fill("mall")
    await page.get_by_role("button", name=stage.say("Delete")).click()
    await expect(page.get_by_role("region", name=stage.say("Deleted before"))).to_contain_text("合同到期")
    await stage.check(page, "register-delete")


async def test_a_slip_is_found_and_printed(stage):
    stage.expects("404")
    refused = await day(stage, n=5)
    page = await stage.page(Role.ATTENDANT)
    await page.goto("/slips")
    await page.get_by_label(stage.say("Slip number")).fill("0000-0000")
    await page.get_by_role("button", name=stage.say("Search")).click()
    await expect(page.get_by_role("alert")).to_have_text(stage.say("No record has this number."))
    await page.get_by_label(stage.say("Slip number")).fill(slip_number(refused.hash).lower())
    await page.get_by_role("button", name=stage.say("Search")).click()
    await expect(page.get_by_role("article")).to_contain_text(refused.hash.hex())
    await stage.check(page, "slip")
    await page.emulate_media(media="print")
    paper = await page.pdf(format="A4", prefer_css_page_size=True)
    assert paper.count(b"/Type /Page\n") == 1
    await page.emulate_media(media="screen")
