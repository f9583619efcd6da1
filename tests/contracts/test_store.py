"""What every store of check-ins must do. One implementation today; a second one joins `STORES` and nothing else changes."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hub.model import (
    AuditEntry,
    BatchState,
    Device,
    DeviceChange,
    DeviceState,
    EvidenceCount,
    Gap,
    Gate,
    HeadChange,
    MinuteCount,
    Place,
    QuarantineEntry,
    RejectedRow,
    SkippedRow,
)
from hub.store.errors import HeadConflictError, OutboxConflictError, RegistryConflictError, StoreWriteError
from hub.store.ports import QUARANTINE_DATA_BYTES, IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import GENESIS, CheckIn, parse_checkin, seal_checkin
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
KEY = Ed25519SigningKey(bytes(range(32)))
A, B = b"device-A", b"device-B"
EPOCH = b"epoch--1"
REPO = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


class Spool:
    """A device's chain of really sealed check-ins."""

    def __init__(self, device, epoch=EPOCH):
        self.device, self.epoch = device, epoch
        self.prev, self.seq = GENESIS, 0

    def make(self, n, **changes):
        made = []
        for _ in range(n):
            self.seq += 1
            checkin = CheckIn(
                device=self.device,
                epoch=self.epoch,
                seq=self.seq,
                prev=self.prev,
                at_ms=NOW_MS + self.seq,
                clock=Clock.TRUSTED,
                place="mall",
                gate="north",
                direction=Direction.IN,
                colour=Colour.GREEN,
                verdict=Verdict.ADMIT,
                reason=Reason.OK,
                code=bytes(16),
                scheme=Scheme.GATELIGHT,
                subject=b"subject-of-a-person",
                masked=("张", "11", "23"),
            )
            made.append(parse_checkin(seal_checkin(replace(checkin, **changes), key=KEY)))
            self.prev = made[-1].hash
        return tuple(made)


def head(rows, was_seq):
    last = rows[-1]
    return HeadChange(
        device_id=last.checkin.device,
        epoch=last.checkin.epoch,
        was_seq=was_seq,
        seq=last.checkin.seq,
        hash=last.hash,
    )


def count(n, **changes):
    plain = MinuteCount(
        place_id="mall",
        gate_id="north",
        minute=NOW_MS // 60_000,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        direction=Direction.IN,
        n=n,
    )
    return replace(plain, **changes)


def commit_of(rows, *, received_ms=NOW_MS, **more):
    heads = (head(rows, rows[0].checkin.seq - 1),)
    return IngestCommit(received_ms=received_ms, rows=tuple(rows), heads=heads, counts=(count(len(rows)),), **more)


def audit(action="test"):
    return AuditEntry(at_ms=NOW_MS, who="tester", action=action, detail="")


def device(device_id=A, seed=1, **changes):
    public = Ed25519SigningKey(bytes([seed]) * 32).public
    plain = Device(
        device_id=device_id,
        place_id="mall",
        gate_id="north",
        direction=Direction.IN,
        name="北门",
        cose_key=encode_key(public),
        kid=public.kid,
        state=DeviceState.ACTIVE,
        reason="",
        added_ms=NOW_MS,
        changed_ms=NOW_MS,
    )
    return replace(plain, **changes)


async def register(store):
    await store.add_place(Place(place_id="mall", name="商场"), audit=audit())
    await store.add_gate(Gate(place_id="mall", gate_id="north", name=""), audit=audit())
    await store.add_device(device(), audit=audit())


async def export(store, *, place_id=None, from_ms=0, to_ms=2**62, personal=False):
    return [row async for row in store.export(place_id=place_id, from_ms=from_ms, to_ms=to_ms, personal=personal)]


async def next_batch(store, batch_id, *, limit_rows=1000, skipped=(), made_ms=NOW_MS):
    rows = await store.unbatched(limit_rows=limit_rows, limit_bytes=1 << 20)
    return await store.fix_batch(
        batch_id=batch_id, first_id=rows[0].row_id, last_id=rows[-1].row_id, skipped=skipped, made_ms=made_ms
    )


@pytest.fixture(params=sorted(STORES))
def opened(request, tmp_path):
    """Opens the same store again and again."""

    async def again():
        return await STORES[request.param](tmp_path / "hub.db", create=True)

    return again


@pytest.fixture
async def store(opened):
    store = await opened()
    yield store
    await store.close()


# ---- ingest


