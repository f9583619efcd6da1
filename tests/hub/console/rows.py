"""Check-ins really sealed and committed, for what the console reads."""

from dataclasses import replace

from hub.deliver.aggregate import aggregate
from hub.model import AuditEntry, Device, DeviceState, HeadChange
from hub.store.ports import IngestCommit
from protocol.checkin import GENESIS, CheckIn, Evidence, parse_checkin, seal_checkin
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

KEY = Ed25519SigningKey(bytes(range(32)))
DEVICE, EPOCH = b"device-A", b"epoch--1"
ISSUER = b"issuer-1"


class Stream:
    """What one device at one gate seals."""

    def __init__(self, console, *, place="mall", gate="G1", device=DEVICE, key=KEY):
        self.console, self.place, self.gate, self.device, self.key = console, place, gate, device, key
        self.prev, self.seq = GENESIS, 0

    async def register(self):
        public = self.key.public
        device = Device(
            device_id=self.device,
            place_id=self.place,
            gate_id=self.gate,
            direction=None,
            name="",
            cose_key=encode_key(public),
            kid=public.kid,
            state=DeviceState.ACTIVE,
            reason="",
            added_ms=0,
            changed_ms=0,
        )
        entry = AuditEntry(at_ms=0, who="test", action="device.add", detail="")
        await self.console.store.add_device(device, audit=entry)
        return self

    async def put(self, *changes, received_ms=None):
        """One check-in for each set of changes; returns them as sealed."""
        now_ms = self.console.clock.now_ms()
        rows = []
        was_seq = self.seq
        for change in changes:
            self.seq += 1
            checkin = CheckIn(
                device=self.device,
                epoch=EPOCH,
                seq=self.seq,
                prev=self.prev,
                at_ms=now_ms,
                clock=Clock.TRUSTED,
                place=self.place,
                gate=self.gate,
                direction=Direction.IN,
                colour=Colour.GREEN,
                verdict=Verdict.ADMIT,
                reason=Reason.OK,
                code=bytes(16),
                scheme=Scheme.GATELIGHT,
                subject=b"subject-of-a-person",
                masked=("张", "11", "23"),
                evidence=Evidence(
                    issuer_kid=ISSUER, code_issued_s=1_789_999_000, status_version=12, policy_version=3, rule="R-7"
                ),
            )
            rows.append(parse_checkin(seal_checkin(replace(checkin, **change), key=self.key)))
            self.prev = rows[-1].hash
        head = HeadChange(device_id=self.device, epoch=EPOCH, was_seq=was_seq, seq=self.seq, hash=rows[-1].hash)
        await self.console.store.commit(
            IngestCommit(
                received_ms=now_ms if received_ms is None else received_ms,
                rows=tuple(rows),
                heads=(head,),
                counts=aggregate(rows, now_ms if received_ms is None else received_ms),
            )
        )
        return rows


RED = {"colour": Colour.RED, "verdict": Verdict.REFUSE, "reason": Reason.COLOUR_RED}
YELLOW = {"colour": Colour.YELLOW, "verdict": Verdict.HOLD, "reason": Reason.COLOUR_YELLOW}
