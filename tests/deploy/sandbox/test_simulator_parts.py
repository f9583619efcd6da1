"""The simulator's own parts: a disk that tears, a loop that dies, an order of events that is one order."""

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest

from deploy.sandbox.simulator.disk import Disk
from deploy.sandbox.simulator.loop import SimLoop, open_inline
from deploy.sandbox.simulator.vfs import simulated_files
from deploy.sandbox.simulator.world import World


@pytest.fixture
def world():
    return World(seed=1)


@pytest.fixture
def disk(world, tmp_path):
    folder = tmp_path / "machine"
    folder.mkdir()
    return Disk(world, folder, lambda: None)


@pytest.fixture
def files(disk, world):
    with simulated_files(disk_of=lambda path: disk if path.parent == disk.folder else None, random=world.rng.randbytes):
        yield disk


def opened(disk, *, synchronous="FULL"):
    db = sqlite3.connect(disk.folder / "a.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    return db


def rows_after(disk):
    disk.power_up()
    with closing(sqlite3.connect(disk.folder / "a.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")]


def cut(disk, db, *, power):
    disk.alive = False
    db.close()
    return disk.stop(power=power)


def test_a_commit_that_was_synced_survives_a_power_cut(files):
    for number in range(30):
        db = opened(files)
        db.execute("INSERT INTO t VALUES (?)", (number,))
        cut(files, db, power=True)
        assert rows_after(files) == list(range(number + 1))


def test_a_commit_that_was_not_synced_may_be_lost_with_the_power_and_not_with_the_process(files):
    lost = 0
    for _ in range(20):
        db = opened(files, synchronous="NORMAL")
        db.execute("DELETE FROM t")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(5):
            db.execute("INSERT INTO t VALUES (?)", (number,))
        cut(files, db, power=True)
        left = rows_after(files)
        assert left == list(range(len(left)))
        lost += 5 - len(left)
    assert lost > 0
    db = opened(files, synchronous="NORMAL")
    db.execute("DELETE FROM t")
    db.execute("INSERT INTO t VALUES (7)")
    cut(files, db, power=False)
    assert rows_after(files) == [7]


def test_every_file_lies_where_it_should(files, tmp_path):
    with closing(opened(files)):
        assert sorted(path.name for path in files.folder.iterdir()) == ["a.db", "a.db-shm", "a.db-wal"]
    assert [path.name for path in tmp_path.iterdir()] == ["machine"]


def test_a_full_disk_refuses_and_a_failing_one_fails(files):
    with closing(opened(files)) as db:
        files.fill(left_bytes=0)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(5000)])
        files.mood.room_bytes = None
        db.execute("INSERT INTO t VALUES (1)")
        files.mood.failing = 1.0
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            db.execute("INSERT INTO t VALUES (2)")
        files.mood.failing = 0.0
        assert db.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_files_that_lie_elsewhere_are_left_alone(files, tmp_path):
    files.alive = False
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE t (n INTEGER)")
    assert (tmp_path / "other.db").stat().st_size > 0


def test_events_happen_in_the_order_of_their_time_and_then_of_asking(world):
    seen = []
    for name, ms in (("late", 20), ("first", 5), ("second", 5)):
        world.after(ms, lambda name=name: seen.append((name, world.now_ms)))
    for _ in range(3):
        world.step()
    assert seen == [("first", 5), ("second", 5), ("late", 20)]


def run_out(world):
    """Until there is no event any more."""
    while True:
        world.step()


def test_a_loop_sleeps_by_the_worlds_clock_and_dies_between_steps(world, tmp_path):
    seen = []
    random.seed(1)

    async def main():
        await asyncio.sleep(1)
        seen.append(asyncio.get_running_loop().time())
        db = await open_inline(tmp_path / "a.db", isolation_level=None)
        await db.execute("CREATE TABLE t (n INTEGER)")
        try:
            async with asyncio.timeout(2):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(asyncio.get_running_loop().time())
        seen.append(await asyncio.to_thread(lambda: "threadless"))
        await db.close()
        await asyncio.sleep(1)
        seen.append("never")

    def die():
        loop.end()

    loop = SimLoop(world, die=die)
    loop.start(main())
    while len(seen) < 3:
        world.step()
    assert seen == [1.0, 3.0, "threadless"]
    loop.doom = 0
    with pytest.raises(IndexError):
        run_out(world)
    assert "never" not in seen
    assert loop.failures == []