async def test_a_commit_is_there_after_reopening(store, opened):
    rows = Spool(A).make(3)
    await store.commit(commit_of(rows))
    await store.close()

    store = await opened()
    (found,) = await store.heads()
    assert (found.device_id, found.epoch, found.seq, found.hash) == (A, EPOCH, 3, rows[-1].hash)
    assert found.updated_ms == NOW_MS
    assert [row.hash for row in await export(store)] == [row.hash for row in rows]
    assert [row.sealed for row in await store.unbatched(limit_rows=9, limit_bytes=1 << 20)] == [
        row.data for row in rows
    ]
    assert await store.minute_counts(from_minute=0, to_minute=2**40) == (count(3),)
    await store.close()


async def test_counts_add_up_by_every_part_of_their_key(store):
    spool = Spool(A)
    await store.commit(commit_of(spool.make(2)))
    await store.commit(commit_of(spool.make(3)))
    await store.commit(IngestCommit(received_ms=NOW_MS, counts=(count(1, colour=Colour.RED), count(7, minute=5))))
    assert await store.minute_counts(from_minute=6, to_minute=2**40) == (count(5), count(1, colour=Colour.RED))
    assert await store.minute_counts(from_minute=5, to_minute=6) == (count(7, minute=5),)


async def test_a_head_that_moved_elsewhere_undoes_the_whole_commit(store):
    spool = Spool(A)
    await store.commit(commit_of(spool.make(2)))
    rows = spool.make(2)
    entry = QuarantineEntry(device_id=A, epoch=None, seq=None, reason="malformed", detail="", data=b"x")
    stale = replace(commit_of(rows, quarantine=(entry,)), heads=(head(rows, 1),))
    for wrong in (stale, replace(stale, heads=(head(rows, 0),)), replace(stale, heads=(head(rows, 3),))):
        with pytest.raises(HeadConflictError):
            await store.commit(wrong)
    unknown = Spool(B).make(1)
    with pytest.raises(HeadConflictError):
        await store.commit(replace(commit_of(unknown), heads=(head(unknown, 9),)))

    status = await store.status()
    assert (status.rows, status.quarantined) == (2, 0)
    assert [found.seq for found in await store.heads()] == [2]
    assert await store.minute_counts(from_minute=0, to_minute=2**40) == (count(2),)
    await store.commit(commit_of(rows))


async def test_a_head_never_goes_back(store):
    rows = Spool(A).make(3)
    await store.commit(commit_of(rows))
    with pytest.raises(HeadConflictError):
        await store.commit(IngestCommit(received_ms=NOW_MS, heads=(head(rows[:1], 3),)))


async def test_rows_without_their_head_are_a_mistake_of_the_caller(store):
    rows = Spool(A).make(1)
    with pytest.raises(ValueError, match="head"):
        await store.commit(IngestCommit(received_ms=NOW_MS, rows=rows))
    with pytest.raises(ValueError, match="once"):
        await store.commit(IngestCommit(received_ms=NOW_MS, rows=rows, heads=(head(rows, 0), head(rows, 1))))
    assert (await store.status()).rows == 0


async def test_a_noted_gap_moves_the_head_without_a_hash(store):
    spool = Spool(A)
    await store.commit(commit_of(spool.make(2)))
    gap = Gap(device_id=A, epoch=EPOCH, from_seq=3, to_seq=9, why="the device lost them")
    jump = HeadChange(device_id=A, epoch=EPOCH, was_seq=2, seq=9, hash=None)
    await store.commit(IngestCommit(received_ms=NOW_MS, heads=(jump,), gaps=(gap,)))
    assert [(found.seq, found.hash) for found in await store.heads()] == [(9, None)]

    spool.seq = 9
    rows = spool.make(1)
    await store.commit(commit_of(rows, gaps=(gap,)))
    assert await store.gap_list(limit=9) == (gap,)
    assert await store.find_hash(A, EPOCH, 10) == rows[0].hash
    assert await store.find_hash(A, EPOCH, 5) is None


