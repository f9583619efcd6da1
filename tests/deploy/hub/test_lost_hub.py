"""A hub whose disk is gone comes back from its archive on a real site: the gates close what they can, the hub names the
rest, and nothing else is missing anywhere.
"""

import asyncio
import json
import os
import signal
import sqlite3
from contextlib import closing

import pytest

from deploy.sandbox.people import crowd_of
from deploy.sandbox.phone import Phones
from deploy.sandbox.readings import ReadingError, read_gate, read_hub, read_metrics, read_platform
from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import hub_command, person, shown_texts
from hub.config import load
from hub.store.backup.archive import read_manifest

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.sockets, pytest.mark.xdist_group("lost-hub")]

SETTLE_S = 90


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return {(device.hex(), seq) for device, seq in database.execute("SELECT device, seq FROM checkin")}


async def until(holds):
    async with asyncio.timeout(SETTLE_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.2)


async def spools_empty(site):
    return not any([(await read_gate(gate)).depth for gate in site.gates])


async def drained(site):
    """Spools empty, heads equal, nothing waits for the platform: however many numbers a restored hub has lost."""
    try:
        gates = [await read_gate(gate) for gate in site.gates]
        hub = await read_hub(site.layout)
        metrics = await read_metrics(site.session, site.layout.hub_url)
    except ReadingError:
        return False
    equal = all(list(hub.heads.get(gate.device, ())) == [gate.head] for gate in gates)
    return equal and not any(gate.depth for gate in gates) and metrics["outbox_rows"] == 0


async def test_a_lost_hub_comes_back_and_every_gap_is_closed_or_named(tmp_path):
    backups = tmp_path / "backups"
    backups.mkdir(mode=0o700)
    async with Site(tmp_path / "site", gates=2) as site:
        config = load(site.layout.hub_config)
        await site.crowd(crowd_of(8, seed=1)).run()
        # People go through while the archive is made.
        passing = asyncio.create_task(site.crowd(crowd_of(8, seed=2)).run())
        said = await hub_command(site, "backup", "--to", str(backups))
        await passing
        (archive,) = backups.iterdir()
        assert str(archive) in said

        # These the platform has from the hub that will die.
        await site.crowd(crowd_of(8, seed=3)).run()
        assert await site.wait_settled(timeout_s=SETTLE_S)
        # And these nobody has but the hub: it signed for them, so the gates forgot them.
        phones = Phones(site.session, url=site.layout.pages_url)
        codes = [(gate, await phones.texts(person(900 + number))) for number, gate in enumerate(site.gates * 3)]
        os.kill(site.platform.pid, signal.SIGSTOP)
        before = rows(config.database)
        for gate, texts in codes:
            assert (await shown_texts(gate, texts)).colour == "green"
        await until(lambda: spools_empty(site))

        await site.hub.hold()
        os.kill(site.platform.pid, signal.SIGCONT)
        had = rows(config.database)
        assert before < had
        for path in (*config.database.parent.glob("hub.sqlite*"), config.keys.signing, config.broker.key):
            path.unlink()
        said = await hub_command(site, "restore", str(archive))
        assert f"from archive {config.keys.signing}" in said
        kept = rows(config.database)
        assert 0 < len(kept) < len(before)
        site.hub.release()

        # What comes now shows that the gates go on from where they are.
        await site.crowd(crowd_of(8, seed=5)).run()
        await until(lambda: drained(site))
        platform = await read_platform(site.session, site.layout.pages_url)
        there = {(device, row.seq) for (device, _), held in platform.rows.items() for row in held}
        lost = had - there
        gaps = (await read_hub(site.layout)).gaps
        assert lost
        assert lost <= had - before, "only what the platform was not given"
        for device, seq in lost:
            assert any(gap.device == device and gap.from_seq <= seq <= gap.to_seq for gap in gaps), (device, seq)
        named = {device: frozenset(seq for other, seq in lost if other == device) for device, _ in lost}
        again = read_manifest(archive).contents.waiting
        proof = await site.proof(written_off=named, sent_again=again)
        assert proof.holds, proof.problems
        assert (proof.lost, proof.doubled) == (0, 0)
        assert len(json.loads(await hub_command(site, "audit", "--json", "--action", "hub.restore"))) == 1
        assert (site.hub.kills, site.hub.deaths) == (1, 0), site.hub.tail()
