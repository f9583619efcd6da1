"""Real Chromium on a real console: uvicorn on a free port of loopback, over a database file of its own for each test.

A test asks for `stage`, and runs twice: in Chinese on a phone of 390x844, and in English at a desk of 1280x800. Each page
that it checks is looked at in both widths.

    async def test_a_place_is_applied_for(stage):
        page = await stage.page(Role.RESPONSIBLE)              # a browser that somebody of this role has signed in with
        await page.goto("/places")
        await stage.check(page, "places")                      # what axe-core finds, and a picture
        await page.get_by_role("button", name=stage.say("Apply")).click()
        await expect(page.get_by_text("P1001")).to_be_visible()

- `stage.say("English sentence")` is the sentence as the page shows it in the test's language.
- `stage.page()` without a role is somebody who is not signed in; several pages are several people.
- `stage.check(page, name)` fails on what axe-core calls serious or critical, in light and in dark, and on a page that is
  wider than its window, at a desk or on a phone; it keeps `.artefacts/screens/NAME-LANGUAGE-WIDTH.png`. Look at them.
- `stage.console` is the `Console` of `tests/hub/console/conftest.py`: `.store` to put rows in and look at what came of a
  click, `.clock.pass_s(60)` to let time pass (it goes on by itself too), `.account(role)`, `.site`. There are the places
  `mall` and `station`, each with the gate `G1`. Everything runs on one event loop: wait for nothing with `time.sleep`.
- A test that needs no language or width asks for `one_stage` instead.
- A test fails when Chromium has logged an error, a violation of the Content-Security-Policy, an exception of a script, a
  request that went elsewhere or an answer of 500. What a test provokes it lists: `stage.expects(r"401")`, a pattern.
- The hub's own process does not run. Give errands an answer in a task of the test's own, or start it.

Tests here are `system`: `make test` runs them, `make fast` does not. One alone: `.venv/bin/pytest tests/browser -k zh`.
"""

import asyncio
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import uvicorn
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, async_playwright

from hub.console.serve import _Server
from hub.model import Role
from tests.hub.console.conftest import CALLER, Clock, Console, open_console

HERE: Final = Path(__file__).parent
SCREENS: Final = HERE.parent.parent / ".artefacts" / "screens"
# Chromium without the windows around it: the same pages in half of the time.
NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next(filter(None, map(shutil.which, NAMES)), None)
SIZES: Final = {1280: 800, 390: 844}
WAIT_MS: Final = 20_000
"""Longest wait for anything in a page: machines are busy."""
LOCALES: Final = {"zh": "zh-CN", "en": "en-GB"}
STAGES: Final = [("zh", 390), ("en", 1280)]


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("system")
            # One browser for all: what it talks over belongs to one loop.
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class RunningClock(Clock):
    """The machine's time, and what a test let pass beside it."""

    def __init__(self) -> None:
        super().__init__(ms=0)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ms


@dataclass
class Stage:
    """A console, its browsers, and what went wrong in them."""

    console: Console
    browser: Browser
    language: str
    width: int
    expected: list[re.Pattern[str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    @property
    def say(self) -> Callable[[str], str]:
        return self.console.site.words.of(self.language)

    @property
    def phone(self) -> bool:
        return self.width < 600

    def expects(self, trouble: str) -> None:
        """What matches this is no trouble of this test."""
        self.expected.append(re.compile(trouble))

    async def page(self, role: Role | None = None, *, name: str | None = None) -> Page:
        """Somebody's window: of this role (and name, if several have the role), or of somebody who is not signed in."""
        context = await self.browser.new_context(
            base_url=self.console.site.url,
            viewport={"width": self.width, "height": SIZES[self.width]},
            locale=LOCALES[self.language],
            timezone_id="Asia/Shanghai",
            is_mobile=self.phone,
            has_touch=self.phone,
            reduced_motion="reduce",
        )
        self.contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        if role is not None:
            known = await self.console.store.find_account(name or role.value)
            account = known or await self.console.account(role, name)
            let_in = await self.console.site.door.let_in(account, caller=CALLER)
            await context.add_cookies([{"name": "gatelight", "value": let_in.token, "url": self.console.site.url}])
        page = await context.new_page()
        self._watch(page)
        return page

    async def check(self, page: Page, name: str, *, full: bool = True) -> None:
        """Nothing serious found by axe-core, no wider than its window; and a picture of it (`full`: of all of it)."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        found = []
        # Its own width last, for what comes after.
        for width in sorted(SIZES, key=lambda width: width == self.width):
            await page.set_viewport_size({"width": width, "height": SIZES[width]})
            await page.screenshot(path=SCREENS / f"{name}-{self.language}-{width}.png", full_page=full)
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            found += [f"at {width}: {wide} pixels wider than the window"] if wide > 0 else []
        await page.evaluate(AXE_SCRIPT)
        # In the dark only colours are others, and those are the same in every language.
        looks = [("dark", {"runOnly": ["color-contrast"]})] if self.language == "zh" else []
        for colours, rules in [*looks, ("light", {})]:
            await page.emulate_media(color_scheme=colours)
            told = await page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **rules})
            found += [
                f"{colours}: {each['id']} ({each['impact']}): {node['html']} {node['failureSummary']}"
                for each in told["violations"]
                if each["impact"] in {"serious", "critical"}
                for node in each["nodes"]
            ]
        assert not found, f"{name} in {self.language} at {self.width}:\n" + "\n".join(found)

    def seen(self) -> list[str]:
        """What went wrong in any page so far, and was not expected."""
        return [each for each in self.troubles if not any(pattern.search(each) for pattern in self.expected)]

    def _watch(self, page: Page) -> None:
        def logged(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                self.troubles.append(f"{message.type} at {page.url}: {message.text}")

        def asked(request: Request) -> None:
            if not request.url.startswith((self.console.site.url + "/", "data:", "blob:")):
                self.troubles.append(f"{page.url} asked {request.url}")

        def answered(response: Response) -> None:
            if response.status >= 500:
                self.troubles.append(f"{response.status} from {urlsplit(response.url).path}")

        page.on("console", logged)
        page.on("pageerror", lambda error: self.troubles.append(f"exception at {page.url}: {error}"))
        page.on("request", asked)
        page.on("response", answered)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM: the pages are not looked at. Install the package `chromium-headless-shell`.")
    async with async_playwright() as playwright:
        # As root, as in many containers, Chromium has no sandbox of its own.
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def served(tmp_path) -> AsyncIterator[Console]:
    """A console that listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with open_console(tmp_path / "hub.sqlite", clock=RunningClock(), url=url) as console:
        config = uvicorn.Config(
            console.app, lifespan="off", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield console
        server.should_exit = True
        await serving
    listener.close()


async def _stage(served: Console, chromium: Browser, language: str, width: int) -> AsyncIterator[Stage]:
    stage = Stage(console=served, browser=chromium, language=language, width=width)
    yield stage
    for context in stage.contexts:
        await context.close()
    assert not stage.seen()


@pytest_asyncio.fixture(loop_scope="session", params=STAGES, ids=lambda param: param[0])
async def stage(served, chromium, request) -> AsyncIterator[Stage]:
    async for stage in _stage(served, chromium, *request.param):
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def one_stage(served, chromium) -> AsyncIterator[Stage]:
    """In Chinese, at a desk: for what does not depend on either."""
    async for stage in _stage(served, chromium, "zh", 1280):
        yield stage