@pytest.mark.slow
async def test_old_hashes_are_found_among_other_devices_rows(store):
    spools = [Spool(A), Spool(B), Spool(A, b"epoch--2")]
    stored = {}
    dice = random.Random(7)
    for _ in range(60):
        spool = dice.choice(spools)
        rows = spool.make(dice.randint(1, 64))
        await store.commit(commit_of(rows))
        stored |= {(spool.device, spool.epoch, row.checkin.seq): row.hash for row in rows}
    assert max(seq for _, _, seq in stored) > 512
    for key in dice.sample(sorted(stored), 200):
        assert await store.find_hash(*key) == stored[key]
    for spool in spools:
        assert await store.find_hash(spool.device, spool.epoch, 0) is None
        assert await store.find_hash(spool.device, spool.epoch, spool.seq + 1) is None
        assert await store.find_hash(spool.device, b"epoch--9", 1) is None


async def test_several_spools_in_one_commit_keep_their_own_order(store):
    first, second = Spool(A), Spool(B)
    for _ in range(3):
        a, b = first.make(3), second.make(2)
        mixed = (a[0], b[0], a[1], b[1], a[2])
        heads = (head(a, a[0].checkin.seq - 1), head(b, b[0].checkin.seq - 1))
        await store.commit(IngestCommit(received_ms=NOW_MS, rows=mixed, heads=heads))
    for spool in (first, second):
        rows = [row for row in await export(store) if row.device_id == spool.device]
        assert [row.seq for row in rows] == list(range(1, spool.seq + 1))
        for row in rows:
            assert await store.find_hash(spool.device, EPOCH, row.seq) == row.hash


async def test_quarantine_keeps_the_beginning_of_each_thing_once(store):
    entry = QuarantineEntry(device_id=A, epoch=EPOCH, seq=4, reason="fork", detail="已有另一条", data=b"z" * 70_000)
    other = QuarantineEntry(device_id=None, epoch=None, seq=None, reason="malformed", detail="", data=b"")
    for _ in range(3):
        await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(entry, other, entry)))
    newest, oldest = await store.quarantine_list(limit=9)
    assert (newest.device_id, newest.seq, newest.data) == (None, None, b"")
    assert (oldest.device_id, oldest.epoch, oldest.seq, oldest.reason) == (A, EPOCH, 4, "fork")
    assert (oldest.detail, oldest.received_ms) == ("已有另一条", NOW_MS)
    assert oldest.data == b"z" * QUARANTINE_DATA_BYTES
    assert len(await store.quarantine_list(limit=1)) == 1
    assert await store.forget_quarantine(received_before_ms=NOW_MS) == 0
    assert await store.forget_quarantine(received_before_ms=NOW_MS + 1) == 2
    assert [row.data for row in await store.quarantine_list(limit=9)] == [None, None]
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(entry,)))
    assert (await store.status()).quarantined == 2


async def test_evidence_is_told_apart_by_device_place_in_the_chain_and_reason(store):
    entry = QuarantineEntry(device_id=A, epoch=EPOCH, seq=4, reason="malformed", detail="", data=b"same bytes")
    others = (
        replace(entry, device_id=B),
        replace(entry, epoch=b"epoch--2"),
        replace(entry, seq=5),
        replace(entry, reason="fork"),
    )
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(entry, *others, entry)))
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(replace(entry, detail="again"),)))
    assert (await store.status()).quarantined == 5


async def test_evidence_of_a_device_is_counted_while_its_bytes_are_there(store):
    one = QuarantineEntry(device_id=A, epoch=None, seq=None, reason="malformed", detail="", data=b"1")
    gap = Gap(device_id=A, epoch=EPOCH, from_seq=1, to_seq=2, why="")
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(one,), gaps=(gap, replace(gap, device_id=B))))
    await store.commit(IngestCommit(received_ms=NOW_MS + 9, quarantine=(replace(one, data=b"2"),)))
    assert await store.evidence(A) == EvidenceCount(quarantined=2, gaps=1)
    assert await store.evidence(B) == EvidenceCount(quarantined=0, gaps=1)
    await store.forget_quarantine(received_before_ms=NOW_MS + 1)
    assert await store.evidence(A) == EvidenceCount(quarantined=1, gaps=1)


async def test_sealed_bytes_are_found_until_they_are_forgotten(store):
    rows = Spool(A).make(3)
    await store.commit(commit_of(rows))
    assert await store.find_sealed(A, EPOCH, 2) == rows[1].data
    assert await store.find_sealed(A, EPOCH, 4) is None
    await next_batch(store, b"1" * 16)
    await store.mark_receipted(b"1" * 16, receipt=b"r", rejected=(), now_ms=NOW_MS)
    await store.forget_personal(received_before_ms=2**60, limit_batches=9)
    assert await store.find_sealed(A, EPOCH, 2) is None
    assert await store.find_hash(A, EPOCH, 2) == rows[1].hash


