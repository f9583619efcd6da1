"""Coming in, accounts, one's own account, the audit log: told in a browser, from the first link on."""

import pyotp
import pytest
from playwright.async_api import expect

from hub.model import Role
from tests.hub.console.conftest import PASSWORD
from tests.hub.console.rows import DEVICE, Stream


async def test_the_first_administrator_comes_in_by_the_link(stage):
    say = stage.say
    token = await stage.console.site.door.invite(None, who="root")
    page = await stage.page()
    await page.goto(f"/welcome/{token}")
    await stage.check(page, "welcome-first")
    await page.get_by_label(say("Name to sign in with")).fill("li.na")
    await page.get_by_label(say("New password")).fill(PASSWORD)
    await page.get_by_text(say("Cannot scan?")).click()
    secret = await page.locator("details code").inner_text()
    code = page.locator("input[name=code]")
    stage.expects("422")
    await code.fill("000000")
    await page.get_by_role("button", name=say("Begin")).click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await stage.check(page, "welcome-wrong-code")
    await page.get_by_label(say("New password")).fill(PASSWORD)
    await code.fill(pyotp.TOTP(secret).at(stage.console.clock.now_ms() // 1000))
    await page.get_by_role("button", name=say("Begin")).click()
    await expect(page.get_by_role("button", name=say("Sign out"))).to_be_visible()
    account = await stage.console.store.find_account("li.na")
    assert (account.role, account.has_totp) == (Role.ADMINISTRATOR, True)


async def test_signing_in_and_out(stage):
    say = stage.say
    await stage.console.account(Role.AUDITOR)
    page = await stage.page()
    await page.goto("/audit")
    await stage.check(page, "sign-in")
    await page.locator("#name").fill("auditor")
    await page.locator("#password").fill("this is not the one")
    stage.expects("403")
    await page.get_by_role("button", name=say("Sign in")).click()
    await expect(page.get_by_role("alert")).to_have_text(say("Name, password or code are not right."))
    await stage.check(page, "sign-in-wrong")
    await page.locator("#password").fill(PASSWORD)
    await page.get_by_role("button", name=say("Sign in")).click()
    await expect(page.get_by_role("heading", name=say("Audit log"))).to_be_visible()
    await page.get_by_role("button", name=say("Sign out")).click()
    await expect(page.get_by_role("heading", name=say("Sign in"))).to_be_visible()
    await page.goto("/audit")
    await expect(page.get_by_role("heading", name=say("Sign in"))).to_be_visible()


async def test_an_account_is_made_and_its_owner_comes_in(stage):
    say = stage.say
    page = await stage.page(Role.ADMINISTRATOR)
    await page.goto("/accounts")
    await stage.check(page, "accounts")
    await page.get_by_label(say("Name to sign in with")).fill("wang.wei")
    await page.get_by_label(say("Name to show")).fill("王伟")
    await page.get_by_label(say("Role")).select_option("responsible")
    await page.get_by_label(say("Places and gates")).select_option("mall")
    await page.get_by_role("button", name=say("Make the account")).click()
    link = await page.locator("[data-copy]").inner_text()
    await stage.check(page, "accounts-made")
    owner = await stage.page()
    await owner.goto(link)
    await stage.check(owner, "welcome")
    await owner.get_by_label(say("New password")).fill(PASSWORD)
    await owner.get_by_role("button", name=say("Begin")).click()
    await expect(owner.get_by_role("link", name="王伟")).to_be_visible()
    await page.goto("/accounts/wang.wei")
    await stage.check(page, "account")
    await page.get_by_label(say("State")).select_option("no")
    await page.get_by_role("button", name=say("Save")).click()
    await owner.goto("/me")
    await expect(owner.get_by_role("heading", name=say("Sign in"))).to_be_visible()


async def test_sessions_and_tokens_of_ones_own(stage):
    say = stage.say
    page, other = await stage.page(Role.OPERATOR), await stage.page(Role.OPERATOR)
    await page.goto("/me")
    await page.get_by_role("button", name=say("End"), exact=True).click()
    await expect(page.get_by_role("button", name=say("End"), exact=True)).to_have_count(0)
    await other.goto("/me")
    await expect(other.get_by_role("heading", name=say("Sign in"))).to_be_visible()
    await page.get_by_label(say("What it is for")).fill("export")
    await page.get_by_role("button", name=say("Make a token")).click()
    token = await page.locator("[data-copy]").inner_text()
    await stage.check(page, "me-token")
    program = stage.console.browser(authorization=f"Bearer {token}")
    assert (await program.get("/api/v1/me")).json()["name"] == "operator"


async def test_the_audit_log_is_read_verified_and_taken_away(stage):
    say = stage.say
    page = await stage.page(Role.AUDITOR)
    await page.goto("/audit")
    await stage.check(page, "audit")
    await page.get_by_role("button", name=say("Verify")).click()
    await expect(page.get_by_role("status")).to_contain_text(say("Every entry fits:"))
    await stage.check(page, "audit-verified")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name=say("Export")).click()
    download = await coming.value
    assert download.suggested_filename == "audit.csv"


async def test_the_language_is_switched_and_kept(one_stage):
    page = await one_stage.page(Role.AUDITOR)
    await page.goto("/audit")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    await page.goto("/me")
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_no_script_of_a_hostile_name_runs(one_stage):
    hostile = "\"'><script>console.error('ran')</script><img src=x onerror=console.error('ran')>"
    page = await one_stage.page(Role.ADMINISTRATOR)
    await page.goto("/accounts")
    await page.locator("#name").fill("eve")
    await page.locator("#display").fill(hostile)
    await page.locator("form[action='/accounts'] button").click()
    for path in ("/accounts", "/accounts/eve", "/audit"):
        await page.goto(path)
        assert not await page.locator("img[src=x]").count()


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (None, "/sign-in"),
        (Role.ADMINISTRATOR, "/me"),
        (Role.ADMINISTRATOR, "/live/mall"),
        (Role.ADMINISTRATOR, "/scanners"),
        (Role.ADMINISTRATOR, f"/scanners/{DEVICE.hex()}"),
        (Role.ADMINISTRATOR, "/policies/mall"),
        (Role.ADMINISTRATOR, "/api"),
        (Role.ATTENDANT, "/desk/mall/G1"),
    ],
)
async def test_a_page_is_small(one_stage, role, path):
    """All that it loads, uncompressed: the console compresses nothing. A stream is what comes after it."""
    one_stage.expects("503")  # The desk, where there is no platform.
    await Stream(one_stage.console).register()
    page = await one_stage.page(role)
    came = []
    page.on("response", lambda response: came.append(response))  # noqa: PLW0108 - Playwright takes no built-in method
    await page.goto(path, wait_until="load")
    read = sum([len(await each.body()) for each in came if "event-stream" not in each.headers["content-type"]])
    assert 2_000 < read < 150_000


async def test_who_writes_programs_reads_what_there_is(stage):
    page = await stage.page(Role.AUDITOR)
    await page.goto("/me")
    await page.get_by_role("link", name=stage.say("About the API")).click()
    await page.get_by_text("/api/v1/enrolments/codes").click()
    await expect(page.get_by_role("row", name="ssid")).to_contain_text("1–32")
    await stage.check(page, "reference", full=False)
    async with page.expect_download() as started:
        await page.get_by_role("link", name=stage.say("Download as OpenAPI 3.1")).click()
    assert (await started.value).suggested_filename == "openapi.json"
