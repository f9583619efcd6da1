import pytest

from hub.deliver.check import wrong_rows
from hub.model import OutboxRow


def rows(gate):
    return [
        OutboxRow(row_id=at, device_id=gate.device, epoch=gate.epoch, seq=at, sealed=data)
        for at, data in enumerate(gate.chain, 1)
    ]


@pytest.fixture
def key_of(gate):
    keys = {(gate.device, gate.key.public.kid): gate.key.public}
    return lambda device, kid: keys.get((device, kid))


def test_sound_rows_pass(gate, key_of):
    gate.make(3)
    assert wrong_rows(rows(gate), key_of=key_of) == ()


def test_each_wrong_one_is_named(gate, make_gate, key_of):
    gate.make(4)
    gate.chain[1] = gate.chain[1][:-1] + bytes([gate.chain[1][-1] ^ 1])
    gate.chain[2] = b"rubbish"
    gate.chain[3] = make_gate("stranger").make(1)[0]
    skipped = wrong_rows(rows(gate), key_of=key_of)
    assert [(row.row_id, row.reason) for row in skipped] == [
        (2, "bad_signature"),
        (3, "malformed"),
        (4, "unknown_key"),
    ]


def test_each_row_is_checked_by_the_key_that_it_names(gate, make_gate):
    other = make_gate("other")
    gate.make(1)
    first, gate.key = gate.key, other.key
    gate.make(1)
    keys = {key.public.kid: key.public for key in (first, other.key)}
    assert wrong_rows(rows(gate), key_of=lambda _, kid: keys.get(kid)) == ()
    del keys[first.public.kid]
    assert [row.row_id for row in wrong_rows(rows(gate), key_of=lambda _, kid: keys.get(kid))] == [1]