async def test_the_hub_stops_a_device_in_the_commit_that_proves_why(store):
    await register(store)
    change = DeviceChange(device_id=A, state=DeviceState.QUARANTINED, reason="fork at 5")
    for _ in range(2):
        await store.commit(IngestCommit(received_ms=NOW_MS + 5, device_changes=(change,)))
    (found,) = await store.devices()
    assert (found.state, found.reason, found.changed_ms) == (DeviceState.QUARANTINED, "fork at 5", NOW_MS + 5)
    done = [entry for entry in await store.audit_log(limit=9) if entry.who == "hub"]
    assert [(entry.action, entry.at_ms) for entry in done] == [("device.quarantined", NOW_MS + 5)]

    await store.set_device_state(A, state=DeviceState.REVOKED, reason="stolen", audit=audit())
    await store.commit(IngestCommit(received_ms=NOW_MS, device_changes=(change,)))
    assert [found.state for found in await store.devices()] == [DeviceState.REVOKED]


async def test_hostile_text_is_only_text(store):
    nasty = "'); DROP TABLE checkin; --\x00\u202e\U0001f480\uffff\"\\"
    entry = QuarantineEntry(
        device_id=nasty.encode(), epoch=b"", seq=2**63 - 1, reason=nasty, detail=nasty, data=b"\x00"
    )
    gap = Gap(device_id=A, epoch=EPOCH, from_seq=1, to_seq=2**63 - 1, why=nasty)
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(entry,), gaps=(gap,)))
    (row,) = await store.quarantine_list(limit=9)
    assert (row.reason, row.detail, row.device_id, row.seq) == (nasty, nasty, nasty.encode(), 2**63 - 1)
    assert await store.gap_list(limit=9) == (gap,)
    masked = ('"];--', "=1+1", "\u202e")
    await store.commit(commit_of(Spool(A).make(1, masked=masked, subject=b"\x00")))
    (stored,) = await export(store, personal=True)
    assert (stored.masked, stored.subject) == (masked, b"\x00")


async def test_numbers_that_do_not_fit_fail_the_commit_whole_and_only_it(store):
    good = Spool(A).make(1)
    gap = Gap(device_id=B, epoch=EPOCH, from_seq=1, to_seq=2**63, why="")
    with pytest.raises(StoreWriteError):
        await store.commit(commit_of(good, gaps=(gap,)))
    assert (await store.status()).rows == 0
    await store.commit(commit_of(good))
    assert (await store.status()).rows == 1


async def test_commits_of_many_tasks_do_not_mix(store):
    spools = [Spool(bytes([n]) * 8) for n in range(20)]

    async def feed(spool):
        for _ in range(5):
            await store.commit(commit_of(spool.make(2)))

    await asyncio.gather(*(feed(spool) for spool in spools))
    assert (await store.status()).rows == 200
    assert {found.seq for found in await store.heads()} == {10}


