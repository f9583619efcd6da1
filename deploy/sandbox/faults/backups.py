"""A hub whose database is put back as it was some rounds ago.

What it had receipted since is no longer at the gates, which forgot it on its word. What of that it had forwarded is at
the platform. What it had not forwarded is lost, by design: nobody else has it. The hub notices when a gate's oldest
number does not follow its own newest one, notes the gap, and goes on; so exactly these numbers may be missing, and only
if the hub itself names them.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from deploy.sandbox.faults.arena import Arena, NotEffectiveError, reading
from deploy.sandbox.faults.plan import Blow
from deploy.sandbox.readings import read_hub, read_platform

_ROWS = "SELECT device, seq FROM checkin"
_JOURNALS = ("-wal", "-shm")
_WAITING = """
SELECT (SELECT count(*) FROM checkin WHERE id > (SELECT last_id FROM forward_cursor))
    + (SELECT coalesce(sum(n), 0) FROM batch WHERE state IN ('open', 'refused'))
"""


def back_up(arena: Arena) -> None:
    """Copies the hub's database as an operator would, while it runs."""
    path = arena.site.layout.folder / f"hub-backup-{arena.rounds}.sqlite"
    with closing(sqlite3.connect(arena.hub_database)) as db:
        db.execute("VACUUM INTO ?", (str(path),))
    if arena.backup is not None:
        arena.backup.unlink()
    arena.backup = path


async def restore(arena: Arena, blow: Blow) -> str:
    """The hub dies, with check-ins that it has not forwarded where the platform was away, and comes back as it was."""
    if arena.backup is None:
        raise NotEffectiveError("there is no backup")
    platform = await arena.alive("platform") if blow.how == "the platform away" else None
    if platform is not None:
        os.kill(platform, signal.SIGSTOP)
    await asyncio.sleep(blow.hold_s)
    hub = arena.part("hub")
    await hub.hold()
    if platform is not None:
        os.kill(platform, signal.SIGCONT)
    had, kept = _rows(arena.hub_database), _rows(arena.backup)
    _put_back(arena.backup, arena.hub_database)
    arena.forgotten |= had - kept
    # What the backup waits to forward, and what gates send once more, the platform may have had from the hub that died.
    arena.sent_again += _waiting(arena.backup) + sum(arena.spool(gate).depth for gate in arena.site.gates)
    hub.release()
    if not had - kept:
        raise NotEffectiveError("the backup holds everything")
    return f"{len(had - kept)} of its {len(had)} check-ins were younger than the backup"


async def write_off(arena: Arena) -> int:
    """Takes note of what restored hubs have lost by design, as far as a gap of theirs names it; how many in all.

    And of what they did send again, so that a later round cannot hide behind what they might have sent.
    """
    if not arena.forgotten:
        return 0
    gaps = (await read_hub(arena.site.layout)).gaps
    platform = await read_platform(arena.site.session, arena.site.layout.pages_url)
    arena.sent_again = min(arena.sent_again, platform.totals["again"])
    there = {(device, row.seq) for (device, _), rows in platform.rows.items() for row in rows}
    lost: dict[str, set[int]] = {}
    for device, seq in arena.forgotten - there:
        if any(gap.device == device and gap.from_seq <= seq <= gap.to_seq for gap in gaps):
            lost.setdefault(device, set()).add(seq)
    arena.written_off = {device: frozenset(numbers) for device, numbers in lost.items()}
    return sum(map(len, lost.values()))


def _put_back(backup: Path, database: Path) -> None:
    for name in ("", *_JOURNALS):
        Path(f"{database}{name}").unlink(missing_ok=True)
    shutil.copyfile(backup, database)


def _rows(path: Path) -> frozenset[tuple[str, int]]:
    """(device, seq) of every check-in."""
    # A dead process's journal has to be replayed, which looking alone cannot do.
    with closing(sqlite3.connect(path)) as db:
        return frozenset((device.hex(), seq) for device, seq in db.execute(_ROWS))


def _waiting(path: Path) -> int:
    """How many check-ins the database holds without the platform's receipt."""
    with reading(path) as db:
        return int(db.execute(_WAITING).fetchone()[0])
