import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher

from hub.console.accounts.door import Caller, Door
from hub.console.accounts.passwords import Passwords
from hub.console.accounts.throttle import FREE_ADDRESS, FREE_NAME, FREE_SLIP, Throttle
from hub.console.app import console_app
from hub.console.errands import Errands
from hub.console.site import Site
from hub.console.web.asking import Of
from hub.console.web.words import Words
from hub.model import Account, AuditEntry, Gate, Place, Role
from hub.store.sqlite import open_store

URL = "http://127.0.0.1:8445"
PASSWORD = "correct horse battery staple"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CALLER = Caller(address="127.0.0.1", agent="tests")
SCOPES = {Role.RESPONSIBLE: {("mall", "")}, Role.ATTENDANT: {("mall", "G1")}}


@dataclass
class Clock:
    ms: int = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def pass_s(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@dataclass
class Console:
    """A console on a real database, with browsers and programs that ask it without a socket."""

    site: Site
    clock: Clock
    app: object
    hasher: PasswordHasher
    clients: list = field(default_factory=list)

    @property
    def store(self):
        return self.site.store

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """Somebody who is not signed in."""
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url=self.site.url,
            headers={"sec-fetch-site": "same-origin", "accept-language": "en", **headers},
        )
        self.clients.append(client)
        return client

    async def account(self, role: Role, name: str | None = None) -> Account:
        """One of this role, with PASSWORD, and SECRET if it is an administrator."""
        name = name or role.value
        now_ms = self.clock.now_ms()
        entry = AuditEntry(at_ms=now_ms, who="test", action="account.add", detail=name)
        account = Account(
            name=name,
            display=name.title(),
            role=role,
            scope=frozenset(SCOPES.get(role, ())),
            enabled=True,
            has_password=False,
            has_totp=False,
            added_ms=now_ms,
            changed_ms=now_ms,
        )
        await self.store.add_account(account, audit=entry)
        await self.store.set_password(name, password=self.hasher.hash(PASSWORD), keep=None, audit=entry)
        if role is Role.ADMINISTRATOR:
            await self.store.set_totp(name, secret=SECRET, audit=entry)
        found = await self.store.find_account(name)
        assert found is not None
        return found

    async def signed_in(self, role: Role, **headers: str) -> httpx.AsyncClient:
        """A browser of somebody of this role."""
        account = await self.store.find_account(role.value) or await self.account(role)
        let_in = await self.site.door.let_in(account, caller=CALLER)
        client = self.browser(**headers)
        client.cookies.set("gatelight", let_in.token)
        return client

    async def program(self, role: Role) -> httpx.AsyncClient:
        """A program with a token of somebody of this role."""
        account = await self.store.find_account(role.value) or await self.account(role)
        made = await self.site.door.add_token(account, label="test", days=1, caller=CALLER)
        client = self.browser(authorization=f"Bearer {made.token}")
        del client.headers["sec-fetch-site"]
        return client

    def become(self, site: Site) -> None:
        """Its site is another one, also for a server that is running already."""
        app = self.app
        while not isinstance(app, Of):
            app = app._app
        self.site = app.site = site

    def be_patient(self, **changes) -> None:
        """Errands are waited for long enough for a hub on a busy machine."""
        errands = Errands(store=self.store, now_ms=self.clock.now_ms, longest_s=20.0)
        self.become(replace(self.site, errands=errands, **changes))

    def code(self) -> str:
        return pyotp.TOTP(SECRET).at(self.clock.now_ms() // 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


NEW: list[bytes] = []
"""A database with two places, as every test begins with: made once, for all its migrations take a tenth of a second."""


async def new_database(path: Path) -> bytes:
    store = await open_store(path, create=True)
    entry = AuditEntry(at_ms=Clock().now_ms(), who="test", action="place.add", detail="")
    for place, name in (("mall", "Mall"), ("station", "Station")):
        await store.add_place(Place(place_id=place, name=name), audit=entry)
        await store.add_gate(Gate(place_id=place, gate_id="G1", name="North"), audit=entry)
    await store.close()
    return await asyncio.to_thread(path.read_bytes)


@asynccontextmanager
async def open_console(path: Path, *, clock: Clock, url: str = URL) -> AsyncIterator[Console]:
    """A console over a new database at `path`, with two places and a gate in each. `tests/browser` has its own."""
    if not NEW:
        NEW.append(await new_database(path.with_name("new.sqlite")))
    await asyncio.to_thread(path.write_bytes, NEW[0])
    store = await open_store(path)
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    now_s = lambda: clock.ms / 1000  # noqa: E731
    site = Site(
        name="Test site",
        url=url,
        timezone="Asia/Shanghai",
        store=store,
        door=Door(
            store=store,
            passwords=Passwords(hasher=hasher),
            by_name=Throttle(now_s=now_s, free=FREE_NAME),
            by_address=Throttle(now_s=now_s, free=FREE_ADDRESS),
            now_ms=clock.now_ms,
        ),
        errands=Errands(store=store, now_ms=clock.now_ms, longest_s=0.3),
        words=Words(),
        slips=Throttle(now_s=now_s, free=FREE_SLIP),
        now_ms=clock.now_ms,
    )
    made = Console(site=site, clock=clock, app=console_app(site), hasher=hasher)
    yield made
    for client in made.clients:
        await client.aclose()
    await store.close()


@pytest.fixture
async def console(tmp_path, clock) -> AsyncIterator[Console]:
    async with open_console(tmp_path / "hub.sqlite", clock=clock) as made:
        yield made
