import errno
import os
import sqlite3
from contextlib import closing

import cbor2
import pytest

from device.send.audit import audit_file
from device.send.database import is_damage
from protocol.checkin import GENESIS, parse_checkin

PAGE = 4096


def saved_seqs(damage):
    """The numbers of the check-ins in the file of saved rows: a CBOR sequence."""
    seqs = []
    with damage.rows.open("rb") as file:
        while file.peek(1):
            seqs.append(parse_checkin(cbor2.dumps(cbor2.load(file))).checkin.seq)
    return seqs


@pytest.fixture
def filled(open_spool, build):
    spool = open_spool()
    hashes = [spool.append(build).hash for _ in range(120)]
    spool.forget(20, hashes[19])
    spool.close()
    return spool


def test_a_file_that_is_no_database_is_set_aside_and_a_fresh_spool_begins(open_spool, build, path):
    path.write_bytes(b"\x00\xff" * PAGE)
    spool = open_spool(b"12345678")
    assert spool.damage is not None
    assert spool.damage.saved == 0
    assert spool.damage.aside.read_bytes() == b"\x00\xff" * PAGE
    assert (spool.epoch, spool.append(build).seq) == (b"12345678", 1)
    assert parse_checkin(spool.read(1, 1)[0]).checkin.prev == GENESIS
    assert open_spool().damage is None


def test_one_broken_page_costs_only_its_own_rows(filled, open_spool, path, tmp_path):
    sound = path.read_bytes()
    found = 0
    for page in range(len(sound) // PAGE):
        broken = bytearray(sound)
        broken[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
        at = tmp_path / str(page) / "spool.db"
        at.parent.mkdir()
        at.write_bytes(broken)
        spool = open_spool(b"12345678", at=at)
        if spool.damage is None:  # A page that was free.
            continue
        found += 1
        assert spool.damage.aside.read_bytes() == broken
        assert (spool.depth, spool.epoch) == (0, b"12345678")
        seqs = saved_seqs(spool.damage)
        assert spool.damage.saved == len(seqs) == len(set(seqs))
        assert len(set(range(21, 121)) - set(seqs)) <= PAGE // 256
    assert found >= 10


def test_a_block_that_cannot_be_read_costs_only_its_own_rows(filled, open_spool, path, monkeypatch):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM meta")
    pread = os.pread

    def bad_spot(descriptor, length, offset):
        if offset == 5 * PAGE:
            raise OSError(errno.EIO, "Input/output error")
        return pread(descriptor, length, offset)

    monkeypatch.setattr("device.send.damage.os.pread", bad_spot)
    assert len(set(range(21, 121)) - set(saved_seqs(open_spool(b"12345678").damage))) <= PAGE // 256


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM sealed WHERE seq = 50",
        "DELETE FROM sealed WHERE seq = 120",
        "UPDATE sealed SET data = zeroblob(9) WHERE seq = 120",
        "DELETE FROM meta",
        "UPDATE meta SET head_seq = 9000000000000000000",
    ],
)
def test_numbers_that_do_not_fit_are_damage_and_all_rows_are_saved(filled, open_spool, path, sql):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)
        (count,) = connection.execute("SELECT count(*) FROM sealed WHERE length(data) > 9").fetchone()
    spool = open_spool(b"12345678")
    assert spool.damage.saved >= count
    assert audit_file(path).depth == 0


def test_rows_that_are_only_in_the_journal_are_saved(open_spool, build, path, tmp_path):
    spool = open_spool()
    for _ in range(10):
        spool.append(build)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET head_seq = 99")
    # As after a power cut: what lies on the disk while the spool is open.
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        (crashed / name).write_bytes(path.with_name(name).read_bytes())
    assert (crashed / "spool.db-wal").stat().st_size > 10 * PAGE
    spool = open_spool(b"12345678", at=crashed / "spool.db")
    assert sorted(saved_seqs(spool.damage)) == list(range(1, 11))


def test_a_full_disk_is_not_damage():
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert not is_damage(error)
    assert not is_damage(OSError("no"))
