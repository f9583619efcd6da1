"""ingest: how many check-ins a second the hub verifies, chains, commits and receipts, and what one costs it."""

import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from chains import PLACE, Chain, Identity
from load import Group, Load, Site, Spent, bare_check_us, busy_core, load_on, lost
from others import Stored, afternoon, install_node_red, node_red, pipe
from result import TARGETS, Result, Row

from hub.store.sqlite import open_store

GATES = 64
PER_MESSAGE = 16
BARE_ROW = "INSERT INTO checkin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
CPU_RATIO, AFTERNOON_RATIO, PACKED_RATIO, NODE_RED_RATIO = 1.8, 2.0, 6.0, 10.0


def run(*, quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="gl-ingest-") as name:
        folder = Path(name)
        bare_us: list[float] = []
        bare_row = bare_row_us(folder / "bare.db")
        with Site(folder / "ours", gates=GATES) as site:
            one = flood(site, checkins=200 if quick else 1000, each=1, bare_us=bare_us)
            packed = flood(site, checkins=400 if quick else 4000, each=PER_MESSAGE, bare_us=bare_us)
        size = 30 if quick else 60
        peers = {
            "paho + aiosqlite, a commit a row": afternoon(folder / "afternoon", gates=GATES, checkins=size),
            "mosquitto_sub | sqlite3": pipe(folder / "pipe", gates=GATES, checkins=size),
        }
        modules = None if quick else install_node_red()
        if modules:
            peers["Node-RED, WAL"] = node_red(folder / "red-wal", modules, gates=GATES, checkins=size, wal=True)
            peers["Node-RED"] = node_red(folder / "red", modules, gates=GATES, checkins=size, wal=False)
    return report(one=one, packed=packed, bare_us=statistics.median(bare_us), bare_row=bare_row, peers=peers)


