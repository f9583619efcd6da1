"""A gate that puts check-ins into a console's database, as ingest would."""

import hashlib
from dataclasses import dataclass, field

from hub.deliver.aggregate import aggregate
from hub.model import HeadChange
from hub.store.ports import IngestCommit
from protocol.checkin import parse_checkin
from protocol.terms import Clock, Colour, Direction, Verdict
from tests.hub.conftest import SimulatedGate

VERDICTS = {Colour.GREEN: Verdict.ADMIT, Colour.RED: Verdict.REFUSE}


@dataclass
class Lane:
    """One gate of a place."""

    console: object
    place: str = "mall"
    gate: str = "G1"
    name: str = ""
    device: SimulatedGate = field(init=False)

    def __post_init__(self) -> None:
        self.device = SimulatedGate(self.name or f"{self.place}/{self.gate}", place=self.place, gate=self.gate)

    async def show(self, n=1, *, colour=Colour.GREEN, direction=Direction.IN, ago_ms=0, person=None, **changes):
        """n check-ins now; returns their rows."""
        now_ms = self.console.clock.now_ms()
        was = len(self.device.chain)
        code = {} if person is None else {"code": hashlib.sha256(person.encode()).digest()[:16]}
        made = self.device.make(
            n,
            colour=colour,
            verdict=VERDICTS.get(colour, Verdict.HOLD),
            direction=direction,
            at_ms=now_ms - ago_ms,
            clock=changes.pop("clock", Clock.TRUSTED),
            **code,
            **changes,
        )
        rows = tuple(parse_checkin(data) for data in made)
        head = HeadChange(
            device_id=self.device.device, epoch=self.device.epoch, was_seq=was, seq=was + n, hash=rows[-1].hash
        )
        counts = aggregate(rows, now_ms)
        await self.console.store.commit(IngestCommit(received_ms=now_ms, rows=rows, heads=(head,), counts=counts))
        return rows
