"""The hub: its own ingest, store, forward and retention on one simulated process, disk, clock and connection."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import cast

from deploy.sandbox.simulator.broker import HUB, HUB_FILTERS, Broker, Connection, Message
from deploy.sandbox.simulator.disk import Disk, Doom
from deploy.sandbox.simulator.keys import HUB_ID, HUB_KEY, TRUST
from deploy.sandbox.simulator.loop import InlineConnection, SimLoop, open_inline
from deploy.sandbox.simulator.platform import SimPlatform
from deploy.sandbox.simulator.truth import Truth
from deploy.sandbox.simulator.world import WallClock, World
from hub.broker.client import PRESENCE_S
from hub.broker.inbox import Delivery, Inbox
from hub.broker.wire import Outgoing
from hub.deliver.aggregate import aggregate
from hub.deliver.forward import Forward
from hub.deliver.retention import Retention
from hub.health import Health, Metrics
from hub.ingest.directory import Directory
from hub.ingest.insist import Insist
from hub.ingest.loop import Ingest
from hub.store.errors import StoreError
from hub.store.sqlite import open_store
from hub.store.sqlite.connection import Opener
from protocol import topics
from protocol.errors import ProtocolError
from protocol.presence import HubPresence, encode_hub_presence
from protocol.receipt import open_receipt

PERSONAL_H = 24
_RESTART_MS = (500, 5_000)
_RECONNECT_MS = (200, 2_000)
_HANDSHAKE_MS = 15_000


class SimHub:
    """A hub that lives, dies and starts again. `boot` it once."""

    def __init__(
        self, world: World, *, folder: Path, template: bytes, broker: Broker, platform: SimPlatform, truth: Truth
    ) -> None:
        self._world, self._broker, self._platform, self._truth = world, broker, platform, truth
        self.clock = WallClock(world)
        folder.mkdir()
        (folder / "hub.db").write_bytes(template)
        self.disk = Disk(world, folder, self._fell)
        self._backup = folder.with_name("backup.db")
        self._loop: SimLoop | None = None
        self._link: _Link | None = None
        self._opened: list[InlineConnection] = []
        self._power = False
        self.up_since_ms: int | None = None
        """When ingest began; None while it does not run."""

    @property
    def path(self) -> Path:
        """The database."""
        return self.disk.folder / "hub.db"

    @property
    def alive(self) -> bool:
        """Whether its process runs and its store is open."""
        return self.up_since_ms is not None and self.disk.alive

    @property
    def up_for_ms(self) -> int:
        """How long it has run; 0 while it does not."""
        return 0 if self.up_since_ms is None else self._world.now_ms - self.up_since_ms

    def boot(self) -> None:
        """The process starts."""
        self.disk.power_up()
        self._loop = SimLoop(self._world, die=lambda: self.kill(power=False))
        self._loop.start(self._main())

    def kill(self, *, power: bool) -> None:
        """SIGKILL, or the mains."""
        if self._loop is not None and self.disk.alive:
            self.disk.alive = False
            self._power = power
            self._bury()

    def doom(self, *, changes: int, power: bool) -> None:
        """It will die at the so many-th change of its disk from now."""
        self.disk.doom = Doom(changes=changes, power=power)
        self._power = power

    def doom_between_steps(self, steps: int) -> None:
        """It will be killed after so many more steps of its event loop."""
        if self._loop is not None:
            self._loop.doom = steps

    def back_up(self) -> None:
        """A copy of the database as it is now, beside the running hub."""
        if self.alive:
            self._backup.unlink(missing_ok=True)
            with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(self._backup)) as target:
                source.backup(target)
            self._world.say(HUB, "is backed up")

    def put_back(self) -> None:
        """The disk is lost: the hub starts again with the last backup."""
        if not (self._backup.exists() and self.alive):
            return
        self.kill(power=False)
        before = self._places(self.path)
        for path in self.disk.folder.iterdir():
            path.unlink()
        shutil.copy(self._backup, self.path)
        lost = before - self._places(self.path)
        with closing(sqlite3.connect(self.path)) as db:
            heads = db.execute("SELECT device, epoch, seq FROM head").fetchall()
        self._truth.hub_put_back(heads, lost)
        self._world.say(HUB, f"is put back to its backup, without {len(lost)} rows")

    def receipted(self, message: Outgoing) -> None:
        """A receipt leaves."""
        with suppress(ProtocolError):
            receipt = open_receipt(message.payload, key=HUB_KEY.public)
            self._truth.receipted(receipt.device, receipt.epoch, receipt.seq, receipt.hash)

    async def _main(self) -> None:
        """As `hub.main`, with what is simulated in the place of what is not."""
        try:
            store = await open_store(self.path, opener=cast("Opener", self._open))
            self._truth.hub_found([(head.device_id, head.epoch, head.seq) for head in await store.heads()])
        except StoreError as error:
            self._ends(f"does not start: {type(error).__name__}")
            return
        world, health, metrics = self._world, Health(now_s=lambda: 0.0), _metrics()
        directory = Directory(store)
        link = self._link = _Link(world, broker=self._broker, hub=self)
        forward = Forward(
            store=store,
            platform=self._platform,
            hub_id=HUB_ID,
            key=HUB_KEY,
            trust=TRUST,
            key_of=directory.key_of,
            announced=lambda _kid: True,
            new_id=lambda: world.rng.randbytes(16),
            health=health,
            metrics=metrics,
            now_ms=self.clock.now_ms,
        )
        ingest = Ingest(
            broker=link,
            store=store,
            directory=directory,
            insist=Insist(health=health, metrics=metrics),
            key=HUB_KEY,
            count=aggregate,
            stored=forward.wake,
            health=health,
            metrics=metrics,
            now_ms=self.clock.now_ms,
        )
        retention = Retention(
            store=store,
            personal_h=PERSONAL_H,
            quarantine_h=PERSONAL_H,
            health=health,
            metrics=metrics,
            now_ms=self.clock.now_ms,
        )
        try:
            await directory.refresh()
        except StoreError as error:
            self._ends(f"does not start: {type(error).__name__}")
            return
        world.say(HUB, "starts")
        self.up_since_ms = world.now_ms
        link.connect()
        tasks = [asyncio.create_task(run()) for run in (ingest.run, forward.run, retention.run)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not task.cancelled():
                failure = task.exception()
                if self.disk.alive and not isinstance(failure, StoreError):
                    self._truth.fail(f"a task of the hub ended: {failure!r}")
                self._ends(f"ends: {type(failure).__name__}")

    async def _open(self, path: Path, **options: object) -> InlineConnection:
        connection = await open_inline(path, **options)
        self._opened.append(connection)
        return connection

    def _ends(self, why: str) -> None:
        if self.disk.alive:
            self._world.say(HUB, why)
            self._world.after(0, lambda: self.kill(power=False))

    def _fell(self) -> None:
        if self._link is not None:
            self._link.vanish()
        self._world.after(0, self._bury)

    def _bury(self) -> None:
        if self._loop is None:
            return
        if self._link is not None:
            self._link.vanish()
        self._loop.end()
        for connection in self._opened:
            connection.raw.close()
        self._opened.clear()
        self._loop = self._link = self.up_since_ms = None
        self._world.say(HUB, f"{'loses power' if self._power else 'is killed'}: {self.disk.stop(power=self._power)}")

        def boot() -> None:
            if self._loop is None:
                self.boot()

        self._world.after(self._world.between(*_RESTART_MS), boot)

    def _places(self, path: Path) -> set[tuple[bytes, bytes, int]]:
        with closing(sqlite3.connect(path)) as db:
            return set(db.execute("SELECT device, epoch, seq FROM checkin"))


@cache
def _metrics() -> Metrics:
    """Of all hubs of this process: nobody reads them, and it takes 0.7 ms to make them, five times a history."""
    return Metrics()


class _Link:
    """The part of `hub.broker.client.BrokerClient` that ingest uses, over the simulated network."""

    def __init__(self, world: World, *, broker: Broker, hub: SimHub) -> None:
        self._world, self._broker, self._hub = world, broker, hub
        self._inbox = Inbox()
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None
        self._up = False
        self._number = 0
        self._gone = False

    def connect(self) -> None:
        """Connection after connection, until the process is dead."""
        if self._gone:
            return
        if not self._broker.reachable(HUB):
            self._world.after(self._world.between(*_RECONNECT_MS), self.connect)
            return
        self._number += 1
        session = self._world.rng.randbytes(8)
        self._connection = Connection(
            client=HUB,
            will=self._presence(session, online=False),
            on_up=lambda: self._let_in(session),
            on_message=self._take,
            on_ack=self._acknowledged,
            on_end=self._ended,
            subscriptions=set(HUB_FILTERS),
        )
        self._broker.connect(self._connection)
        self._world.after(_HANDSHAKE_MS, lambda tried=self._connection: self._give_up(tried))  # type: ignore[misc]

    def _give_up(self, tried: Connection) -> None:
        """A broker that does not let us in is left, as `BrokerClient` does."""
        if self._connection is tried and not self._up and not self._gone:
            self._broker.vanish(tried)
            self._ended("not let in")

    def vanish(self) -> None:
        """The process is dead."""
        self._gone = True
        if self._connection is not None:
            self._broker.vanish(self._connection)

    async def receive(self, *, messages_max: int, bytes_max: int, wait_s: float) -> list[Delivery]:
        """As `Broker` of `hub.ingest.loop`."""
        if not self._inbox:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
        now_s = self._world.now_us / 1_000_000
        return self._inbox.take(messages_max=messages_max, bytes_max=bytes_max, now_s=now_s)

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """The simulated broker lets any number be under way."""

    def publish(self, messages: Iterable[Outgoing]) -> bool:
        """As `Broker` of `hub.ingest.loop`."""
        if self._connection is None or not self._up or self._gone:
            return False
        for message in messages:
            self._hub.receipted(message)
            self._broker.publish(self._connection, Message(topic=message.topic, payload=message.payload), 0)
        return True

    def _presence(self, session: bytes, *, online: bool) -> Message:
        presence = HubPresence(session=session, online=online, at_ms=self._hub.clock.now_ms())
        return Message(topic=topics.HUB_PRESENCE, payload=encode_hub_presence(presence), qos=1, retain=True)

    def _let_in(self, session: bytes) -> None:
        if self._connection is not None and not self._gone:
            self._up = True
            self._say(self._connection, self._presence(session, online=True))

    def _say(self, connection: Connection, presence: Message) -> None:
        """As `BrokerClient`: at once, and again."""
        if self._connection is connection and not self._gone:
            self._broker.publish(connection, presence, 1)
            self._world.after(PRESENCE_S * 1000, lambda: self._say(connection, presence))

    def _take(self, message: Message) -> None:
        if self._gone:
            return
        self._inbox.put(
            Delivery(
                topic=message.topic,
                payload=message.payload,
                packet_id=None,
                connection=self._number,
                arrived_s=self._world.now_us / 1_000_000,
            )
        )
        self._arrived.set()

    def _acknowledged(self, _number: int, ok: bool) -> None:  # noqa: FBT001 -- called by position
        """As `MqttSession`: a broker that refuses our presence is left."""
        if not ok and self._connection is not None:
            self._broker.vanish(self._connection)
            self._ended("refused")

    def _ended(self, _why: str) -> None:
        self._up, self._connection = False, None
        self._world.after(self._world.between(*_RECONNECT_MS), self.connect)
