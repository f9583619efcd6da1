from device.enrol.machine import describe


def described(tmp_path, **changes):
    given = {"serial": None, "model": None, "firmware": "1.0", "tree": tmp_path, "machine_id": tmp_path / "id"}
    return describe(**{**given, **changes})


def test_a_board_says_what_it_is(tmp_path):
    (tmp_path / "serial-number").write_bytes(b"10000000abcdef01\x00")
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\x00")
    machine = described(tmp_path)
    assert (machine.serial, machine.model) == ("10000000abcdef01", "Raspberry Pi 5 Model B Rev 1.0")
    assert described(tmp_path, serial="S-1", model="Gate 2").serial == "S-1"


def test_without_a_board_the_machines_id_is_not_told_as_it_is(tmp_path):
    (tmp_path / "id").write_text("0123456789abcdef0123456789abcdef\n")
    serial = described(tmp_path).serial
    assert len(serial) == 16
    assert serial not in "0123456789abcdef0123456789abcdef"
    assert described(tmp_path).serial == serial, "the same at every start"


def test_there_always_is_something_printable_and_short(tmp_path):
    assert described(tmp_path).serial == described(tmp_path).model == "unknown"
    (tmp_path / "model").write_bytes(b"\xff\x1b[2J\n" + b"x" * 500)
    machine = described(tmp_path, serial="  \x1b[31m" + "s" * 100)
    for label in (machine.serial, machine.model, machine.firmware):
        assert 1 <= len(label) <= 64
        assert label.isprintable()
