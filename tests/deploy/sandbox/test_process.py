"""Real children: watched, restarted, and never left behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.sandbox import process as process_module
from deploy.sandbox.process import Process

pytestmark = [pytest.mark.system, pytest.mark.sockets]

TALKER = "import os,sys,time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(60)"
# Starts a grandchild that holds on to stdout and would outlive its parent.
BREEDER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("grandchild", child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


class Heard:
    """Lines, and a way to wait for the next."""

    def __init__(self):
        self.lines = asyncio.Queue()

    def __call__(self, line):
        self.lines.put_nowait(line)

    async def next(self):
        return await asyncio.wait_for(self.lines.get(), 10)


def python(tmp_path, source, heard):
    return Process(
        name="child",
        command=[sys.executable, "-c", source],
        log_file=tmp_path / "child.log",
        on_line=heard,
    )


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


async def gone(pid):
    for _ in range(200):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.fixture(autouse=True)
def quick_restart(monkeypatch):
    monkeypatch.setattr(process_module, "RESTART_S", 0.05)


async def test_its_lines_are_heard_and_logged_and_it_ends_when_told(tmp_path):
    heard = Heard()
    child = python(tmp_path, TALKER, heard)
    child.start()
    line = await heard.next()
    pid = child.pid
    assert line == f"pid {pid}"
    await child.stop()
    assert await gone(pid)
    assert child.pid is None
    assert line in child.tail()
    assert (child.deaths, child.kills) == (0, 0)


async def test_a_killed_child_comes_back_and_is_not_counted_as_a_death(tmp_path):
    heard = Heard()
    child = python(tmp_path, TALKER, heard)
    child.start()
    first = await heard.next()
    child.kill()
    assert await heard.next() != first
    assert (child.kills, child.deaths) == (1, 0)
    await child.stop()


async def test_a_child_that_dies_by_itself_is_counted_and_comes_back(tmp_path):
    heard = Heard()
    child = python(tmp_path, "print('once')", heard)
    child.start()
    assert [await heard.next(), await heard.next()] == ["once", "once"]
    await child.stop()
    assert child.deaths >= 1


async def test_a_dead_childs_own_children_die_with_it(tmp_path):
    heard = Heard()
    child = python(tmp_path, BREEDER, heard)
    child.start()
    grandchild = int((await heard.next()).split()[1])
    assert alive(grandchild)
    child.kill()
    assert await gone(grandchild)
    await child.stop()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(process_module, "STOP_S", 0.2)
    heard = Heard()
    child = python(tmp_path, STUBBORN, heard)
    child.start()
    await heard.next()
    pid = child.pid
    await child.stop()
    assert await gone(pid)


async def test_stopping_twice_or_before_the_start_is_harmless(tmp_path):
    child = python(tmp_path, TALKER, Heard())
    await child.stop()
    child.kill()
    child.start()
    await child.stop()
    await child.stop()


async def test_a_cancelled_loop_leaves_nothing(tmp_path):
    heard = Heard()
    child = python(tmp_path, TALKER, heard)
    child.start()
    await heard.next()
    pid = child.pid
    child._watch.cancel()
    await asyncio.gather(child._watch, return_exceptions=True)
    assert not alive(pid)


async def test_a_line_without_end_does_not_end_the_listening(tmp_path):
    heard = Heard()
    child = python(tmp_path, "print('x' * 300_000); print('after', flush=True); import time; time.sleep(60)", heard)
    child.start()
    while await heard.next() != "after":
        pass
    await child.stop()


async def test_when_the_sandbox_itself_is_killed_the_kernel_ends_its_children(tmp_path):
    source = f"""
import asyncio, sys
from pathlib import Path
from deploy.sandbox.process import Process
async def main():
    child = Process(name="c", command=[sys.executable, "-c", {TALKER!r}], log_file=Path({str(tmp_path / "log")!r}),
                    on_line=lambda line: print(line, flush=True))
    child.start()
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent_of = [sys.executable, "-c", source]
    with subprocess.Popen(parent_of, stdout=subprocess.PIPE, text=True) as parent:  # noqa: ASYNC220 - nothing else runs
        pid = int(parent.stdout.readline().split()[1])
        assert alive(pid)
        parent.kill()
    assert await gone(pid)


async def test_what_is_held_stays_dead_until_it_is_released(tmp_path, monkeypatch):
    monkeypatch.setattr(process_module, "RESTART_S", 0.0)
    heard = Heard()
    child = python(tmp_path, TALKER, heard)
    child.start()
    first = int((await heard.next()).split()[1])
    await child.hold()
    assert not alive(first)
    await asyncio.sleep(0.3)
    assert (child.pid, child.deaths, child.kills) == (None, 0, 1)
    child.release()
    assert int((await heard.next()).split()[1]) != first
    await child.hold()
    # What is held can be stopped as well.
    await child.stop()
    assert child.pid is None
