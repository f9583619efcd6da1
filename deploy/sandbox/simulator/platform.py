"""The platform: the stand-in's own judge and store, in memory, behind a network and moods of its own."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.platform.store import PlatformStore
from deploy.sandbox.simulator.keys import HUB_KEY, PLACE, PLATFORM_KEY, STRANGER_KEY, GateKeys
from deploy.sandbox.simulator.truth import Truth
from deploy.sandbox.simulator.world import WALL_MS, World
from hub.deliver.platform import PlatformError
from protocol.batch import BatchReceipt, open_batch, seal_batch_receipt
from protocol.devicekey import DeviceKey

TIMEOUT_MS = 30_000
"""After which the hub no longer waits."""


@dataclass(slots=True, kw_only=True)
class Mood:
    """How it answers, each with its probability; the rest of the time as it should.

    `away`: not at all. `late`: it stores, and the answer comes after the hub has gone. `failing`: 500, before or
    after it has stored. `refusing`: 400, for the content. `lying`: 200 with a receipt that cannot be believed, whether
    it has stored or not.
    """

    away: float = 0.0
    late: float = 0.0
    failing: float = 0.0
    refusing: float = 0.0
    lying: float = 0.0


class SimPlatform:
    """`hub.deliver.platform.Platform`."""

    def __init__(self, world: World, *, gates: list[GateKeys], truth: Truth) -> None:
        self._world, self._truth = world, truth
        self.mood = Mood()
        self._store = PlatformStore(Path(":memory:"), open_subject=lambda _: None)
        for gate in gates:
            self._store.know_device(
                DeviceKey(device=gate.device, key=gate.key.public, place=PLACE, gate=gate.name, from_ms=WALL_MS)
            )
        self._totals = self._store.totals()

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """As `Platform`."""
        world, mood = self._world, self.mood
        await asyncio.sleep(world.between(0.002, 0.05))
        if world.likely(mood.away):
            raise PlatformError("nobody answers")
        if world.likely(mood.refusing):
            return 400, b"no"
        if world.likely(mood.failing / 2):
            return 503, b"later"
        lies = world.likely(mood.lying)
        if lies and world.likely(0.5):
            return 200, self._lie(b"stored")
        answer = self._take(body)
        if world.likely(mood.failing / 2):
            return 500, b"something went wrong after it was stored"
        if world.likely(mood.late):
            await asyncio.sleep(TIMEOUT_MS / 1000)
            raise PlatformError("no answer in time")
        if lies:
            return 200, self._lie(answer)
        return 200, answer

    def close(self) -> None:
        """Let go of the memory."""
        self._store.close()

    def totals(self) -> dict[str, int]:
        """As `PlatformStore`."""
        return self._totals

    def _take(self, body: bytes) -> bytes:
        batch = open_batch(body, key=HUB_KEY.public)
        before = self._totals
        answer = self._store.take(
            batch,
            seal=lambda receipt: seal_batch_receipt(receipt, key=PLATFORM_KEY),
            now_ms=WALL_MS + self._world.now_ms,
        )
        after = self._totals = self._store.totals()
        new = after["distinct"] - before["distinct"]
        rows = self._store.newest(limit=new)[::-1] if new else []
        self._truth.took([((row.device, row.epoch, row.seq), row.hash) for row in rows])
        for fault in ("chain_breaks", "bad_signatures", "malformed", "unknown_devices"):
            # A spool that was put back, at a hub that was put back, is one fork that only the platform can see.
            if after[fault] > before[fault] and not (fault == "chain_breaks" and self._truth.forks_expected):
                self._truth.fail(f"the platform found {fault}")
        self._world.say("platform", f"takes {len(batch.checkins)} check-ins, {new} of them new")
        return answer

    def _lie(self, answer: bytes) -> bytes:
        rng = self._world.rng
        receipt = BatchReceipt(batch_id=rng.randbytes(16), stored=1, rejected=(), at_ms=WALL_MS)
        return rng.choice(
            [
                b"ok",
                b"",
                answer[:-1] + bytes([answer[-1] ^ 1]),
                seal_batch_receipt(receipt, key=PLATFORM_KEY),
                seal_batch_receipt(receipt, key=STRANGER_KEY),
            ]
        )
