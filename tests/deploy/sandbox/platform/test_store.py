"""The stand-in platform's judgement and its rows."""

import os
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.sandbox.platform.judge import Fault, judge
from deploy.sandbox.platform.store import OtherContentError
from protocol.batch import Batch
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Colour

pytestmark = pytest.mark.slow


def batch_of(checkins, **fields):
    return Batch(**{"hub": bytes(8), "batch_id": os.urandom(16), "checkins": tuple(checkins), **fields})


def counted(store, **expected):
    totals = store.totals()
    assert {name: totals[name] for name in expected} == expected


def test_a_chain_over_two_batches_is_stored_whole(store, gate, take):
    first = take(batch_of(gate.chain(3)))
    take(batch_of(gate.chain(2)))
    assert (first.stored, first.rejected) == (3, ())
    counted(store, rows=5, distinct=5, again=0, chain_breaks=0, batches=2)
    (chain,) = store.chains()
    assert (chain.count, chain.max_seq, chain.head_hash) == (5, 5, gate.prev)


def test_the_same_batch_gets_the_same_answer_and_changes_nothing(store, gate, take):
    batch = batch_of(gate.chain(2))
    assert take(batch) == take(batch)
    counted(store, rows=2, again=0, batches=1)


@pytest.mark.parametrize("other_hub", [False, True])
def test_a_batch_id_with_other_content_is_refused(store, gate, take, other_hub):
    batch = batch_of(gate.chain(2))
    take(batch)
    other = {"hub": bytes(7) + b"x"} if other_hub else {"checkins": batch.checkins[:1]}
    with pytest.raises(OtherContentError):
        take(batch_of(**{"checkins": batch.checkins, "batch_id": batch.batch_id, **other}))
    counted(store, rows=2)


def test_a_check_in_that_comes_again_in_another_batch_stays_in_sight(store, gate, take):
    checkins = gate.chain(2)
    take(batch_of(checkins))
    receipt = take(batch_of(checkins))
    assert receipt.stored == 2
    counted(store, rows=4, distinct=2, again=2, chain_breaks=0)


def test_a_check_in_twice_in_one_batch_is_seen_too(store, gate, take):
    (checkin,) = gate.chain(1)
    take(batch_of([checkin, checkin]))
    counted(store, distinct=1, again=1)


def test_a_gap_is_seen_until_it_is_filled_and_then_was_no_break(store, gate, take):
    checkins = gate.chain(5)
    assert take(batch_of([checkins[0], checkins[4]])).stored == 2
    counted(store, distinct=2, gaps=3, chain_breaks=0)
    take(batch_of(checkins[2:4]))
    counted(store, gaps=1)
    take(batch_of(checkins[1:2]))
    counted(store, distinct=5, gaps=0, chain_breaks=0, again=0)


def test_a_chain_that_does_not_begin_at_one_has_a_gap(store, gate, take):
    take(batch_of(gate.chain(2)[1:]))
    counted(store, distinct=1, gaps=1)


def test_a_first_check_in_with_a_past_is_a_break(store, gate, take):
    take(batch_of([gate.next(prev=bytes(31) + b"x")]))
    counted(store, distinct=1, chain_breaks=1)


def test_a_wrong_prev_is_a_break(store, gate, take):
    take(batch_of([gate.next(), gate.next(prev=bytes(31) + b"x")]))
    counted(store, distinct=2, chain_breaks=1)


def test_a_late_check_in_that_the_next_one_does_not_name_is_a_break(store, gate, take):
    first, second = gate.next(), gate.next()
    third = gate.next(prev=bytes(31) + b"x")
    take(batch_of([first, third]))
    counted(store, chain_breaks=0, gaps=1)
    take(batch_of([second]))
    counted(store, chain_breaks=1, gaps=0)


def test_the_largest_number_there_is_makes_no_trouble(store, gate, take):
    assert take(batch_of([gate.next(seq=2**63 - 1)])).stored == 1


def test_a_fork_is_evidence_and_does_not_replace_the_row(store, gate, take):
    first = gate.next()
    other = gate.next(seq=1, prev=bytes(32), colour=Colour.RED)
    receipt = take(batch_of([first, other]))
    assert receipt.stored == 2
    counted(store, distinct=1, forks=1)
    assert store.newest(limit=1)[0].colour == Colour.GREEN


def test_another_devices_signature_is_rejected(store, gate, take):
    receipt = take(batch_of([gate.next(key=Ed25519SigningKey(os.urandom(32)))]))
    assert (receipt.stored, receipt.rejected) == (0, ((0, Reason.BAD_SIGNATURE),))
    counted(store, rows=0, bad_signatures=1)


def test_a_device_that_changed_its_key_is_believed_with_both(store, gate, take):
    old, new = gate.next(), Ed25519SigningKey(os.urandom(32))
    store.know_device(gate.told(new))
    assert take(batch_of([old, gate.next(key=new)])).stored == 2


def test_a_key_stays_whose_it_was(store, gate, take):
    thief = type(gate)(key=gate.key)
    store.know_device(thief.told())
    receipt = take(batch_of([thief.next()]))
    assert receipt.rejected == ((0, Reason.UNKNOWN_ISSUER),)


def test_an_unknown_device_is_rejected(store, gate, take):
    receipt = take(batch_of([gate.next(device=os.urandom(8))]))
    assert receipt.rejected == ((0, Reason.UNKNOWN_ISSUER),)
    counted(store, rows=0, unknown_devices=1)


def test_one_bad_check_in_blocks_nobody(store, gate, take):
    checkins = gate.chain(2)
    receipt = take(batch_of([b"\x00junk", *checkins]))
    assert (receipt.stored, receipt.rejected) == (2, ((0, Reason.MALFORMED),))
    counted(store, distinct=2, malformed=1, chain_breaks=0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(at=st.integers(0, 4000), mask=st.integers(1, 255), cut=st.integers(0, 400))
def test_no_changed_check_in_is_accepted(store, gate, at, mask, cut):
    data = bytearray(gate.next())
    data[at % len(data)] ^= mask
    arrival = judge(bytes(data[: len(data) - cut]), devices=gate.registered, ledger=store)
    assert arrival.fault in {Fault.MALFORMED, Fault.UNKNOWN_DEVICE, Fault.BAD_SIGNATURE}


def test_a_batch_is_stored_whole_or_not_at_all(store, gate, take):
    def broken_seal(_receipt):
        raise RuntimeError("no more signatures today")

    batch = batch_of(gate.chain(3))
    with pytest.raises(RuntimeError):
        store.take(batch, seal=broken_seal, now_ms=1)
    counted(store, rows=0, batches=0)
    assert take(batch).stored == 3


def test_rows_are_read_back_in_order_and_by_pages(store, gate, take):
    take(batch_of(gate.chain(5)))
    rows = store.of_device(gate.device, gate.epoch, after_seq=2, limit=2)
    assert [row.seq for row in rows] == [3, 4]


def test_the_database_promises_what_the_answer_says(store):
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_what_was_answered_is_there_after_reopening(store, gate, take, tmp_path):
    take(batch_of(gate.chain(2)))
    other = sqlite3.connect(tmp_path / "platform.sqlite")
    assert other.execute("SELECT count(*) FROM checkins").fetchone() == (2,)
    other.close()
