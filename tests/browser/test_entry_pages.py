"""Coming in: the first administrator, signing in and out, the language."""

from playwright.async_api import expect

from hub.model import Role


async def test_the_sign_in_page(stage):
    page = await stage.page()
    await page.goto("/")
    await expect(page.get_by_role("heading", name=stage.say("Sign in"))).to_be_visible()
    await stage.check(page, "sign-in")


async def test_a_role_is_signed_in(stage):
    page = await stage.page(Role.AUDITOR)
    await page.goto("/")
    await expect(page).to_have_url(f"{stage.console.site.url}/audit")
    await stage.check(page, "audit-of-auditor")
