"""Random histories of sends, replays, cuts, restarts and forks against the pure stages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.ingest.judge import Standing, find_place, judge, needed_hashes
from protocol.checkin import GENESIS, hash_of

pytestmark = pytest.mark.slow

LENGTH = 24


class PureHub:
    """The stages with a dictionary for a database."""

    def __init__(self, gate, parts_of):
        self.gate, self.parts_of = gate, parts_of
        self.rows, self.quarantined, self.gaps = [], [], []
        self.seq, self.hash = 0, GENESIS
        self.stopped = False

    def take(self, entries, *, oldest_seq=None):
        """One message; the receipt's (seq, hash), or None."""
        if self.stopped:
            return None
        parts = self.parts_of(self.gate, entries)
        _, first = find_place(parts, current_epoch=self.gate.epoch) or (b"", self.seq + 1)
        stored = {row.checkin.seq: row.hash for row in self.rows}
        needed = needed_hashes(parts, first=first, seq=self.seq, hash_=self.hash)
        outcome = judge(
            parts,
            first=first,
            standing=Standing(
                device_id=self.gate.device,
                place_id="mall",
                gate_id="north",
                epoch=self.gate.epoch,
                seq=self.seq,
                hash=self.hash,
                hashes={seq: stored[seq] for seq in needed if seq in stored},
                oldest_seq=oldest_seq,
            ),
        )
        assert outcome.seq >= self.seq
        self.rows += outcome.rows
        self.quarantined += outcome.quarantine
        self.gaps += [outcome.gap] if outcome.gap else []
        self.seq, self.hash = outcome.seq, outcome.hash
        self.stopped = outcome.fork
        return None if outcome.fork else (self.seq, self.hash)

    def restore(self, seq):
        """An older backup."""
        self.rows = [row for row in self.rows if row.checkin.seq <= seq]
        self.seq = min(self.seq, seq)
        self.hash = hash_of(self.gate.chain[self.seq - 1]) if self.seq else GENESIS


@pytest.fixture(scope="module")
def gate(make_gate):
    built = make_gate("histories")
    built.make(LENGTH)
    return built


@pytest.fixture(scope="module")
def forks(gate, make_gate):
    """For each seq, the card copied right before it: the same past, another future."""
    twins = {}
    for seq in range(1, LENGTH + 1):
        twin = gate.copy()
        del twin.chain[seq - 1 :]
        twin.make(LENGTH - seq + 1, code=bytes(16))
        twins[seq] = twin
    return twins


spans = st.tuples(st.integers(1, LENGTH), st.integers(1, 8)).map(lambda pair: (pair[0], min(LENGTH, sum(pair) - 1)))


@settings(max_examples=150, deadline=None)
@given(sent=st.lists(spans, max_size=20))
def test_any_order_of_messages_stores_each_once_and_in_order(gate, parts_of, sent):
    """Lost, doubled, overtaking and overlapping messages; then the device drains what is left."""
    hub = PureHub(gate, parts_of)
    for first, last in sent:
        seq, hash_ = hub.take(gate.chain[first - 1 : last])
        assert [row.checkin.seq for row in hub.rows] == list(range(1, seq + 1))
        assert hash_ == (hash_of(gate.chain[seq - 1]) if seq else GENESIS)
    while hub.seq < LENGTH:
        hub.take(gate.chain[hub.seq : hub.seq + 7])
    assert [row.data for row in hub.rows] == gate.chain
    assert not (hub.quarantined)
    assert not (hub.gaps)


@settings(max_examples=150, deadline=None)
@given(
    sent=st.lists(spans, max_size=12),
    rotten=st.sets(st.integers(0, LENGTH - 1), max_size=6),
    unreadable=st.booleans(),
)
def test_poison_is_quarantined_once_and_all_else_is_stored_once(gate, parts_of, sent, rotten, unreadable):
    """Records that rotted on the card: the same bytes every time they are sent."""
    held = [
        (data[: len(data) // 2] if unreadable else data[:-1] + bytes([data[-1] ^ 1])) if at in rotten else data
        for at, data in enumerate(gate.chain)
    ]
    hub = PureHub(gate, parts_of)
    for first, last in [*sent, *((seq, min(LENGTH, seq + 7)) for seq in range(1, LENGTH + 1, 4))]:
        entries = held[first - 1 : last]
        if find_place(parts_of(gate, entries), current_epoch=gate.epoch) is not None:
            hub.take(entries)
    assert [row.data for row in hub.rows] == [data for at, data in enumerate(held) if at not in rotten]
    assert sorted(entry.seq for entry in hub.quarantined) == sorted(at + 1 for at in rotten)
    assert not hub.stopped


@settings(max_examples=150, deadline=None)
@given(
    copied_before=st.integers(1, LENGTH),
    sent=st.lists(st.tuples(st.booleans(), spans), min_size=1, max_size=20),
)
def test_of_two_futures_one_is_stored_and_the_first_conflict_stops_the_device(
    gate, parts_of, forks, copied_before, sent
):
    twin = forks[copied_before]
    hub = PureHub(gate, parts_of)
    for is_twin, (first, last) in sent:
        chain = twin.chain if is_twin else gate.chain
        before = list(hub.rows)
        hub.take(chain[first - 1 : last])
        assert hub.rows[: len(before)] == before
        stored = [row.data for row in hub.rows]
        assert stored in (gate.chain[: len(stored)], twin.chain[: len(stored)])
        conflict = any(
            seq <= hub.seq and chain[seq - 1] != stored[seq - 1] for seq in range(max(first, 1), min(last, hub.seq) + 1)
        )
        assert hub.stopped or not conflict
        if hub.stopped:
            assert hub.quarantined[-1].reason == "fork"
            break


@settings(max_examples=150, deadline=None)
@given(
    sent=st.lists(spans, max_size=8),
    backup=st.integers(0, LENGTH),
    held_from=st.integers(1, LENGTH),
)
def test_a_restored_backup_costs_only_what_the_device_no_longer_has(gate, parts_of, sent, backup, held_from):
    hub = PureHub(gate, parts_of)
    for first, last in sent:
        hub.take(gate.chain[first - 1 : last])
    held_from = min(held_from, hub.seq + 1)
    hub.restore(backup)
    head = hub.seq
    while hub.seq < LENGTH:
        start = max(held_from, hub.seq + 1)
        hub.take(gate.chain[start - 1 : start + 6], oldest_seq=held_from)
    lost = list(range(head + 1, held_from))
    stored = [row.checkin.seq for row in hub.rows]
    assert stored == [seq for seq in range(1, LENGTH + 1) if seq not in lost]
    assert [(gap.from_seq, gap.to_seq) for gap in hub.gaps] == ([(lost[0], lost[-1])] if lost else [])
    assert not hub.stopped


@settings(max_examples=200, deadline=None)
@given(message=st.lists(st.one_of(st.binary(max_size=40), st.integers(0, LENGTH - 1)), min_size=1, max_size=12))
def test_any_mixture_of_rubbish_and_records_keeps_the_order(gate, parts_of, message):
    hub = PureHub(gate, parts_of)
    hub.take([gate.chain[item] if isinstance(item, int) else item for item in message])
    seqs = [row.checkin.seq for row in hub.rows]
    assert seqs == sorted(set(seqs))
    assert hub.seq == 0 or hub.rows or hub.quarantined