async def test_a_cancelled_commit_happened_whole_or_not_at_all(store):
    dice = random.Random(3)
    seq = 0
    for _ in range(40):
        spool = Spool(A)
        spool.seq = seq
        task = asyncio.create_task(store.commit(commit_of(spool.make(5))))
        for _ in range(dice.randint(0, 12)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        heads = await store.heads()
        status = await store.status()
        seq = heads[0].seq if heads else 0
        assert seq % 5 == 0
        assert status.rows == seq
        assert sum(found.n for found in await store.minute_counts(from_minute=0, to_minute=2**40)) == seq


CRASH = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from test_store import STORES, Spool, A, commit_of, next_batch

async def main():
    store = await STORES[sys.argv[3]](Path(sys.argv[4]), create=True)
    spool, batch = Spool(A), 0
    while True:
        await store.commit(commit_of(spool.make(10)))
        print(spool.seq, flush=True)
        if spool.seq % 30 == 0:
            batch += 1
            await next_batch(store, batch.to_bytes(16, "big"))

asyncio.run(main())
"""


def kill_a_writer(kind, path, after_commits):
    """Returns the last seq that the writer knew to be committed."""
    arguments = [str(REPO), str(Path(__file__).parent), kind, str(path)]
    command = [sys.executable, "-c", CRASH, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(after_commits):
            said = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        return max([said, *(int(line) for line in process.stdout if line.endswith("\n"))])


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(STORES))
@pytest.mark.parametrize("after_commits", [1, 2, 5, 17, 40])
async def test_what_was_committed_survives_sigkill_and_nothing_is_half_there(tmp_path, kind, after_commits):
    path = tmp_path / "hub.db"
    said = await asyncio.to_thread(kill_a_writer, kind, path, after_commits)
    store = await STORES[kind](path)
    stored = (await store.status()).rows
    assert stored in (said, said + 10)
    assert [found.seq for found in await store.heads()] == [stored]
    assert sum(found.n for found in await store.minute_counts(from_minute=0, to_minute=2**40)) == stored
    batched = [
        row.seq
        for batch in await store.due_batches(now_ms=NOW_MS, limit=999)
        for row in await store.batch_rows(batch.batch_id)
    ]
    left = [row.seq for row in await store.unbatched(limit_rows=9999, limit_bytes=1 << 30)]
    assert batched + left == list(range(1, stored + 1))
    await store.close()


# ---- outbox


async def test_unbatched_keeps_both_limits_and_gives_at_least_one(store):
    rows = Spool(A).make(5)
    assert await store.unbatched(limit_rows=5, limit_bytes=1000) == ()
    await store.commit(commit_of(rows))
    size = len(rows[0].data)
    assert len(await store.unbatched(limit_rows=3, limit_bytes=1 << 20)) == 3
    assert len(await store.unbatched(limit_rows=9, limit_bytes=size + len(rows[1].data))) == 2
    assert len(await store.unbatched(limit_rows=9, limit_bytes=1)) == 1


async def test_a_batch_once_fixed_is_always_the_same(store, opened):
    spool = Spool(A)
    await store.commit(commit_of(spool.make(5)))
    skip = SkippedRow(row_id=2, reason="bad_signature", detail="wrong")
    batch = await next_batch(store, b"1" * 16, limit_rows=4, skipped=(skip,))
    assert (batch.first_id, batch.last_id, batch.rows, batch.state) == (1, 4, 3, BatchState.OPEN)
    assert (batch.attempts, batch.next_try_ms, batch.made_ms) == (0, NOW_MS, NOW_MS)
    before = await store.batch_rows(b"1" * 16)
    assert [row.seq for row in before] == [1, 3, 4]

    await store.commit(commit_of(spool.make(3)))
    await next_batch(store, b"2" * 16)
    await store.close()
    store = await opened()
    assert await store.batch_rows(b"1" * 16) == before
    assert await store.due_batches(now_ms=NOW_MS, limit=1) == (batch,)
    assert [row.seq for row in await store.batch_rows(b"2" * 16)] == [5, 6, 7, 8]
    (evidence,) = await store.quarantine_list(limit=9)
    assert (evidence.seq, evidence.reason, evidence.device_id) == (2, "bad_signature", A)
    await store.close()


async def test_a_batch_is_only_made_of_the_next_rows(store):
    await store.commit(commit_of(Spool(A).make(4)))

    async def fix(first_id, last_id, *skips):
        skipped = tuple(SkippedRow(row_id=row_id, reason="r", detail="") for row_id in skips)
        return await store.fix_batch(
            batch_id=b"1" * 16, first_id=first_id, last_id=last_id, skipped=skipped, made_ms=NOW_MS
        )

    for wrong in ((2, 3), (1, 5), (1, 0), (1, 2, 3), (1, 2, 0), (1, 2, 1, 1)):
        with pytest.raises((OutboxConflictError, StoreWriteError)):
            await fix(*wrong)
    assert (await store.status()).quarantined == 0
    await fix(1, 2)
    with pytest.raises(OutboxConflictError):
        await fix(1, 2)


async def test_a_batch_with_nothing_left_is_closed_at_once(store):
    await store.commit(commit_of(Spool(A).make(2)))
    skipped = tuple(SkippedRow(row_id=row_id, reason="bad_signature", detail="") for row_id in (1, 2))
    batch = await next_batch(store, b"1" * 16, skipped=skipped)
    assert (batch.rows, batch.state) == (0, BatchState.RECEIPTED)
    assert await store.due_batches(now_ms=2**60, limit=9) == ()
    assert (await store.status()).outbox_rows == 0


async def test_retries_wait_and_refused_batches_come_back(store):
    await store.commit(commit_of(Spool(A).make(2)))
    assert await store.due_batches(now_ms=2**60, limit=9) == ()
    await next_batch(store, b"1" * 16, limit_rows=1)
    await next_batch(store, b"2" * 16, limit_rows=1, made_ms=NOW_MS + 1)
    assert [batch.batch_id for batch in await store.due_batches(now_ms=NOW_MS, limit=9)] == [b"1" * 16]
    await store.retry_batch(b"1" * 16, next_try_ms=NOW_MS + 50, detail="timeout")
    assert [batch.batch_id for batch in await store.due_batches(now_ms=NOW_MS + 49, limit=9)] == [b"2" * 16]
    await store.mark_refused(b"1" * 16, next_try_ms=NOW_MS + 90, detail="400")
    assert (await store.status()).batches_refused == 1
    (longest, parked) = await store.due_batches(now_ms=NOW_MS + 90, limit=9)
    assert longest.batch_id == b"2" * 16
    assert (parked.state, parked.attempts, parked.batch_id) == (BatchState.REFUSED, 2, b"1" * 16)
    await store.mark_receipted(b"1" * 16, receipt=b"late", rejected=(), now_ms=NOW_MS)
    assert (await store.status()).batches_refused == 0


async def test_a_receipt_closes_a_batch_and_quarantines_what_it_rejects(store):
    await store.commit(commit_of(Spool(A).make(3)))
    await next_batch(store, b"1" * 16, skipped=(SkippedRow(row_id=1, reason="bad_signature", detail=""),))
    for alien in (1, 4):
        with pytest.raises(OutboxConflictError):
            await store.mark_receipted(
                b"1" * 16,
                receipt=b"r",
                rejected=(RejectedRow(row_id=alien, reason="malformed", detail=""),),
                now_ms=NOW_MS,
            )
    rejected = (RejectedRow(row_id=3, reason="unknown_key", detail="platform"),)
    for _ in range(2):
        await store.mark_receipted(b"1" * 16, receipt=b"r", rejected=rejected, now_ms=NOW_MS)
    assert [row.seq for row in await store.quarantine_list(limit=9)] == [3, 1]
    status = await store.status()
    assert (status.outbox_rows, status.outbox_oldest_ms, status.batches_open) == (0, None, 0)
    for step in (store.batch_rows(b"1" * 16), store.retry_batch(b"1" * 16, next_try_ms=0, detail="")):
        with pytest.raises(OutboxConflictError):
            await step


async def test_a_rejected_row_stays_visible_though_its_bytes_were_quarantined_before(store):
    rows = Spool(A).make(1)
    fork = QuarantineEntry(device_id=A, epoch=EPOCH, seq=1, reason="fork", detail="", data=rows[0].data)
    await store.commit(commit_of(rows, quarantine=(fork,)))
    await next_batch(store, b"1" * 16)
    rejected = (RejectedRow(row_id=1, reason="unknown_issuer", detail="rejected by the platform"),)
    await store.mark_receipted(b"1" * 16, receipt=b"r", rejected=rejected, now_ms=NOW_MS)
    kept = await store.quarantine_list(limit=9)
    assert [(row.reason, row.data) for row in kept] == [("unknown_issuer", rows[0].data), ("fork", rows[0].data)]


async def test_a_refused_batch_lives_on_in_halves(store):
    await store.commit(commit_of(Spool(A).make(6)))
    skipped = tuple(SkippedRow(row_id=row_id, reason="bad_signature", detail="") for row_id in (1, 2, 3))
    await next_batch(store, b"1" * 16, skipped=skipped)
    first, second = await store.split_batch(
        b"1" * 16, first_half_id=b"2" * 16, second_half_id=b"3" * 16, now_ms=NOW_MS + 7, detail="413"
    )
    assert (first.rows, second.rows, first.next_try_ms) == (1, 2, NOW_MS + 7)
    assert await store.due_batches(now_ms=NOW_MS + 7, limit=9) == (first, second)
    assert [row.seq for row in await store.batch_rows(b"2" * 16)] == [4]
    assert [row.seq for row in await store.batch_rows(b"3" * 16)] == [5, 6]
    for batch_id in (b"1" * 16, b"2" * 16, b"9" * 16):
        with pytest.raises(OutboxConflictError):
            await store.split_batch(
                batch_id, first_half_id=b"4" * 16, second_half_id=b"5" * 16, now_ms=NOW_MS, detail=""
            )
    with pytest.raises(OutboxConflictError):
        await store.mark_receipted(b"1" * 16, receipt=b"", rejected=(), now_ms=NOW_MS)
    assert (await store.status()).outbox_rows == 3


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_each_row_is_in_exactly_one_place(store, seed):
    dice = random.Random(seed)
    spool, serial = Spool(A), 0
    receipted, skipped_seqs, content = [], [], {}

    def new_id():
        nonlocal serial
        serial += 1
        return serial.to_bytes(16, "big")

    for _ in range(80):
        due = await store.due_batches(now_ms=NOW_MS, limit=999)
        match dice.choice(["commit", "fix", "receipt", "split", "retry"]):
            case "commit":
                await store.commit(commit_of(spool.make(dice.randint(1, 6))))
            case "fix":
                rows = await store.unbatched(limit_rows=dice.randint(1, 9), limit_bytes=1 << 20)
                bad = [row for row in rows if dice.random() < 0.2]
                skipped = tuple(SkippedRow(row_id=row.row_id, reason="bad_signature", detail="") for row in bad)
                if rows:
                    await next_batch(store, new_id(), limit_rows=len(rows), skipped=skipped)
                    skipped_seqs += [row.seq for row in bad]
            case "receipt" if due:
                batch = dice.choice(due)
                receipted += [row.seq for row in await store.batch_rows(batch.batch_id)]
                await store.mark_receipted(batch.batch_id, receipt=b"", rejected=(), now_ms=NOW_MS)
            case "split" if due and (batch := dice.choice(due)).rows > 1:
                halves = await store.split_batch(
                    batch.batch_id, first_half_id=new_id(), second_half_id=new_id(), now_ms=NOW_MS, detail=""
                )
                assert sum(half.rows for half in halves) == batch.rows
            case "retry" if due:
                await store.retry_batch(dice.choice(due).batch_id, next_try_ms=NOW_MS, detail="")
        pending = []
        for batch in await store.due_batches(now_ms=NOW_MS, limit=999):
            seqs = [row.seq for row in await store.batch_rows(batch.batch_id)]
            assert len(seqs) == batch.rows
            assert content.setdefault(batch.batch_id, seqs) == seqs
            pending += seqs
        waiting = [row.seq for row in await store.unbatched(limit_rows=9999, limit_bytes=1 << 30)]
        assert sorted(receipted + skipped_seqs + pending + waiting) == list(range(1, spool.seq + 1))
        assert (await store.status()).outbox_rows == len(pending) + len(waiting)


async def test_personal_data_go_after_the_receipt_and_the_retention_only(store):
    spool = Spool(A)
    for received_ms in (NOW_MS, NOW_MS + 100, NOW_MS + 200):
        await store.commit(commit_of(spool.make(2), received_ms=received_ms))
    for name in (b"1", b"2", b"3"):
        await next_batch(store, name * 16, limit_rows=2)
    for name in (b"1", b"3"):
        await store.mark_receipted(name * 16, receipt=b"r", rejected=(), now_ms=NOW_MS)

    assert await store.forget_personal(received_before_ms=NOW_MS, limit_batches=9) == 0
    assert await store.forget_personal(received_before_ms=NOW_MS + 200, limit_batches=9) == 1
    assert await store.forget_personal(received_before_ms=NOW_MS + 200, limit_batches=9) == 0
    rows = await export(store, personal=True)
    assert [row.subject is None for row in rows] == [True, True, False, False, False, False]
    assert [row.masked is None for row in rows] == [True, True, False, False, False, False]
    assert all(len(row.hash) == 32 for row in rows)
    assert len(await store.batch_rows(b"2" * 16)) == 2
    assert await store.find_hash(A, EPOCH, 1) == rows[0].hash

    await store.mark_receipted(b"2" * 16, receipt=b"r", rejected=(), now_ms=NOW_MS)
    assert await store.forget_personal(received_before_ms=2**60, limit_batches=1) == 1
    assert await store.forget_personal(received_before_ms=2**60, limit_batches=9) == 1
    assert all(row.subject is None for row in await export(store, personal=True))


# ---- registry


async def test_the_registry_gives_back_what_was_added_and_audits_it(store):
    await register(store)
    both = device(B, seed=2, direction=None)
    await store.add_device(both, audit=audit("device.add"))
    assert await store.places() == (Place(place_id="mall", name="商场"),)
    assert await store.gates() == (Gate(place_id="mall", gate_id="north", name=""),)
    assert await store.devices() == (device(), both)
    log = await store.audit_log(limit=2)
    assert [entry.action for entry in log] == ["device.add", "test"]


async def test_the_registry_refuses_what_does_not_fit_and_audits_nothing(store):
    await register(store)
    refused = [
        store.add_place(Place(place_id="mall", name="other"), audit=audit("no")),
        store.add_gate(Gate(place_id="mall", gate_id="north", name=""), audit=audit("no")),
        store.add_gate(Gate(place_id="nowhere", gate_id="north", name=""), audit=audit("no")),
        store.add_device(device(seed=2), audit=audit("no")),
        store.add_device(device(B, seed=1), audit=audit("no")),
        store.add_device(device(B, seed=2, gate_id="south"), audit=audit("no")),
        store.set_device_state(B, state=DeviceState.REVOKED, reason="", audit=audit("no")),
        store.set_device_state(A, state=DeviceState.ACTIVE, reason="", audit=audit("no")),
    ]
    for change in refused:
        with pytest.raises(RegistryConflictError):
            await change
    assert all(entry.action == "test" for entry in await store.audit_log(limit=99))


async def test_revoked_is_final(store):
    await register(store)
    await store.set_device_state(A, state=DeviceState.QUARANTINED, reason="fork", audit=audit())
    await store.set_device_state(A, state=DeviceState.ACTIVE, reason="", audit=audit())
    await store.set_device_state(A, state=DeviceState.REVOKED, reason="stolen", audit=audit())
    with pytest.raises(RegistryConflictError, match="final"):
        await store.set_device_state(A, state=DeviceState.ACTIVE, reason="", audit=audit())
    with pytest.raises(RegistryConflictError, match="already"):
        await store.add_device(device(), audit=audit())


async def test_another_process_change_shows_in_the_registry_version(store, opened):
    other = await opened()
    before = await store.registry_version()
    await store.commit(commit_of(Spool(A).make(1)))
    assert await store.registry_version() == before
    await register(other)
    assert await store.registry_version() != before
    assert len(await store.devices()) == 1
    await other.close()


# ---- reports


async def test_status_counts_what_has_no_receipt(store):
    empty = await store.status()
    assert (empty.rows, empty.outbox_rows, empty.outbox_oldest_ms) == (0, 0, None)
    spool = Spool(A)
    for received_ms in (NOW_MS, NOW_MS + 10, NOW_MS + 20):
        await store.commit(commit_of(spool.make(2), received_ms=received_ms))
    await next_batch(store, b"1" * 16, limit_rows=2)
    await next_batch(store, b"2" * 16, limit_rows=2)
    status = await store.status()
    assert (status.rows, status.outbox_rows, status.outbox_oldest_ms, status.batches_open) == (6, 6, NOW_MS, 2)
    await store.mark_receipted(b"1" * 16, receipt=b"", rejected=(), now_ms=NOW_MS)
    status = await store.status()
    assert (status.outbox_rows, status.outbox_oldest_ms) == (4, NOW_MS + 10)
    await store.mark_receipted(b"2" * 16, receipt=b"", rejected=(), now_ms=NOW_MS)
    status = await store.status()
    assert (status.outbox_rows, status.outbox_oldest_ms) == (2, NOW_MS + 20)


async def test_export_takes_place_and_time_and_hides_people_unless_asked(store):
    spool = Spool(A)
    await store.commit(commit_of(spool.make(3)))
    await store.commit(commit_of(spool.make(2, place="station")))
    rows = await export(store, place_id="mall", from_ms=NOW_MS + 2, to_ms=NOW_MS + 5)
    assert [row.seq for row in rows] == [2, 3]
    (row,) = await export(store, place_id="station", to_ms=NOW_MS + 5)
    assert (row.place_id, row.gate_id, row.reason, row.clock) == ("station", "north", Reason.OK, Clock.TRUSTED)
    assert (row.subject, row.masked, row.received_ms) == (None, None, NOW_MS)
    (row,) = await export(store, place_id="station", to_ms=NOW_MS + 5, personal=True)
    assert (row.subject, row.masked) == (b"subject-of-a-person", ("张", "11", "23"))


async def test_an_export_ends_although_rows_keep_coming(store):
    spool = Spool(A)
    await store.commit(commit_of(spool.make(10)))
    seen = 0
    async for _ in store.export(place_id=None, from_ms=0, to_ms=2**62, personal=False):
        seen += 1
        await store.commit(commit_of(spool.make(1)))
    assert seen == 10
