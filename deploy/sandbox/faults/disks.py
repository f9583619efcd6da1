"""Disks that are full, and disks that lose power."""

import asyncio
import contextlib
import os
import signal
import sqlite3

from deploy.sandbox.faults.arena import Arena, NotEffectiveError
from deploy.sandbox.faults.disk import CANARY_BYTES
from deploy.sandbox.faults.plan import Blow

_REFILL_S = 0.2
_DATABASES = {"hub": ("hub.sqlite",), "platform": ("platform.sqlite",)}
_SPOOL = ("state/spool.db",)


async def full(arena: Arena, blow: Blow) -> str:
    """No room any more, once or again and again as soon as something is given up; then the ballast goes away."""
    name = blow.parts[0]
    disk = arena.ground.disks[name]
    _write_journals_back(arena, name)
    failures = await arena.hub_metric("store_failures_total")
    scans = _storage_failed(arena, name)
    deaths = arena.part(name).deaths
    ballast = disk.fill()
    seen = 0
    loop = asyncio.get_running_loop()
    end_s = loop.time() + blow.hold_s
    try:
        while loop.time() < end_s:
            seen += disk.is_full()
            if blow.how == "again and again":
                ballast += disk.fill()
            await asyncio.sleep(_REFILL_S)
    finally:
        disk.free()
    if not seen:
        raise NotEffectiveError("the disk was never full")
    failures = max(0, await arena.hub_metric("store_failures_total") - failures) if name == "hub" else 0
    felt = {
        "grey for want of room": _storage_failed(arena, name) - scans,
        "transactions refused": int(failures),
        "deaths": arena.part(name).deaths - deaths,
    }
    said = ", ".join(f"{what} {n}" for what, n in felt.items() if n)
    return f"{ballast // 1024} KiB of ballast, no room in {seen} probes" + (f"; {said}" if said else "")


async def power_cut(arena: Arena, blow: Blow) -> str:
    """Process and disk lose power in the same moment; later the disk is mounted from what had reached it."""
    disks = {name: arena.ground.disks[name] for name in blow.parts}
    for name in disks:
        # Frozen, so that what it sees can be compared with what the disk has; the cut follows within milliseconds.
        os.kill(await arena.alive(name), signal.SIGSTOP)
    for disk in disks.values():
        disk.write_canary()
    before = {name: disk.contents() for name, disk in disks.items()}
    for disk in disks.values():
        disk.cut_power()
    try:
        for name, disk in disks.items():
            await arena.part(name).hold()
            disk.unmount()
        await asyncio.sleep(blow.hold_s)
        lost = canaries = 0
        for name, disk in disks.items():
            disk.mount()
            canaries += disk.canary_lost_bytes()
            after = disk.contents()
            lost += sum(data != after.get(path, b"") for path, data in before[name].items())
    finally:
        for name in disks:
            arena.part(name).release()
    if canaries != CANARY_BYTES * len(disks):
        raise NotEffectiveError(f"only {canaries} bytes of what nobody had synced are gone")
    return f"{canaries} unsynced bytes thrown away, {lost} of the product's files were newer in memory"


def _write_journals_back(arena: Arena, name: str) -> None:
    """A journal that is empty must grow with the next transaction, which then finds no room."""
    for file in _DATABASES.get(name, _SPOOL):
        with contextlib.closing(sqlite3.connect(arena.homes[name] / file)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _storage_failed(arena: Arena, name: str) -> int:
    if not arena.is_gate(name):
        return 0
    return sum(scan.reason == "storage_failed" for scan in arena.gate(name).scans)
