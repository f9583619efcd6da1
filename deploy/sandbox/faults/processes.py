"""Processes that die, and processes that stand still."""

import asyncio
import os
import signal
from pathlib import Path

from deploy.sandbox.faults.arena import Arena, NotEffectiveError, until
from deploy.sandbox.faults.plan import Blow

_COMES_BACK_S = 30.0


async def kill(arena: Arena, blow: Blow) -> str:
    """SIGKILL to all at once; over when each has been started again."""
    before = {name: await arena.alive(name) for name in blow.parts}
    for name in blow.parts:
        arena.part(name).kill()
    async with asyncio.timeout(_COMES_BACK_S):
        for name, pid in before.items():
            part = arena.part(name)
            await until(lambda part=part, pid=pid: part.pid not in {None, pid}, every_s=0.02)  # type: ignore[misc]
    return f"{len(before)} killed"


async def stall(arena: Arena, blow: Blow) -> str:
    """SIGSTOP, and SIGCONT after a while: its connections stay open, and nobody answers on them."""
    pids = [await arena.alive(name) for name in blow.parts]
    used = {}
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0.2)
    for pid in pids:
        used[pid] = _ticks(pid)
    await asyncio.sleep(blow.hold_s)
    for pid in pids:
        if _state(pid) != "T" or _ticks(pid) != used[pid]:
            raise NotEffectiveError(f"process {pid} did not stand still")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    return f"{len(pids)} stood still for {blow.hold_s:.1f} s"


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
