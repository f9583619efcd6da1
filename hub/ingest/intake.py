"""Deliveries + what is known -> a micro-batch: receive, verify and judge.

Holds what the pure stages are asked about: heads, tails, presences and devices.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from hub.broker.inbox import Delivery
from hub.ingest.bounds import Kept, passed
from hub.ingest.directory import Directory, KnownDevice
from hub.ingest.insist import Insist
from hub.ingest.judge import FORK, Outcome, Standing, find_place, judge, needed_hashes
from hub.ingest.microbatch import MicroBatch
from hub.ingest.receive import CheckIns, PresenceSaid, Refused, read_payload, read_topic
from hub.ingest.spools import Spool, Spools
from hub.ingest.verify import Part, verify, vouched_before, without_ended
from hub.model import DeviceState, QuarantineEntry
from hub.store.ports import IngestStore
from protocol.checkin import SealedCheckIn, hash_of
from protocol.familiar import Familiar
from protocol.presence import DevicePresence
from protocol.record import record

_LOG: Final = logging.getLogger(__name__)
_PRESENCES_MAX: Final = 65_536  # The broker lets only certified devices speak; of more, the later are not kept.


@record
class _Message:
    """What a device said, not yet verified."""

    device_id: bytes
    payload: bytes
    said: CheckIns | PresenceSaid | Refused


class Intake:
    """The one judge of all messages, in the order of their arrival."""

    def __init__(self, *, store: IngestStore, directory: Directory, insist: Insist) -> None:
        self._store, self._directory, self._insist = store, directory, insist
        self._familiar: defaultdict[bytes, Familiar] = defaultdict(Familiar)
        """By device, of those that are registered."""
        self._spools = Spools(())
        self._presences: dict[bytes, DevicePresence] = {}
        self._unplaced: dict[bytes, tuple[bytes, int, bytes]] = {}

    async def load(self) -> None:
        """Heads and devices, once at start."""
        heads = await self._insist.on(self._store.heads)
        self._spools = Spools(heads, gaps=await self._insist.on(self._store.gaps_of_all))
        await self.refresh()

    async def refresh(self) -> None:
        """See what other processes changed in the registry."""
        await self._insist.on(self._directory.refresh)

    async def take(self, deliveries: Iterable[Delivery], batch: MicroBatch) -> None:
        """All that has arrived: read, then verified from the last to the first, then judged in order."""
        messages = [message for delivery in deliveries if (message := self._read(delivery, batch)) is not None]
        verified = await self._verify(messages)
        for message, parts in zip(messages, verified, strict=True):
            await self._judge(message, parts, batch)

    def _read(self, delivery: Delivery, batch: MicroBatch) -> _Message | None:
        """Who says it, may they, and is it a message at all."""
        from_topic = read_topic(delivery.topic)
        if from_topic is None:
            batch.refused["bad_topic"] += 1
            return None
        device_id, leaf = from_topic
        if leaf == "presence":
            # Of unregistered devices too: they may be registered while they are connected.
            said = read_payload(leaf, delivery.payload)
            if not isinstance(said, PresenceSaid):
                batch.refused["bad_presence"] += 1
                return None
        elif self._active(device_id, batch) is None:
            return None
        else:
            said = read_payload(leaf, delivery.payload, parse=self._familiar[device_id].parse)
        return _Message(device_id=device_id, payload=delivery.payload, said=said)

    def _active(self, device_id: bytes, batch: MicroBatch) -> KnownDevice | None:
        """The device; None, and counted, if nothing that it says is stored."""
        known = self._directory.find(device_id)
        if known is None:
            batch.refused["unknown_device"] += 1
        elif known.device.state is not DeviceState.ACTIVE:
            batch.refused[known.device.state] += 1
            return None
        return known

    async def _verify(self, messages: Sequence[_Message]) -> Iterable[tuple[Part, ...]]:
        """The parts of each message; none of one that is no check-ins.

        What a device sent in many messages is one run of its chain: it costs one signature check, as if it had come in
        one. So the more there is to do, the less each check-in costs.
        """
        vouched: dict[bytes, bytes | None] = {}
        verified: list[tuple[Part, ...]] = []
        for message in reversed(messages):
            device_id, said = message.device_id, message.said
            known = self._directory.find(device_id)
            if known is None or not isinstance(said, CheckIns):
                verified.append(())
                continue
            if any(isinstance(entry, SealedCheckIn) and entry.kid not in known.keys for entry in said.entries):
                known = await self._insist.on(partial(self._directory.look_again, device_id))
            parts = verify(
                said.entries, device_id=device_id, keys=known.keys, ended=known.ended, vouched=vouched.get(device_id)
            )
            vouched[device_id] = vouched_before(parts, ended=known.ended)
            verified.append(parts)
        return reversed(verified)

    async def _judge(self, message: _Message, parts: tuple[Part, ...], batch: MicroBatch) -> None:
        device_id, said = message.device_id, message.said
        if isinstance(said, PresenceSaid):
            if device_id in self._presences or len(self._presences) < _PRESENCES_MAX:
                self._presences[device_id] = said.presence
            return
        # What came before in this batch may have stopped it.
        known = self._active(device_id, batch)
        if known is not None and isinstance(said, CheckIns):
            batch.received += len(said.entries)
            await self._take_checkins(known, parts, message.payload, batch)
        elif known is not None and isinstance(said, Refused):
            await self._refuse(device_id, said, message.payload, batch)

    async def _take_checkins(
        self, known: KnownDevice, parts: tuple[Part, ...], payload: bytes, batch: MicroBatch
    ) -> None:
        device = known.device
        presence = self._presences.get(device.device_id)
        current_epoch = presence.epoch if presence else self._spools.latest_epoch(device.device_id)
        place = find_place(parts, current_epoch=current_epoch)
        if place is None and current_epoch is None:
            refused = Refused(reason="unplaced", detail="no entry says where it stands", keep=True)
            await self._refuse(device.device_id, refused, payload, batch)
            return
        epoch, first = place or (current_epoch or b"", 0)
        spool = self._spools.get(device.device_id, epoch)
        if place is None:
            first = spool.seq + 1
            if not self._insisted(spool, payload):
                batch.answer(spool)
                return
        parts = without_ended(parts, ended=known.ended, epoch=epoch, seq=spool.seq)
        needed = needed_hashes(parts, first=first, seq=spool.seq, hash_=spool.hash)
        standing = Standing(
            device_id=device.device_id,
            place_id=device.place_id,
            gate_id=device.gate_id,
            epoch=epoch,
            seq=spool.seq,
            hash=spool.hash,
            hashes=await self._hashes(spool, needed) if needed else {},
            gaps=self._spools.gaps_of(spool),
            # A presence that its device left behind says nothing about what the device holds now.
            oldest_seq=presence.oldest_seq if presence and presence.online and presence.epoch == epoch else None,
        )
        await self._apply(spool, judge(parts, first=first, standing=standing), batch)

    def _insisted(self, spool: Spool, payload: bytes) -> bool:
        """Whether the device sends this unreadable message again although it was told the head."""
        now = (spool.epoch, spool.seq, hash_of(payload))
        if self._unplaced.pop(spool.device_id, None) == now:
            return True
        self._unplaced[spool.device_id] = now
        return False

    async def _apply(self, spool: Spool, outcome: Outcome, batch: MicroBatch) -> None:
        if await self._no_room(spool, outcome, batch):
            return
        if outcome.seq != spool.seq:
            spool.move(seq=outcome.seq, hash_=outcome.hash)
            self._spools.keep(spool)
            self._spools.remember(spool, outcome.rows)
        for row in outcome.rows:
            self._directory.note_use(spool.device_id, row.kid)
        batch.add(spool, outcome)
        if outcome.fork:
            entry = outcome.quarantine[-1]
            self._stop(spool.device_id, f"{FORK}: {entry.detail}", batch)
            await self._keep_the_first(spool, entry, batch)
        if outcome.gap is not None:
            gap = outcome.gap
            self._spools.note(gap)
            _LOG.error("gap", extra={"device": gap.device_id.hex(), "from_seq": gap.from_seq, "to_seq": gap.to_seq})

    async def _keep_the_first(self, spool: Spool, second: QuarantineEntry, batch: MicroBatch) -> None:
        """The row with which a fork conflicts, or which it does not continue: retention erases the row itself."""
        seq = min(second.seq or 0, spool.seq)
        for row in batch.rows:
            if (row.checkin.device, row.checkin.epoch, row.checkin.seq) == (spool.device_id, spool.epoch, seq):
                sealed: bytes | None = row.data
                break
        else:
            sealed = await self._insist.on(lambda: self._store.find_sealed(spool.device_id, spool.epoch, seq))
        if sealed is not None:
            detail = f"stored first, in conflict with {hash_of(second.data).hex()}"
            batch.quarantine.append(replace(second, seq=seq, detail=detail, data=sealed))

    async def _no_room(self, spool: Spool, outcome: Outcome, batch: MicroBatch) -> bool:
        """Whether the outcome would pass a bound; then the device is stopped, and nothing of the message is kept.

        What proves a fork always has room, as it stops the device.
        """
        entries = 0 if outcome.fork else len(outcome.quarantine)
        gaps = 0 if outcome.gap is None else 1
        epochs = 0 if outcome.seq == spool.seq or spool in self._spools else self._spools.epochs_with(spool)
        if not (entries or gaps or epochs):
            return False
        return await self._passes(spool.device_id, batch, entries=entries, gaps=gaps, epochs=epochs)

    async def _passes(self, device_id: bytes, batch: MicroBatch, *, entries: int, gaps: int, epochs: int) -> bool:
        if entries or gaps:
            kept = await self._insist.on(lambda: self._store.evidence(device_id))
            # What is full already stops nobody who adds nothing to it.
            if entries:
                entries += kept.quarantined + sum(entry.device_id == device_id for entry in batch.quarantine)
            if gaps:
                gaps += kept.gaps + sum(gap.device_id == device_id for gap in batch.gaps)
        reason = passed(Kept(quarantined=entries, gaps=gaps, epochs=epochs))
        if reason is None:
            return False
        batch.bounds_passed[reason] += 1
        self._stop(device_id, f"{reason}: the hub keeps no more of this device", batch)
        return True

    def _stop(self, device_id: bytes, reason: str, batch: MicroBatch) -> None:
        """From here on, and with the commit: no row and no receipt until an operator has looked."""
        batch.stop(device_id, reason)
        self._directory.quarantine(device_id, reason)
        _LOG.error("device_stopped", extra={"device": device_id.hex(), "reason": reason})

    async def _refuse(self, device_id: bytes, refused: Refused, payload: bytes, batch: MicroBatch) -> None:
        """A message that is none: counted, and kept as evidence if it came as check-ins."""
        batch.refused[refused.reason] += 1
        if not refused.keep or await self._passes(device_id, batch, entries=1, gaps=0, epochs=0):
            return
        batch.quarantine.append(
            QuarantineEntry(
                device_id=device_id,
                epoch=None,
                seq=None,
                reason=refused.reason,
                detail=refused.detail,
                data=payload,
            )
        )

    async def _hashes(self, spool: Spool, seqs: Iterable[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for seq in seqs:
            known = self._spools.tail_hash(spool, seq) or await self._stored_hash(spool, seq)
            if known is not None:
                found[seq] = known
        return found

    async def _stored_hash(self, spool: Spool, seq: int) -> bytes | None:
        return await self._insist.on(lambda: self._store.find_hash(spool.device_id, spool.epoch, seq))
