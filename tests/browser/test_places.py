"""Places as people work with them: a code is applied for, issued, printed, reissued; a place is closed and opened."""

import re

import numpy as np
import pytest_asyncio
import zxingcpp
from PIL import Image
from playwright.async_api import Page, expect

from hub.model import Role
from protocol.placecode import PREFIX
from tests.hub.console.standin import GREEN, RED, platform_behind

SELECTS = {"kind", "certificate_kind"}


@pytest_asyncio.fixture(loop_scope="session")
async def platform(stage, tmp_path):
    stage.console.be_patient()
    async with platform_behind(stage.console, tmp_path) as platform:
        yield platform


async def fill(page: Page, typed: dict[str, str]) -> None:
    for name, value in typed.items():
        field = page.locator(f"#{name}")
        if name == "commitment":
            await field.check()
        elif name in SELECTS:
            await field.select_option(value)
        else:
            await field.fill(value)


async def test_a_code_is_applied_for_issued_and_its_poster_printed(stage, platform):
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/places")
    await stage.check(page, "places")
    await page.get_by_role("link", name=stage.say("Apply for a place code")).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(stage.say("Apply for a place code"))
    await fill(page, GREEN)
    await stage.check(page, "place-application-filled")
    await page.get_by_role("button", name=stage.say("Apply"), exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("江北万象城")
    await stage.check(page, "place-issued")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name=f"{stage.say('Poster')} A4 PNG").click()
    download = await waiting.value
    pixels = np.asarray(Image.open(await download.path()).convert("L"))
    (found,) = zxingcpp.read_barcodes(pixels)
    assert found.text.startswith(PREFIX)
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name=f"{stage.say('Poster')} A3 PDF").click()
    assert re.fullmatch(r"P500105-[0-9a-f]{8}-1-a3\.pdf", (await waiting.value).suggested_filename)


async def test_what_is_wrong_stands_at_its_field_and_nothing_is_lost(stage, platform):
    stage.expects(r"422")
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/place-applications/new")
    await stage.check(page, "place-application-empty")
    await page.get_by_role("button", name=stage.say("Apply"), exact=True).click()
    summary = page.locator("#summary")
    await expect(summary).to_be_focused()
    await expect(summary.get_by_role("link")).to_have_count(len(GREEN) - 1)
    await stage.check(page, "place-application-wrong")
    await fill(page, GREEN | {"phone": "12345"})
    await page.get_by_role("button", name=stage.say("Apply"), exact=True).click()
    await expect(summary.get_by_role("link")).to_have_count(1)
    await summary.get_by_role("link").click()
    await expect(page.locator("#phone")).to_be_focused()
    await expect(page.locator("#phone")).to_have_value("12345")
    await expect(page.locator("#address")).to_have_value(GREEN["address"])
    await expect(page.locator("#phone-wrong")).to_contain_text(
        stage.say("This is no phone number: 11 digits, or an area code and the number.")
    )


async def test_who_is_not_green_is_refused_and_told_why(stage, platform):
    stage.expects(r"422")
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/place-applications/new")
    await fill(page, RED)
    await page.get_by_role("button", name=stage.say("Apply"), exact=True).click()
    await expect(page.locator("#id_number-wrong")).to_contain_text(
        stage.say("The platform takes applications only from people whose own code is green.")
    )
    await expect(page.locator("#id_number")).to_have_value(RED["id_number"])
    await stage.check(page, "place-application-refused")
    await fill(page, GREEN)
    await page.get_by_role("button", name=stage.say("Apply"), exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("江北万象城")
    await page.goto("/places")
    await expect(page.get_by_text(stage.say("refused by the platform"))).to_be_visible()


async def test_a_position_is_taken_from_the_device(stage, platform):
    page = await stage.page(Role.RESPONSIBLE)
    await page.context.grant_permissions(["geolocation"])
    await page.context.set_geolocation({"latitude": 29.5745, "longitude": 106.533, "accuracy": 12})
    await page.goto("/place-applications/new")
    await page.get_by_role("button", name=stage.say("Use my position")).click()
    await expect(page.locator("#latitude")).to_have_value("29.574500")
    await expect(page.locator("#longitude")).to_have_value("106.533000")


async def test_a_damaged_code_is_reissued_and_the_old_one_dies(stage, platform):
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/place-applications/new?place=mall")
    await fill(page, GREEN)
    await page.get_by_role("button", name=stage.say("Apply"), exact=True).click()
    await page.get_by_text(stage.say("Damaged or lost? Get a new code")).click()
    await page.locator("#why").fill("撕破 torn")
    asked = []

    async def answer(dialog):
        asked.append(dialog.message)
        await (dialog.accept() if len(asked) > 1 else dialog.dismiss())

    page.on("dialog", answer)
    kill = page.get_by_role("button", name=stage.say("Kill the old code and issue a new one"))
    await kill.click()
    assert (await stage.console.store.place_codes("mall"))[0].serial == 1
    await kill.click()
    await expect(page.get_by_text(stage.say("Earlier codes"))).to_be_visible()
    assert asked == [stage.say("The poster that hangs now is dead at once. Print the new one and hang it.")] * 2
    assert (await stage.console.store.place_codes("mall"))[0].serial == 2
    await page.get_by_text(stage.say("Earlier codes")).click()
    await stage.check(page, "place-reissued")


async def test_gates_and_closing(stage, platform):
    page = await stage.page(Role.RESPONSIBLE)
    page.on("dialog", lambda dialog: dialog.accept())
    await page.goto("/places/mall")
    await page.locator("#gate").fill("G2")
    await page.locator("#gate_name").fill("南门 South")
    await page.get_by_role("button", name=stage.say("Add")).click()
    await expect(page.get_by_role("row", name="南门 South")).to_be_visible()
    await page.locator("#closing").fill("消毒 cleaning")
    await page.get_by_role("button", name=stage.say("Close the place")).click()
    await expect(page.get_by_text("消毒 cleaning")).to_be_visible()
    await stage.check(page, "place-closed")
    await page.get_by_role("button", name=stage.say("Open again")).click()
    await expect(page.locator("#closing")).to_be_visible()
