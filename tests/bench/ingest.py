"""ingest: how many check-ins a second the hub verifies, chains, commits and receipts, and what one costs it."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from load import Group, Load, Site, Spent, bare_check_us, busy_core, load_on, lost
from others import Stored, afternoon, install_node_red, node_red, pipe
from result import TARGETS, Result, Row

GATES = 64
PER_MESSAGE = 16
CPU_RATIO, AFTERNOON_RATIO, PACKED_RATIO, NODE_RED_RATIO = 1.8, 2.0, 6.0, 10.0


def run(*, quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="gl-ingest-") as name:
        folder = Path(name)
        bare_us: list[float] = []
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
    return report(one=one, packed=packed, bare_us=statistics.median(bare_us), peers=peers)


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


def report(*, one: dict[str, Any], packed: dict[str, Any], bare_us: float, peers: dict[str, Stored]) -> Result:
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