def bare_row_us(path: Path, *, rows: int = 30_000) -> float:
    """CPU µs of storing a row of a check-in's size, by SQLite alone: one `executemany` for each 3,000, with FULL."""
    asyncio.run(make_store(path))
    sealed = Chain(Identity(0), epoch=bytes(8)).seal(time.time_ns() // 1_000_000)
    before, after = (bytes(8), bytes(8)), (PLACE, "G0", 1, 1, 1, 1, 1, bytes(16), bytes(16), None, sealed)
    values = [(n, None, *before, n, bytes(32), n, n, *after) for n in range(1, rows + 1)]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        began_s = time.process_time()
        for begin in range(0, rows, 3000):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(BARE_ROW, values[begin : begin + 3000])
            db.execute("COMMIT")
        return (time.process_time() - began_s) / rows * 1e6


async def make_store(path: Path) -> None:
    await (await open_store(path, create=True)).close()


def flood(site: Site, *, checkins: int, each: int, bare_us: list[float]) -> dict[str, Any]:
    """All gates at once, each with its window full, until everything is receipted."""
    with load_on(site, {"all": Group(gates=GATES, checkins=checkins, each=each)}) as load:
        load.connect()
        with busy_core():
            bare_us.append(bare_check_us())
        before, spent = site.metrics(), Spent(site.hub, site.broker, load.child)
        group = load.run(start=["all"], until=["all"])["groups"]["all"]
        took_s, cpu_s = spent.done()[0], spent.done()[1]
        with busy_core():
            bare_us.append(bare_check_us())
        return summary(site, load, group, cpu_s=cpu_s, before=before) | {"took_s": took_s}


def summary(
    site: Site, load: Load, group: dict[str, Any], *, cpu_s: dict[str, float], before: dict[str, float]
) -> dict[str, Any]:
    after = site.metrics()
    commits = after["commit_rows_count"] - before["commit_rows_count"]
    return {
        "a_s": load.sent / (group["ended_s"] - group["began_s"]),
        "cpu_us": {name: 1e6 * value / load.sent for name, value in cpu_s.items()},
        "receipts": (after["receipts_sent_total"] - before["receipts_sent_total"]) / load.sent,
        "a_commit": load.sent / max(1, commits),
        "resends": group["resends"],
        "lost": lost(site, load),
    }


def report(
    *, one: dict[str, Any], packed: dict[str, Any], bare_us: float, bare_row: float, peers: dict[str, Stored]
) -> Result:
    slow, fast = one["a_s"], packed["a_s"]
    cpu_ratio = one["cpu_us"]["hub"] / bare_us
    by_hand, red = peers["paho + aiosqlite, a commit a row"], peers.get("Node-RED, WAL")
    checks = [
        cpu_ratio <= CPU_RATIO,
        slow >= AFTERNOON_RATIO * by_hand.a_s,
        fast >= PACKED_RATIO * slow,
        red is None or fast >= NODE_RED_RATIO * red.a_s,
        one["lost"] == packed["lost"] == 0,
    ]
    rows = [
        Row(
            what="hub CPU a check-in, one a message",
            ours=one["cpu_us"]["hub"],
            unit="µs",
            baseline="bare signature check",
            baseline_value=bare_us,
        ),
        Row(
            what=f"hub CPU a check-in, {PER_MESSAGE} a message",
            ours=packed["cpu_us"]["hub"],
            unit="µs",
            baseline="bare signature check",
            baseline_value=bare_us,
        ),
        Row(
            what=f"hub CPU a check-in, {PER_MESSAGE} a message",
            ours=packed["cpu_us"]["hub"],
            unit="µs",
            baseline=f"bare row in SQLite and 1/{PER_MESSAGE} signature check",
            baseline_value=bare_row + bare_us / PER_MESSAGE,
        ),
        *(
            Row(what="check-ins, one a message", ours=slow, unit="1/s", baseline=name, baseline_value=peer.a_s)
            for name, peer in peers.items()
        ),
        Row(
            what=f"check-ins, {PER_MESSAGE} a message",
            ours=fast,
            unit="1/s",
            baseline="one a message",
            baseline_value=slow,
        ),
        *(
            Row(
                what=f"check-ins, {PER_MESSAGE} a message",
                ours=fast,
                unit="1/s",
                baseline=f"{name}, one a message",
                baseline_value=peer.a_s,
            )
            for name, peer in peers.items()
        ),
        Row(what="broker CPU a check-in, one a message", ours=one["cpu_us"]["broker"], unit="µs"),
        Row(what="generator CPU a check-in, one a message", ours=one["cpu_us"]["generator"], unit="µs"),
        Row(what="lost", ours=one["lost"] + packed["lost"], unit="check-ins"),
    ]
    return Result(
        name="ingest",
        title="Ingest: verified, chained, committed, receipted",
        target=TARGETS["ingest"],
        seen=(
            f"{slow:,.0f}/s one a message at {cpu_ratio:.2f} × the bare check, {slow / by_hand.a_s:.1f} × the afternoon stack; "
            f"{fast:,.0f}/s with {PER_MESSAGE}, {fast / slow:.1f} × that"
            + (f", {fast / red.a_s:.0f} × Node-RED with WAL" if red else "")
        ),
        met=all(checks),
        table=rows,
        method=(
            f"{GATES} gates, each with its own TLS 1.3 connection and certificate, up to 8 messages beyond its last receipt; "
            "Mosquitto, hub and generator on the same two cores; the hub commits with synchronous=FULL; the platform is not there. "
            "CPU from /proc, all threads. The bare check is `crypto_sign_open` of one check-in while the other core is busy, as "
            "it is during the run. Lost: the gates' receipts, whose last signatures are verified, and the rows and heads in the "
            "hub's database against what was sent."
        ),
        notes=[
            (
                f"A commit took {one['a_commit']:.0f} check-ins on average with one a message, {packed['a_commit']:.0f} with {PER_MESSAGE}; "
                f"receipts a check-in {one['receipts']:.3f} and {packed['receipts']:.3f}; sent again {one['resends'] + packed['resends']}."
            ),
            (
                "Why 16 a message is not six times one: what a gate sent in many messages of one batch is one run of its chain, and is "
                "verified as one. So signatures, which sixteen share, are no longer what one a message costs most. What both pay for each "
                f"check-in is its row in SQLite ({bare_row:.0f} µs bare), its SHA-256 (3 µs), reading, checking and judging it (some 25 µs) "
                "and its bytes through TLS and MQTT. Node-RED stores a row with two columns and looks at nothing."
            ),
            (
                "The others verify nothing, look at no chain and give no receipt; a message that comes twice is stored twice. Their commits: "
                "paho + aiosqlite WAL and synchronous FULL, a commit a row; `mosquitto_sub | sqlite3` SQLite's defaults, a commit a row; "
                "Node-RED MQTT in → function → sqlite node, a commit a row."
            ),
            *(
                f"{name}: CPU {peer.cpu_us:.0f} µs a message, {peer.lost} of its messages not stored."
                for name, peer in peers.items()
            ),
        ],
    )
