"""What happens when there is no room: on a SQLite that may not grow, and on a real file system that is full."""

import os
import sqlite3
import subprocess

import pytest

from device.model import StorageError
from device.send.audit import audit_file
from device.send.reserve import Reserve
from device.send.spool import ReceiptFit, Spool
from protocol.checkin import hash_of

NOW_MS = 1_790_000_000_000
MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("MOUNTING A SMALL TMPFS NEEDS ROOT: the full disk was not tried on a real file system")
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(
            f"A SMALL TMPFS CANNOT BE MOUNTED HERE, the full disk was not tried for real: {made.stderr.strip()}"
        )
    yield mount
    subprocess.run(["umount", "--lazy", mount], check=True)


def fill_up(mount):
    """Takes every free block; gives the file that does."""
    hog = mount / "hog"
    with hog.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    return hog


def append_until_full(spool, build, **how):
    appended = []
    while True:
        try:
            appended.append(spool.append(build, **how))
        except StorageError:
            return appended


def test_a_database_that_may_not_grow_refuses_and_recovers(open_spool, build, path):
    spool = open_spool()
    spool.append(build)
    (pages,) = spool._writer.execute("PRAGMA page_count").fetchone()
    spool._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    appended = append_until_full(spool, build)
    assert spool.newest == appended[-1].seq
    assert spool.used_since(0) == []
    with pytest.raises(StorageError):
        spool.append(build, used=(b"code", NOW_MS + 1))
    assert spool.used_since(0) == []
    spool._writer.execute("PRAGMA max_page_count = 1000000")
    assert spool.append(build).seq == appended[-1].seq + 1
    assert audit_file(path).faults == ()


def test_an_error_of_the_disk_is_a_storage_error_and_leaves_the_head(open_spool, build):
    class Failing:
        """A connection whose COMMIT fails once, as when fsync reports an error."""

        def __init__(self, connection):
            self._connection = connection
            self.fails = True

        def execute(self, sql, *values):
            if sql == "COMMIT" and self.fails:
                self.fails = False
                raise sqlite3.OperationalError("disk I/O error")
            return self._connection.execute(sql, *values)

        def __getattr__(self, name):
            return getattr(self._connection, name)

    spool = open_spool()
    first = spool.append(build)
    spool._writer = Failing(spool._writer)
    with pytest.raises(StorageError, match="disk I/O error"):
        spool.append(build)
    assert (spool.newest, len(spool.read(1, 64))) == (1, 1)
    assert spool.append(build).seq == first.seq + 1


def test_the_reserve_records_the_full_disk_itself_and_comes_back(small_disk, open_spool, build):
    spool = open_spool(at=small_disk / "spool.db", reserve_bytes=MIB)
    assert spool.reserve_held
    hog = fill_up(small_disk)
    appended = append_until_full(spool, build)

    grey = spool.append(build, from_reserve=True)
    assert grey.seq == (appended[-1].seq if appended else 0) + 1
    assert not spool.reserve_held
    # The room that was given up is for records of this state, and not for the next person's green.
    hog.write_bytes(b"")
    fill_up(small_disk)
    with pytest.raises(StorageError, match="reserve"):
        spool.append(build)

    hog.unlink()
    assert spool.append(build).seq == grey.seq + 1
    assert spool.reserve_held
    assert audit_file(small_disk / "spool.db").faults == ()


def test_the_reserve_lasts_for_a_hundred_records(small_disk, open_spool, build):
    spool = open_spool(at=small_disk / "spool.db", reserve_bytes=MIB)
    fill_up(small_disk)
    append_until_full(spool, build)
    before = spool.newest
    for _ in range(100):
        spool.append(build, from_reserve=True)
    assert spool.newest == before + 100
    append_until_full(spool, build, from_reserve=True)


def test_a_receipt_makes_room_on_a_full_disk(small_disk, open_spool, build):
    spool = open_spool(at=small_disk / "spool.db", reserve_bytes=MIB // 2)
    hashes = [spool.append(build).hash for _ in range(100)]
    hog = fill_up(small_disk)
    hashes += [one.hash for one in append_until_full(spool, build)]
    for _ in range(3):
        try:
            fit = spool.forget(len(hashes), hashes[-1])
        except StorageError:
            continue
        break
    assert fit is ReceiptFit.OURS
    assert spool.depth == 0
    spool.tidy(NOW_MS)
    hog.unlink()
    assert spool.append(build).seq == len(hashes) + 1


def test_a_device_starts_on_a_full_disk(small_disk, open_spool, build):
    path = small_disk / "spool.db"
    spool = open_spool(at=path, reserve_bytes=MIB)
    for _ in range(10):
        last = spool.append(build)
    spool.close()
    fill_up(small_disk)
    spool = open_spool(at=path, reserve_bytes=MIB)
    assert (spool.newest, hash_of(spool.read(10, 1)[0])) == (10, last.hash)
    spool.append(build, from_reserve=True)


def test_a_first_start_without_any_room_says_so(small_disk):
    fill_up(small_disk)
    with pytest.raises(StorageError):
        Spool.open(small_disk / "spool.db", new_epoch=b"12345678", now_ms=NOW_MS)


def test_a_reserve_that_is_given_up_is_empty_and_can_be_taken_again(tmp_path):
    reserve = Reserve.open(tmp_path / "reserve", size_bytes=8192)
    assert reserve.held
    assert reserve.give_up()
    assert not reserve.give_up()
    assert not reserve.held
    assert reserve.take()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 8192
    reserve.close()
    reserve.close()


def test_a_spool_in_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(StorageError, match="No such file"):
        Spool.open(tmp_path / "absent" / "spool.db", new_epoch=b"12345678", now_ms=NOW_MS)
