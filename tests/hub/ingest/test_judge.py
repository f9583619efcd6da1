import pytest

from hub.ingest.judge import find_place, judge, needed_hashes
from hub.model import Gap
from protocol.checkin import hash_of
from protocol.limits import INT64_MAX


def broken(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def seqs(outcome):
    return [row.checkin.seq for row in outcome.rows]


def test_the_next_ones_become_rows_and_move_the_head(gate, parts_of, standing_at):
    gate.make(5)
    outcome = judge(parts_of(gate, gate.chain[2:]), first=3, standing=standing_at(gate, 2))
    assert seqs(outcome) == [3, 4, 5]
    assert (outcome.seq, outcome.hash) == (5, hash_of(gate.chain[4]))
    assert not (outcome.fork)
    assert not (outcome.stopped)
    assert not (outcome.quarantine)
    assert not (outcome.duplicates)
    assert not (outcome.gap)


@pytest.mark.parametrize(("head", "first", "last"), [(5, 1, 5), (5, 2, 4), (5, 5, 5), (1, 1, 1)])
def test_what_is_known_changes_nothing(*, gate, parts_of, standing_at, head, first, last):
    gate.make(5)
    standing = standing_at(gate, head, hashes={last: hash_of(gate.chain[last - 1])})
    outcome = judge(parts_of(gate, gate.chain[first - 1 : last]), first=first, standing=standing)
    assert (outcome.seq, outcome.hash) == (standing.seq, standing.hash)
    assert outcome.duplicates == last - first + 1
    assert not (outcome.rows)
    assert not (outcome.fork)
    assert not (outcome.stopped)
    assert not (outcome.quarantine)


@pytest.mark.parametrize("head", range(1, 6))
def test_an_overlap_stores_only_the_tail(gate, parts_of, standing_at, head):
    gate.make(6)
    parts = parts_of(gate, gate.chain)
    assert needed_hashes(parts, first=1, seq=head, hash_=hash_of(gate.chain[head - 1])) == ()
    outcome = judge(parts, first=1, standing=standing_at(gate, head))
    assert seqs(outcome) == list(range(head + 1, 7))
    assert outcome.duplicates == head


def test_another_history_under_the_head_is_a_fork(gate, parts_of, standing_at):
    gate.make(2)
    twin = gate.copy()
    gate.make(2)
    twin.make(3, code=bytes(16))
    outcome = judge(parts_of(twin, twin.chain[1:]), first=2, standing=standing_at(gate, 4))
    assert outcome.fork
    assert not outcome.rows
    assert (outcome.seq, outcome.hash) == (4, hash_of(gate.chain[3]))
    assert [(entry.reason, entry.seq, entry.data) for entry in outcome.quarantine] == [("fork", 4, twin.chain[3])]


def test_an_old_fork_is_found_by_the_stored_hash(gate, parts_of, standing_at):
    gate.make(2)
    twin = gate.copy()
    gate.make(4)
    twin.make(1, code=bytes(16))
    parts = parts_of(twin, twin.chain[2:])
    assert needed_hashes(parts, first=3, seq=6, hash_=hash_of(gate.chain[5])) == (3,)
    standing = standing_at(gate, 6, hashes={3: hash_of(gate.chain[2])})
    assert judge(parts, first=3, standing=standing).fork


def test_a_broken_prev_is_a_fork_and_what_came_before_it_is_kept(gate, parts_of, standing_at):
    gate.make(2)
    gate.make(1, prev=bytes(31) + b"\1")
    gate.make(1)
    parts = parts_of(gate, gate.chain)
    outcome = judge(parts, first=1, standing=standing_at(gate, 0))
    assert outcome.fork
    assert seqs(outcome) == [1, 2]
    assert outcome.seq == 2
    assert outcome.quarantine[0].seq == 3


def test_a_broken_prev_right_after_the_stored_head_is_a_fork(gate, parts_of, standing_at):
    gate.make(2)
    gate.make(1, prev=bytes(31) + b"\1")
    parts = parts_of(gate, gate.chain[2:])
    head = hash_of(gate.chain[1])
    assert needed_hashes(parts, first=3, seq=2, hash_=head) == (2,)
    assert judge(parts, first=3, standing=standing_at(gate, 2, hashes={2: head})).fork


def test_after_a_poisoned_head_any_prev_is_believed(gate, parts_of, standing_at):
    """No row at the head's seq: what stands there is poison, and its record may have rotted after it was sealed."""
    gate.make(3)
    parts = parts_of(gate, gate.chain[2:])
    outcome = judge(parts, first=3, standing=standing_at(gate, 2, hash_=hash_of(b"rot")))
    assert seqs(outcome) == [3]


def test_a_first_check_in_that_continues_something_is_a_fork(gate, parts_of, standing_at):
    gate.make(1, prev=bytes(31) + b"\1")
    assert judge(parts_of(gate, gate.chain), first=1, standing=standing_at(gate, 0)).fork


@pytest.mark.parametrize("at", range(4))
def test_poison_anywhere_is_quarantined_and_blocks_nobody(gate, parts_of, standing_at, at):
    gate.make(4)
    sent = list(gate.chain)
    sent[at] = broken(sent[at])
    parts = parts_of(gate, sent)
    place = find_place(parts, current_epoch=None)
    assert place == (gate.epoch, 1)
    outcome = judge(parts, first=1, standing=standing_at(gate, 0))
    assert seqs(outcome) == [seq for seq in range(1, 5) if seq != at + 1]
    assert [(entry.seq, entry.reason) for entry in outcome.quarantine] == [(at + 1, "bad_signature")]
    assert (outcome.seq, outcome.hash) == (4, hash_of(sent[3]))


def test_unreadable_bytes_take_their_place_from_their_neighbours(gate, parts_of, standing_at):
    gate.make(3)
    sent = [b"\0", gate.chain[1], b"\1"]
    parts = parts_of(gate, sent)
    assert find_place(parts, current_epoch=None) == (gate.epoch, 1)
    outcome = judge(parts, first=1, standing=standing_at(gate, 0))
    assert seqs(outcome) == [2]
    assert [(entry.seq, entry.reason, entry.data) for entry in outcome.quarantine] == [
        (1, "malformed", b"\0"),
        (3, "malformed", b"\1"),
    ]
    assert (outcome.seq, outcome.hash) == (3, hash_of(b"\1"))


def test_poison_seen_before_changes_nothing(gate, parts_of, standing_at):
    gate.make(3)
    parts = parts_of(gate, [gate.chain[0], b"\0", gate.chain[2]])
    standing = standing_at(gate, 3, hashes={1: hash_of(gate.chain[0])})
    outcome = judge(parts, first=1, standing=standing)
    assert outcome.duplicates == 3
    assert not (outcome.rows)
    assert not (outcome.quarantine)
    assert not (outcome.fork)


def test_claims_count_only_within_the_current_epoch(gate, parts_of):
    gate.make(3)
    parts = parts_of(gate, [b"\0", broken(gate.chain[2])])
    assert find_place(parts, current_epoch=None) is None
    assert find_place(parts, current_epoch=bytes(8)) is None
    assert find_place(parts, current_epoch=gate.epoch) == (gate.epoch, 2)


@pytest.mark.parametrize("changes", [{"place": "metro"}, {"gate": "south"}])
def test_another_place_goes_to_quarantine_and_the_chain_goes_on(gate, parts_of, standing_at, changes):
    gate.make(1)
    gate.make(1, **changes)
    gate.make(1)
    outcome = judge(parts_of(gate, gate.chain), first=1, standing=standing_at(gate, 0))
    assert seqs(outcome) == [1, 3]
    assert [(entry.seq, entry.reason) for entry in outcome.quarantine] == [(2, "wrong_place")]
    assert outcome.seq == 3


@pytest.mark.parametrize("oldest_seq", [None, 1, 2, 3, 5, 6])
def test_a_gap_is_not_believed_unless_the_message_begins_at_the_oldest(gate, parts_of, standing_at, oldest_seq):
    gate.make(5)
    standing = standing_at(gate, 1, oldest_seq=oldest_seq)
    outcome = judge(parts_of(gate, gate.chain[3:]), first=4, standing=standing)
    assert outcome.stopped
    assert (outcome.seq, outcome.hash) == (1, standing.hash)
    assert not (outcome.rows)
    assert not (outcome.gap)
    assert not (outcome.fork)


@pytest.mark.parametrize("head", [0, 1, 2])
def test_a_gap_that_nobody_can_fill_is_noted_and_passed(gate, parts_of, standing_at, head):
    gate.make(5)
    outcome = judge(parts_of(gate, gate.chain[3:]), first=4, standing=standing_at(gate, head, oldest_seq=4))
    assert seqs(outcome) == [4, 5]
    assert outcome.gap == Gap(
        device_id=gate.device,
        epoch=gate.epoch,
        from_seq=head + 1,
        to_seq=3,
        why="the device no longer holds them",
    )


def test_a_gap_may_begin_with_poison_but_not_consist_of_it(gate, parts_of, standing_at):
    gate.make(5)
    standing = standing_at(gate, 1, oldest_seq=4)
    mixed = judge(parts_of(gate, [broken(gate.chain[3]), gate.chain[4]]), first=4, standing=standing)
    assert mixed.gap is not None
    assert seqs(mixed) == [5]
    claims_only = judge(parts_of(gate, [broken(gate.chain[3])]), first=4, standing=standing)
    assert claims_only.stopped
    assert claims_only.seq == 1


def test_a_check_in_for_which_something_else_was_quarantined_is_kept_as_late(gate, parts_of, standing_at):
    gate.make(3)
    outcome = judge(parts_of(gate, gate.chain[1:2]), first=2, standing=standing_at(gate, 3))
    assert [(entry.seq, entry.reason, entry.data) for entry in outcome.quarantine] == [(2, "late", gate.chain[1])]
    assert (outcome.seq, outcome.duplicates, outcome.fork) == (3, 0, False)


def test_a_signed_entry_out_of_its_place_stops_the_message(gate, parts_of, standing_at):
    gate.make(5)
    outcome = judge(
        parts_of(gate, [gate.chain[0], gate.chain[1], gate.chain[3]]), first=1, standing=standing_at(gate, 0)
    )
    assert seqs(outcome) == [1, 2]
    assert outcome.stopped
    assert not outcome.fork


def test_an_entry_of_another_epoch_stops_the_message(gate, make_gate, parts_of, standing_at):
    gate.make(1)
    again = make_gate("gate", epoch="second")
    again.make(2)
    outcome = judge(parts_of(gate, [gate.chain[0], again.chain[1]]), first=1, standing=standing_at(gate, 0))
    assert seqs(outcome) == [1]
    assert outcome.stopped


def test_poison_before_the_first_place_there_is_changes_nothing(gate, parts_of, standing_at):
    gate.make(1)
    parts = parts_of(gate, [b"\0", b"\1", gate.chain[0]])
    assert find_place(parts, current_epoch=None) == (gate.epoch, -1)
    outcome = judge(parts, first=-1, standing=standing_at(gate, 0))
    assert seqs(outcome) == [1]
    assert not outcome.quarantine


@pytest.mark.parametrize("after", [b"\0", b"\0\1"])
def test_what_stands_beyond_the_last_number_stops_the_message(gate, parts_of, standing_at, after):
    (last,) = gate.make(1, seq=INT64_MAX)
    standing = standing_at(gate, 0, oldest_seq=INT64_MAX)
    outcome = judge(parts_of(gate, [last, after]), first=INT64_MAX, standing=standing)
    assert seqs(outcome) == [INT64_MAX]
    assert (outcome.seq, outcome.quarantine) == (INT64_MAX, ())
    assert outcome.stopped
