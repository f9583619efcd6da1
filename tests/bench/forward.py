"""forward: stored check-ins go to the platform, in batches; and from a scan to the platform's receipt."""

import contextlib
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from ingest_latency import thinned
from load import Group, Site, Spent, bare_check_us, busy_core, load_on, lost, percentile
from result import TARGETS, Plot, Result, Row

GATES = 100
A_S = 500.0
P99_MS = 1000.0
SETTLE_S = 120.0
TIMES = """
SELECT batch.closed_ms - checkin.at_ms FROM batch JOIN checkin ON checkin.id BETWEEN batch.first_id AND batch.last_id
WHERE batch.state = 'receipted' AND checkin.epoch = ?
"""


def run(*, quick: bool) -> Result:
    seconds, backlog = (4, 50) if quick else (60, 500)
    with (
        tempfile.TemporaryDirectory(prefix="gl-forward-") as name,
        Site(Path(name), gates=GATES, platform=True) as site,
    ):
        live = paced(site, seconds=seconds)
        with busy_core():
            bare_us = bare_check_us()
        full = emptied(site, checkins=backlog)
    return report(live=live, full=full, bare_us=bare_us)


def paced(site: Site, *, seconds: float) -> dict[str, Any]:
    """One check-in a message, sealed when it is sent."""
    rate = A_S / GATES
    groups = {"all": Group(gates=GATES, checkins=round(rate * seconds), rate=rate, live=True)}
    with load_on(site, groups) as load:
        load.connect()
        until_settled(site)
        spent = Spent(site.hub, site.broker, site.platform, load.child)
        group = load.run(start=["all"], until=["all"])["groups"]["all"]
        took_s, cpu_s = spent.done()
        until_settled(site)
        with contextlib.closing(sqlite3.connect(site.config.database)) as db:
            times_ms = [float(took_ms) for (took_ms,) in db.execute(TIMES, (load.epoch,))]
        return {
            "times_ms": times_ms,
            "receipt_ms": group["latencies_ms"],
            "busy": {name: value / took_s for name, value in cpu_s.items()},
            "lost": lost(site, load) + load.sent - len(times_ms),
        }


def emptied(site: Site, *, checkins: int) -> dict[str, Any]:
    """The platform was away, and comes back to a full outbox."""
    site.platform.stop()
    with load_on(site, {"all": Group(gates=GATES, checkins=checkins, each=16)}) as load:
        load.connect()
        load.run(start=["all"], until=["all"])
        missing = lost(site, load)
        rows, spent = site.metrics()["outbox_rows"], Spent(site.hub)
        site.start_platform()
        began_s = time.monotonic()
        # The hub tries again after at most 30 s; the clock starts with the first batch that is taken.
        while site.metrics()["outbox_rows"] >= rows and time.monotonic() - began_s < SETTLE_S:
            spent, began_s = Spent(site.hub), time.monotonic()
            time.sleep(0.05)
        left = site.metrics()["outbox_rows"]
        until_settled(site)
        took_s, cpu_s = spent.done()
        return {"a_s": left / took_s, "cpu_us": 1e6 * cpu_s["hub"] / left, "rows": rows, "lost": missing}


def until_settled(site: Site) -> None:
    until_s = time.monotonic() + SETTLE_S
    while site.metrics()["outbox_rows"] and time.monotonic() < until_s:
        time.sleep(0.05)


def report(*, live: dict[str, Any], full: dict[str, Any], bare_us: float) -> Result:
    p50, p99 = (percentile(live["times_ms"], share) for share in (0.5, 0.99))
    missing = live["lost"] + full["lost"]
    busy = ", ".join(f"{name} {100 * share:.0f} %" for name, share in live["busy"].items())
    return Result(
        name="forward",
        title="Forward to the platform",
        target=TARGETS["forward"],
        seen=f"scan → platform's receipt at {A_S:.0f}/s p50 {p50:.0f} ms, p99 {p99:.0f} ms; {full['a_s']:,.0f}/s from a full outbox",
        met=p99 < P99_MS and missing == 0,
        table=[
            Row(
                what=f"scan → platform's receipt in the hub at {A_S:.0f}/s, p50",
                ours=p50,
                unit="ms",
                baseline="publish → hub's receipt",
                baseline_value=percentile(live["receipt_ms"], 0.5),
            ),
            Row(
                what=f"scan → platform's receipt in the hub at {A_S:.0f}/s, p99",
                ours=p99,
                unit="ms",
                baseline="publish → hub's receipt",
                baseline_value=percentile(live["receipt_ms"], 0.99),
            ),
            Row(what="a full outbox, hub → platform", ours=full["a_s"], unit="check-ins/s"),
            Row(
                what="hub CPU a forwarded check-in",
                ours=full["cpu_us"],
                unit="µs",
                baseline="bare signature check",
                baseline_value=bare_us,
            ),
            Row(what="lost", ours=missing, unit="check-ins"),
        ],
        method=(
            f"{GATES} gates seal and send {A_S:.0f} check-ins a second; the stand-in platform runs on the same two cores, verifies "
            "each signature and chain, and commits before it signs. The time is from the check-in's own to the moment at which "
            "the hub has stored the platform's receipt for its batch. Then the platform is stopped, the outbox filled, and it comes back."
        ),
        notes=[
            (
                f"Of a core at {A_S:.0f}/s: {busy}. The full outbox had {full['rows']:,.0f} check-ins; the stand-in platform, in Python "
                "and on the same cores, takes as much work for each as the hub, so the rate is the pair's, not the hub's alone."
            ),
        ],
        series={"scan → platform's receipt": thinned(live["times_ms"])},
        plot=Plot(kind="distribution", x_label="ms"),
    )
