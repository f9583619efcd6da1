"""The file with a token's PIN."""

import os

import pytest

from device.keystore.pin import PIN_BYTES, read_pin
from device.keystore.ports import KeyStoreError


@pytest.fixture
def pin_file(tmp_path):
    def write(data):
        path = tmp_path / "pin"
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    return write


@pytest.mark.parametrize(
    ("data", "pin"), [(b"1234", "1234"), (b"1234\n", "1234"), (b" 12 34 \n", " 12 34 "), ("口令".encode(), "口令")]
)
def test_the_line_is_the_pin(pin_file, data, pin):
    assert read_pin(pin_file(data)) == pin


def test_the_longest(pin_file):
    assert read_pin(pin_file(b"x" * PIN_BYTES + b"\n")) == "x" * PIN_BYTES
    for data in (b"x" * (PIN_BYTES + 1), b"x" * (PIN_BYTES + 1) + b"\n", b"x" * 100_000):
        with pytest.raises(KeyStoreError, match="1 to 255 bytes"):
            read_pin(pin_file(data))


@pytest.mark.parametrize("data", [b"", b"\n", b"1234\n\n", b"1234\r\n", b"12\n34", b"12\x0034", b"\xff\xfe1"])
def test_what_is_no_pin_is_named_with_its_file_and_not_shown(pin_file, data):
    with pytest.raises(KeyStoreError, match="/pin: a PIN is") as raised:
        read_pin(pin_file(data))
    assert "34" not in str(raised.value).replace(str(raised.value).partition(":")[0], "")


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601])
def test_one_that_others_may_read_is_refused(pin_file, mode):
    path = pin_file(b"1234")
    path.chmod(mode)
    with pytest.raises(KeyStoreError, match="chmod 600"):
        read_pin(path)
    path.chmod(0o400)
    assert read_pin(path) == "1234"


def test_one_of_somebody_else_is_refused(pin_file, monkeypatch):
    path = pin_file(b"1234")
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "fstat", lambda _: _owned_by(path.stat(), owner + 4711))
    with pytest.raises(KeyStoreError, match="somebody else"):
        read_pin(path)


def _owned_by(state, owner):
    return os.stat_result((*state[:4], owner, *state[5:10]))


def test_what_is_no_file_neither_reads_nor_waits(tmp_path):
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe", "absent"):
        with pytest.raises(KeyStoreError, match=name):
            read_pin(tmp_path / name)
