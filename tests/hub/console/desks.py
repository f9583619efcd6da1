"""A desk's whole way behind the console: the hub's errands, and the stand-in platform's window with real keys.

What goes between hub and platform is remembered, and can be cut or spoilt.
"""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.sandbox.platform.authority import create_authority, load_authority, root_file
from deploy.sandbox.platform.desk import DeskWindow
from deploy.sandbox.platform.lookup import LookUp, id_number
from deploy.sandbox.platform.statuses import Statuses
from deploy.sandbox.platform.store import PlatformStore
from deploy.sandbox.platform.wallet import Wallet
from hub.errands import Errands
from hub.health import Health, Metrics
from hub.store.trust_ports import Believed, BelievedKind
from hub.trust.desk import Desk
from hub.trust.ports import PlatformError, PlatformRefusedError
from hub.trust.refusals import Refusals
from protocol.errors import ProtocolError
from protocol.keys import decode_key
from protocol.terms import Colour
from protocol.trust import open_trust

KNOWN = 7
"""A person whom the platform knows."""


@dataclass
class Window:
    """The platform, as the hub reaches it (`Source`, as far as desks go). `spoil` changes what it answers."""

    folder: Path
    now_ms: Callable[[], int]
    asked: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    away: bool = False
    spoil: object = None

    def __post_init__(self):
        self.folder.mkdir()
        create_authority(self.folder, now_s=self.now_ms() // 1000)
        self.authority = authority = load_authority(self.folder)
        self.statuses = Statuses(self.folder / "statuses.sqlite", keys=authority.issuers)
        wallet = Wallet(authority, reference=self.statuses.reference)
        self.store = PlatformStore(self.folder / "platform.sqlite", open_subject=wallet.open_subject)
        self.store.remember(KNOWN, "known")
        lists = LookUp(
            private=authority.resolver,
            key=lambda: authority.resolved,
            statuses=self.statuses,
            known=self.store.is_known,
            seal_subject=wallet.seal_subject,
        )
        self.window = DeskWindow(
            private=authority.resolver, key=lambda: authority.resolved, lists=lists, store=self.store
        )
        self.root = decode_key(root_file(self.folder).read_bytes())
        self.bundle = open_trust(authority.bundle[1], root=self.root)

    @property
    def current(self):
        """As `hub.trust.bundle.Bundle`."""
        return self.bundle

    def turn(self, person, colour):
        """Somebody's colour changes; a number that was unknown becomes known."""
        self.store.remember(person, str(person))
        self.statuses.change({person: colour}, now_s=self.now_ms() // 1000)

    async def desk(self, sealed):
        self.asked.append(sealed)
        if self.away:
            raise PlatformError("away")
        try:
            answer = self.window.answer(sealed, hub=bytes(8), now_ms=self.now_ms())
        except ProtocolError as error:
            raise PlatformRefusedError(error.reason) from error
        self.answers.append(answer)
        return self.spoil(answer) if self.spoil else answer

    def people(self):
        """(ask, name, number, colour) of everybody who was ever typed, and the phone."""
        return list(
            self.store._db.execute(
                "SELECT q.ask, p.name, p.number, p.colour, q.phone, q.scheme FROM desk_people p"
                " JOIN desk_questions q ON q.id = p.question ORDER BY q.received_ms, p.position"
            )
        )

    def close(self):
        self.store.close()
        self.statuses.close()


def desk_of(store, window, *, now_ms, metrics=None):
    """The hub's part."""
    metrics, health = metrics or Metrics(), Health()
    return Desk(
        store=store,
        source=window,
        bundle=window,
        refusals=Refusals(store=store, health=health, metrics=metrics, now_ms=now_ms),
        refused_h=720,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
        draw=lambda: 0.0,
    )


@asynccontextmanager
async def at_work(console, folder):
    """A console with a hub and a platform behind it: yields (window, desk)."""
    window = Window(folder, now_ms=console.clock.now_ms)
    version, data = window.authority.bundle
    await console.store.keep_believed(
        Believed(kind=BelievedKind.TRUST, name="", version=version, issued_s=1, kept_ms=1, data=data)
    )
    console.be_patient(root=window.root)
    desk = desk_of(console.store, window, now_ms=console.clock.now_ms)
    errands = Errands(
        store=console.store,
        handlers=desk.errands,
        health=Health(),
        now_ms=console.clock.now_ms,
    )
    task = asyncio.create_task(errands.run())
    try:
        yield window, desk
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        window.close()


__all__ = ["KNOWN", "Colour", "Window", "at_work", "desk_of", "id_number"]
