"""The whole site by simulated time: it holds under every fault, and it is noticed when it does not."""

import dataclasses

import pytest

from deploy.sandbox.simulator.faults import KINDS
from deploy.sandbox.simulator.simulate import simulate
from device.send.ports import Acknowledged
from device.send.uplink import Uplink
from hub.deliver.answer import Receipted
from hub.deliver.retention import Retention
from hub.ingest.microbatch import MicroBatch
from protocol.checkin import hash_of, parse_checkin
from protocol.terms import Colour, Verdict
from protocol.verdict import Decision

pytestmark = [pytest.mark.slow, pytest.mark.system]

SEEDS = 60
SHARE = 10
ONCE_BROKEN = (
    *((0, 1500), (8, 1500), (13, 1500), (41, 1500), (194, 1000)),  # The witness was wrong, or its world.
    *((960, 1000), (2408, 1000)),
    (1529, 1000),  # A failing disk ended the hub by an error that it does not take for one of its store's.
    *((264, 1000), (339, 1000), (530, 1000), (590, 1000)),  # A gate waited for ever for a hub whose presence was lost.
)
"""(seed, steps) of every history in which something did not hold once, and why."""


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_everything_holds_in_every_history(first):
    for seed in range(first, first + SHARE):
        history = simulate(seed)
        assert not history.broken, f"gatelight-sandbox simulate --seed {seed}: {history.broken}"
        assert history.people > 0


@pytest.mark.parametrize(("seed", "steps"), ONCE_BROKEN)
def test_what_broke_once_holds(seed, steps):
    assert not simulate(seed, steps=steps).broken


def test_a_seed_is_one_history_line_by_line():
    first, second = [], []
    one, two = simulate(17, say=first.append), simulate(17, say=second.append)
    assert first == second
    assert one == two
    assert simulate(18).digest != one.digest


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_alone_happens_and_people_pass_all_the_same(kind):
    history = simulate(1, kinds=[kind], steps=600)
    assert not history.broken
    assert history.faults[kind] > 0
    assert history.greens > 0


# ---- Each of these is a mistake that somebody might make. The simulator must find it.


def forget_on_puback(monkeypatch):
    take = Uplink._take

    def mistaken(self, connection, event, now_ms):
        take(self, connection, event, now_ms)
        rows = self._spool.read(self._spool.newest, 1)
        if isinstance(event, Acknowledged) and rows:
            self._spool.forget(self._spool.newest, hash_of(rows[0]))

    monkeypatch.setattr(Uplink, "_take", mistaken)


def commit_without_sync_at_the_gate(monkeypatch):
    from device.send import spool

    connect = spool.connect
    monkeypatch.setattr(spool, "connect", lambda path, *, synchronous: connect(path, synchronous="NORMAL"))


def commit_without_sync_at_the_hub(monkeypatch):
    monkeypatch.setattr("hub.store.sqlite.connection._WRITER_PRAGMAS", ("synchronous = NORMAL", "foreign_keys = ON"))


def green_before_the_record(monkeypatch):
    monkeypatch.setattr("device.scan.loop.before_light", lambda _decision: False)


def red_for_a_full_disk(monkeypatch):
    monkeypatch.setattr(
        "device.scan.record.grey",
        lambda reason: Decision(colour=Colour.RED, verdict=Verdict.REFUSE, reason=reason),
    )


def merge_a_fork(monkeypatch):
    from hub.ingest import intake

    judge = intake.judge

    def mistaken(parts, *, first, standing):
        outcome = judge(parts, first=first, standing=standing)
        if not outcome.fork:
            return outcome
        row = parse_checkin(outcome.quarantine[-1].data)
        merged = dataclasses.replace(outcome, fork=False, quarantine=outcome.quarantine[:-1])
        if row.checkin.seq <= outcome.seq:
            return merged
        return dataclasses.replace(merged, rows=(*outcome.rows, row), seq=row.checkin.seq, hash=row.hash)

    monkeypatch.setattr(intake, "judge", mistaken)


def believe_any_answer(monkeypatch):
    from hub.deliver import forward

    read = forward.read_answer

    def mistaken(status, body, **known):
        return Receipted(receipt=body, rejected=()) if status == 200 else read(status, body, **known)

    monkeypatch.setattr(forward, "read_answer", mistaken)


def send_a_batch_as_if_it_were_new(monkeypatch):
    """A refused batch is dropped instead of being halved."""
    from hub.deliver import forward

    read = forward.read_answer

    def mistaken(status, body, **known):
        return Receipted(receipt=body, rejected=()) if status == 400 else read(status, body, **known)

    monkeypatch.setattr(forward, "read_answer", mistaken)


def keep_silent_about_gaps(monkeypatch):
    to_commit = MicroBatch.to_commit

    def mistaken(self, **how):
        self.gaps.clear()
        return to_commit(self, **how)

    monkeypatch.setattr(MicroBatch, "to_commit", mistaken)


def remember_everybody(monkeypatch):
    async def nothing(self):
        pass

    monkeypatch.setattr(Retention, "step", nothing)


def receipt_before_the_commit(monkeypatch):
    from hub.ingest.loop import Ingest

    answer, step = Ingest._answer, Ingest._commit

    async def mistaken(self, commit):
        for head in commit.heads:
            spool = self._intake._spools.get(head.device_id, head.epoch)
            batch = MicroBatch(messages=1)
            batch.receipts[head.device_id] = spool
            answer(self, batch, arrived_s=0.0)
        await step(self, commit)

    monkeypatch.setattr(Ingest, "_commit", mistaken)


@pytest.mark.parametrize(
    ("mistake", "kinds", "found"),
    [
        (forget_on_puback, ["broker misbehaves", "hub killed"], "were forgotten, receipted were"),
        (commit_without_sync_at_the_gate, ["gate loses power"], "a gate started with"),
        (commit_without_sync_at_the_hub, ["hub loses power"], "the hub started with"),
        (receipt_before_the_commit, ["hub dies writing", "hub's disk"], "the hub started with"),
        (green_before_the_record, [], "without a record"),
        (red_for_a_full_disk, ["gate's disk"], "red was lit"),
        (merge_a_fork, ["gate's card is put back"], ("merged a fork", "has number")),
        (believe_any_answer, ["platform moody"], "never came"),
        (send_a_batch_as_if_it_were_new, ["platform moody"], "never came"),
        (keep_silent_about_gaps, ["hub backed up", "hub put back"], "no gap says so"),
        (remember_everybody, [], "still known"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_found(mistake, kinds, found, monkeypatch):
    mistake(monkeypatch)
    for seed in range(40):
        history = simulate(seed, kinds=kinds)
        if history.broken:
            wanted = (found,) if isinstance(found, str) else found
            assert any(text in history.broken[0] for text in wanted), history.broken
            return
    pytest.fail("nobody noticed")
