import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from device.model import StorageError
from device.send.audit import audit_file
from device.send.spool import ReceiptFit, Spool, SpoolGoneError
from protocol.checkin import GENESIS, hash_of, parse_checkin

NOW_MS = 1_790_000_000_000


def test_a_new_spool_is_empty_and_has_the_epoch_it_was_given(open_spool):
    spool = open_spool(b"8 random")
    assert (spool.epoch, spool.newest, spool.oldest, spool.depth) == (b"8 random", 0, 1, 0)
    assert spool.damage is None
    assert spool.read(1, 64) == []


def test_check_ins_form_a_chain_from_zeros(open_spool, build, path):
    spool = open_spool()
    first, second = spool.append(build), spool.append(build)
    one, two = (parse_checkin(data) for data in spool.read(1, 64))
    assert (first.seq, second.seq) == (1, 2)
    assert (one.checkin.prev, two.checkin.prev) == (GENESIS, first.hash)
    assert two.hash == second.hash
    assert one.checkin.epoch == spool.epoch
    assert audit_file(path).faults == ()


def test_everything_is_there_after_a_restart(open_spool, build):
    before = open_spool()
    appended = [before.append(build) for _ in range(5)]
    before.forget(2, appended[1].hash)
    after = open_spool(b"not used")
    assert (after.epoch, after.oldest, after.newest, after.depth) == (before.epoch, 3, 5, 3)
    assert [hash_of(data) for data in after.read(3, 64)] == [one.hash for one in appended[2:]]
    assert parse_checkin(after.read(after.append(build).seq, 1)[0]).checkin.prev == appended[-1].hash


def test_the_chain_goes_on_after_everything_was_forgotten(open_spool, build, path):
    spool = open_spool()
    last = [spool.append(build) for _ in range(3)][-1]
    assert spool.forget(3, last.hash) is ReceiptFit.OURS
    assert (spool.oldest, spool.newest, spool.depth) == (4, 3, 0)
    spool = open_spool()
    spool.append(build)
    (data,) = spool.read(4, 64)
    assert parse_checkin(data).checkin.prev == last.hash
    audit = audit_file(path)
    assert (audit.faults, audit.oldest_seq, audit.newest_seq, audit.depth) == ((), 4, 4, 1)


def test_reading_starts_and_ends_where_it_is_told(open_spool, build):
    spool = open_spool()
    hashes = [spool.append(build).hash for _ in range(10)]
    assert [hash_of(data) for data in spool.read(4, 3)] == hashes[3:6]
    assert [hash_of(data) for data in spool.read(9, 64)] == hashes[8:]


def test_a_receipt_with_another_hash_deletes_nothing(open_spool, build):
    spool = open_spool()
    hashes = [spool.append(build).hash for _ in range(4)]
    assert spool.forget(3, hashes[3]) is ReceiptFit.NOT_OURS
    assert spool.forget(5, hashes[3]) is ReceiptFit.NOT_OURS
    assert spool.forget(2**63 - 1, hashes[3]) is ReceiptFit.NOT_OURS
    assert spool.forget(0, hashes[3]) is ReceiptFit.NOT_OURS
    assert spool.depth == 4


def test_a_receipt_for_what_is_gone_is_compared_with_the_last_receipt_only(open_spool, build):
    spool = open_spool()
    hashes = [spool.append(build).hash for _ in range(4)]
    spool.forget(3, hashes[2])
    spool = open_spool()
    assert spool.forget(3, hashes[2]) is ReceiptFit.OURS
    assert spool.forget(3, hashes[1]) is ReceiptFit.NOT_OURS
    assert spool.forget(2, hashes[1]) is ReceiptFit.OLDER
    assert spool.forget(0, GENESIS) is ReceiptFit.OLDER
    assert spool.depth == 1


def test_nothing_stored_fits_a_spool_that_forgot_nothing(open_spool, build):
    spool = open_spool()
    spool.append(build)
    assert spool.forget(0, GENESIS) is ReceiptFit.OURS
    assert spool.depth == 1


def test_a_large_receipt_is_worked_off_in_pieces_with_the_right_end(open_spool, build, path):
    spool = open_spool()
    hashes = [spool.append(build).hash for _ in range(300)]
    assert spool.forget(299, hashes[298]) is ReceiptFit.OURS
    assert (spool.oldest, spool.depth) == (300, 1)
    assert audit_file(path).faults == ()


def test_a_check_in_that_cannot_be_built_leaves_no_trace(open_spool, build):
    spool = open_spool()
    spool.append(build)

    def fails(_epoch, _seq, _prev):
        raise ValueError("no such draft")

    with pytest.raises(ValueError, match="no such draft"):
        spool.append(fails, used=(b"code", NOW_MS + 1))
    assert (spool.newest, spool.used_since(0)) == (1, [])
    assert spool.append(build).seq == 2


