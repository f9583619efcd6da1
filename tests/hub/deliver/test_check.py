from hub.deliver.check import wrong_rows
from hub.model import OutboxRow


def rows(gate):
    return [
        OutboxRow(row_id=at, device_id=gate.device, epoch=gate.epoch, seq=at, sealed=data)
        for at, data in enumerate(gate.chain, 1)
    ]


def test_sound_rows_pass(gate):
    gate.make(3)
    assert wrong_rows(rows(gate), key_of=lambda _: gate.key.public) == ()


def test_each_wrong_one_is_named(gate, make_gate):
    gate.make(4)
    gate.chain[1] = gate.chain[1][:-1] + bytes([gate.chain[1][-1] ^ 1])
    gate.chain[2] = b"rubbish"
    gate.chain[3] = make_gate("stranger").make(1)[0]
    skipped = wrong_rows(rows(gate), key_of=lambda _: gate.key.public)
    assert [(row.row_id, row.reason) for row in skipped] == [
        (2, "bad_signature"),
        (3, "malformed"),
        (4, "bad_signature"),
    ]


def test_a_row_of_an_unknown_device_is_left_out(gate):
    gate.make(1)
    assert [row.reason for row in wrong_rows(rows(gate), key_of=lambda _: None)] == ["unknown_device"]
