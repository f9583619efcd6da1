"""systemd's end of the notification socket."""

import asyncio
import socket

import pytest

from hub.health import Health
from hub.notify import Notify, notify_tasks


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


async def heard(listening):
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(listening, 64), 5)


@pytest.fixture
async def speak(systemd):
    tasks = []

    def speak(well):
        # Fed every 10 ms.
        asked = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "40000"}
        task = asyncio.create_task(notify_tasks(well, environ=asked)["notify"]())
        tasks.append(task)
        return task

    yield speak
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_ready_comes_once_and_then_only_food(speak, systemd):
    speak(lambda: True)
    assert [await heard(systemd) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


async def test_a_loop_that_stands_still_starves_the_watchdog(speak, systemd):
    now_s = [0.0]
    health = Health(now_s=lambda: now_s[0])
    health.beat("ingest")
    asked = asyncio.Event()

    def well():
        asked.set()
        return not health.stalled()

    speak(well)
    assert [await heard(systemd), await heard(systemd)] == [b"READY=1", b"WATCHDOG=1"]
    now_s[0] = 31.0
    # The look that was under way may still have fed.
    for _ in range(2):
        asked.clear()
        await asyncio.wait_for(asked.wait(), 5)
    while True:
        try:
            systemd.recv(64)
        except BlockingIOError:
            break
    asked.clear()
    await asyncio.wait_for(asked.wait(), 5)
    with pytest.raises(BlockingIOError):
        systemd.recv(64)
    health.beat("ingest")
    assert await heard(systemd) == b"WATCHDOG=1"


async def test_a_systemd_that_is_gone_ends_the_task(speak, systemd, tmp_path):
    (tmp_path / "notify").unlink()
    with pytest.raises(FileNotFoundError):
        await speak(lambda: True)


def test_nobody_is_told_without_systemd():
    assert notify_tasks(lambda: True, environ={}) == {}


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="neither a path"):
        Notify("127.0.0.1:9", watchdog_s=20, well=lambda: True)


async def test_an_abstract_name_is_taken():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        # The kernel chooses a name that is free.
        listening.bind("")
        listening.setblocking(False)
        name = "@" + listening.getsockname()[1:].decode()
        task = asyncio.create_task(Notify(name, watchdog_s=20, well=lambda: True).run())
        try:
            assert await heard(listening) == b"READY=1"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_without_a_watchdog_ready_is_said_all_the_same(systemd):
    task = asyncio.create_task(notify_tasks(lambda: True, environ={"NOTIFY_SOCKET": systemd.getsockname()})["notify"]())
    try:
        assert await heard(systemd) == b"READY=1"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