def test_used_codes_survive_a_restart_until_they_end(open_spool, build):
    spool = open_spool()
    spool.append(build, used=(b"a", NOW_MS + 10))
    spool.append(build, used=(b"b", NOW_MS + 20))
    spool.append(build, used=(b"a", NOW_MS + 5))
    spool = open_spool()
    assert sorted(spool.used_since(NOW_MS)) == [(b"a", NOW_MS + 10), (b"b", NOW_MS + 20)]
    spool.tidy(NOW_MS + 10)
    assert spool.used_since(0) == [(b"b", NOW_MS + 20)]


def test_only_one_process_has_a_spool(open_spool, path):
    open_spool()
    with pytest.raises(StorageError, match="another process"):
        Spool.open(path, new_epoch=b"12345678", now_ms=NOW_MS)


def test_a_newer_schema_is_refused_and_untouched(open_spool, build, path):
    open_spool().append(build)
    open_spool().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StorageError, match="schema 99, this firmware knows 1"):
            Spool.open(path, new_epoch=b"12345678", now_ms=NOW_MS)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.damaged-*"))


def test_the_spool_is_for_its_owner_only(open_spool, build, path):
    open_spool().append(build)
    for name in ("", "-wal", "-shm", ".reserve"):
        assert path.with_name(path.name + name).stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_the_journal_stays_bounded_whether_or_not_anybody_tidies(open_spool, build, path):
    spool = open_spool()
    for _ in range(3_000):
        spool.append(build)
    journal = path.with_name("spool.db-wal")
    assert journal.stat().st_size < 20 * 1024 * 1024
    spool = open_spool()
    for _ in range(3):
        for _ in range(300):
            spool.append(build)
        spool.tidy(NOW_MS)
    assert journal.stat().st_size < 8 * 1024 * 1024


def test_both_threads_at_once(open_spool, build, path):
    spool = open_spool()
    hashes: dict[int, bytes] = {}

    def scan():
        for _ in range(400):
            appended = spool.append(build)
            hashes[appended.seq] = appended.hash

    thread = threading.Thread(target=scan)
    thread.start()
    read = 0
    while thread.is_alive() or spool.depth:
        rows = spool.read(spool.oldest, 64)
        if rows:
            read += len(rows)
            assert spool.forget(spool.oldest + len(rows) - 1, hash_of(rows[-1])) is ReceiptFit.OURS
        spool.tidy(NOW_MS)
    thread.join()
    assert (read, spool.newest, spool.depth) == (400, 400, 0)
    assert audit_file(path).faults == ()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_taken_away_is_not_taken_for_a_disk(open_spool, build, path, replaced):
    spool = open_spool()
    spool.append(build)
    path.rename(path.with_suffix(".gone"))
    if replaced:
        path.write_bytes(b"")
    with pytest.raises(SpoolGoneError, match="not the file"):
        spool.append(build)


LOOK = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT head_seq FROM meta").fetchone()[0])
"""


def look_in(path):
    """As an operator does with the sqlite3 program: another process, which opens the file, reads, and closes it."""
    done = subprocess.run([sys.executable, "-c", LOOK, path], check=True, capture_output=True, timeout=30)
    return int(done.stdout)


@pytest.mark.slow
def test_whoever_looks_into_the_file_takes_nothing_away(open_spool, build, path):
    spool = open_spool()
    for seq in range(1, 4):
        assert spool.append(build).seq == seq
        assert look_in(path) == seq, "what was committed is in the file that others see"


def test_a_journal_that_is_gone_ends_the_process(open_spool, build, path):
    spool = open_spool()
    spool.append(build)
    path.with_name(path.name + "-wal").unlink()
    with pytest.raises(SpoolGoneError, match="not the file"):
        spool.append(build)


def test_a_frozen_spool_takes_nothing_and_says_where_its_chain_ends(open_spool, build):
    spool = open_spool()
    empty = spool.freeze()
    assert (empty.newest_seq, empty.head_hash, empty.unsent) == (0, GENESIS, 0)
    spool.thaw()
    first, second = spool.append(build), spool.append(build)
    spool.forget(1, first.hash)
    head = spool.freeze()
    assert (head.epoch, head.newest_seq, head.head_hash, head.unsent) == (spool.epoch, 2, second.hash, 1)
    for from_reserve in (False, True):
        with pytest.raises(StorageError, match="wiped"):
            spool.append(build, from_reserve=from_reserve)
    assert (spool.newest, spool.reserve_held) == (2, True)
    # What is there can still go.
    assert spool.forget(2, second.hash) is ReceiptFit.OURS
    spool.thaw()
    assert spool.append(build).seq == 3
