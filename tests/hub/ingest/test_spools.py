import hub.ingest.spools as module
from hub.ingest.spools import Spools
from hub.model import Head
from protocol.checkin import GENESIS, hash_of, parse_checkin


def rows(gate, first, last):
    return [parse_checkin(data) for data in gate.chain[first - 1 : last]]


def test_heads_come_back_and_the_newest_epoch_is_known(gate):
    old = Head(device_id=gate.device, epoch=b"1" * 8, seq=5, hash=b"a" * 32, updated_ms=2)
    new = Head(device_id=gate.device, epoch=b"2" * 8, seq=3, hash=b"b" * 32, updated_ms=9)
    spools = Spools([new, old])
    assert spools.get(gate.device, b"1" * 8).seq == 5
    assert spools.latest_epoch(gate.device) == b"2" * 8
    unknown = spools.get(gate.device, b"3" * 8)
    assert (unknown.seq, unknown.hash) == (0, GENESIS)
    assert spools.get(gate.device, b"3" * 8) is not unknown


def test_the_tail_keeps_the_last_512(gate):
    gate.make(520)
    spools = Spools(())
    spool = spools.get(gate.device, gate.epoch)
    assert spools.tail_hash(spool, 1) is None
    spools.remember(spool, rows(gate, 1, 520))
    assert spools.tail_hash(spool, 8) is None
    assert spools.tail_hash(spool, 9) == hash_of(gate.chain[8])
    assert spools.tail_hash(spool, 520) == hash_of(gate.chain[519])
    assert spools.tail_hash(spool, 521) is None


def test_the_spools_that_were_silent_longest_lose_their_tail(make_gate, monkeypatch):
    monkeypatch.setattr(module, "_TAILS_MAX", 2)
    spools = Spools(())
    gates = [make_gate(f"gate {n}") for n in range(3)]
    built = [spools.get(gate.device, gate.epoch) for gate in gates]
    for gate in gates:
        gate.make(2)
    spools.remember(built[0], rows(gates[0], 1, 1))
    spools.remember(built[1], rows(gates[1], 1, 1))
    spools.remember(built[0], rows(gates[0], 2, 2))
    spools.remember(built[2], rows(gates[2], 1, 1))
    assert spools.tail_hash(built[1], 1) is None
    assert spools.tail_hash(built[0], 1) == hash_of(gates[0].chain[0])


def test_a_head_change_spans_the_whole_micro_batch(gate):
    spool = Spools(()).get(gate.device, gate.epoch)
    spool.move(seq=3, hash_=b"a" * 32)
    spool.move(seq=7, hash_=b"b" * 32)
    change = spool.take_change()
    assert (change.was_seq, change.seq, change.hash) == (0, 7, b"b" * 32)
    spool.move(seq=8, hash_=b"c" * 32)
    assert spool.take_change().was_seq == 7
