"""Somebody who has just typed `make demo`: by what it prints to an approved scanner and a printed poster."""

import asyncio
import re
import signal
import sys

import numpy as np
import pyotp
import pytest
import pytest_asyncio
import zxingcpp
from PIL import Image
from playwright.async_api import expect

from protocol.placecode import PREFIX
from tests.hub.registry.test_applications import TYPED

pytestmark = [pytest.mark.system, pytest.mark.sockets]

PASSWORD = "correct horse battery staple"
PRINTED = re.compile(
    r"console +(?P<link>http://\S+/welcome/\S+).*scanner +(?P<stand>http://\S+)"
    r".*applicant +(?P<id_number>\S+) +(?P<phone>\S+) +(?P<certificate>\S+)",
    re.DOTALL,
)


@pytest_asyncio.fixture(loop_scope="session")
async def demo(tmp_path):
    """What the demo has printed, while it runs; then that it lost nothing."""
    arguments = ("-m", "deploy.sandbox.cli", "up", "--rate", "20", "--dir", str(tmp_path / "site"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text = ""
    async with asyncio.timeout(120):
        while not (found := PRINTED.search(text)):
            line = (await process.stdout.readline()).decode()
            assert line, text
            text += line
    rest = asyncio.create_task(process.stdout.read())
    yield found.groupdict()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(120):
        ended = (await rest).decode()
        assert await process.wait() == 0, ended


async def test_a_newcomer_gets_to_an_approved_scanner_and_a_printed_poster(one_stage, demo):
    context = await one_stage.browser.new_context(locale="en-US")
    page, stand = await context.new_page(), await context.new_page()
    await page.goto(demo["link"])
    await page.get_by_label("Name to sign in with").fill("anna")
    await page.get_by_label("New password").fill(PASSWORD)
    secret = await page.locator("[name=secret]").get_attribute("value")
    await page.get_by_label("Code", exact=True).fill(pyotp.TOTP(secret).now())
    await page.get_by_role("button", name="Begin").click()

    await page.get_by_role("link", name="Scanners", exact=True).click()
    await page.get_by_role("link", name="Add scanner").click()
    await page.get_by_role("button", name="Show the code").click()
    code = await page.locator("#code-text").text_content()
    await stand.goto(demo["stand"])
    await stand.locator("textarea").fill(code)
    await stand.get_by_role("button").click()
    await expect(stand.locator("strong")).to_contain_text("waiting for approval", timeout=30_000)
    said = re.search(r"approval: (\w+ \w+ \w+ \w+)", await stand.locator("strong").text_content())[1]
    await page.get_by_role("link", name="Compare and decide").click()
    await expect(page.locator("main")).to_contain_text(said)
    await page.locator("#same").check()
    await page.get_by_role("button", name="Approve").click()
    await expect(stand.locator("button[value=red]")).to_be_visible(timeout=60_000)
    await stand.locator("button[value=red]").click()
    await expect(stand.locator("strong")).to_contain_text("red · refuse")

    await page.get_by_role("link", name="Places", exact=True).click()
    await page.get_by_role("link", name="Apply for a place code").click()
    typed = TYPED | {name: demo[name] for name in ("id_number", "phone", "certificate")}
    await page.locator("#kind").select_option(typed.pop("kind"))
    await page.locator("#certificate_kind").select_option(typed.pop("certificate_kind"))
    await page.locator("#commitment").check()
    typed.pop("commitment")
    for name, value in typed.items():
        await page.locator(f"#{name}").fill(value)
    await page.get_by_role("button", name="Apply", exact=True).click()
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Poster A4 PNG").click()
    pixels = np.asarray(Image.open(await (await waiting.value).path()).convert("L"))
    assert zxingcpp.read_barcodes(pixels)[0].text.startswith(PREFIX)
    await context.close()
