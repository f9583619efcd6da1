import pytest

import hub.ingest.verify as stage
from hub.ingest.verify import Genuine, Poison
from protocol.checkin import hash_of


def broken(data: bytes) -> bytes:
    """The same check-in with a wrong signature."""
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.fixture
def checks(monkeypatch):
    """Counts signature checks."""
    made = []
    real = stage.verify_checkin
    monkeypatch.setattr(stage, "verify_checkin", lambda entry, key: (made.append(entry), real(entry, key=key)))
    return made


def test_one_check_covers_a_sound_message(gate, parts_of, checks):
    parts = parts_of(gate, gate.make(64))
    assert all(isinstance(part, Genuine) for part in parts)
    assert len(checks) == 1


def test_a_covered_entry_is_believed_although_its_own_signature_is_wrong_until_forward(gate, parts_of):
    """Only the device itself can make such a chain: the next check-in names the broken bytes."""
    gate.make(1)
    gate.chain[0] = broken(gate.chain[0])
    gate.make(1)
    assert all(isinstance(part, Genuine) for part in parts_of(gate, gate.chain))


def test_after_a_wrong_last_signature_the_one_before_stands_for_the_rest(gate, parts_of, checks):
    entries = gate.make(5)
    parts = parts_of(gate, [*entries[:4], broken(entries[4])])
    assert [type(part) for part in parts] == [Genuine] * 4 + [Poison]
    assert parts[4].reason == "bad_signature"
    assert len(checks) == 2


def test_an_altered_entry_in_the_middle_is_poison_alone(gate, parts_of, checks):
    entries = gate.make(6)
    entries[2] = broken(entries[2])
    parts = parts_of(gate, entries)
    assert [isinstance(part, Poison) for part in parts] == [False, False, True, False, False, False]
    assert len(checks) == 3


def test_the_next_message_vouches_for_the_one_before(gate, parts_of, checks):
    gate.make(4)
    later = parts_of(gate, gate.chain[2:])
    assert stage.vouched_before(later) == hash_of(gate.chain[1])
    earlier = parts_of(gate, gate.chain[:2], vouched=stage.vouched_before(later))
    assert [type(part) for part in earlier + later] == [Genuine] * 4
    assert len(checks) == 1


def test_nothing_and_poison_vouch_for_nobody(gate, parts_of):
    gate.make(2)
    assert stage.vouched_before(()) is None
    assert stage.vouched_before(parts_of(gate, [broken(gate.chain[1])])) is None


def test_what_another_hash_is_vouched_for_has_its_own_signature_checked(gate, parts_of, checks):
    gate.make(2)
    (part,) = parts_of(gate, [broken(gate.chain[0])], vouched=hash_of(gate.chain[0]))
    assert part.reason == "bad_signature"
    assert len(checks) == 1


def test_an_unreadable_entry_vouches_for_nothing(gate, parts_of, checks):
    entries = gate.make(3)
    parts = parts_of(gate, [entries[0], b"rubbish", entries[2]])
    assert [isinstance(part, Poison) for part in parts] == [False, True, False]
    assert parts[1].claimed is None
    assert len(checks) == 2


def test_another_devices_key_is_poison_even_if_the_chain_covers_it(gate, make_gate, parts_of):
    stranger = make_gate("stranger")
    stranger.device, stranger.epoch = gate.device, gate.epoch
    gate.chain = stranger.make(1)
    gate.make(1)
    parts = parts_of(gate, gate.chain)
    assert parts[0].reason == "unknown_key"
    assert isinstance(parts[1], Genuine)


def test_a_check_in_that_names_another_device_is_poison(gate, parts_of):
    parts = parts_of(gate, gate.make(1, device=bytes(8)))
    assert parts[0].reason == "wrong_device"
    assert parts[0].claimed.device == bytes(8)


def test_every_single_bit_of_the_last_entry_counts(gate, parts_of):
    data = gate.make(1)[0]
    for bit in range(0, 8 * len(data), 7):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        assert all(isinstance(part, Poison) for part in parts_of(gate, [bytes(altered)]))
