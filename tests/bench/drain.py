"""drain: gates come back after an outage with thousands of check-ins each, while others work on."""

import tempfile
from pathlib import Path
from typing import Any

from ingest_latency import thinned
from load import RECEIPTS, Group, Site, Spent, load_on, percentile
from result import TARGETS, Plot, Result, Row

LIVE_RATE = 0.5
FACTOR = 2.0
EACH = 64


def run(*, quick: bool) -> Result:
    back, behind, live = (10, 2_000, 10) if quick else (100, 10_000, 100)
    quiet_s = 5 if quick else 30
    groups = {
        "live": Group(gates=live, checkins=10_000, rate=LIVE_RATE)
        if quick
        else Group(gates=live, checkins=400, rate=LIVE_RATE),
        "back": Group(gates=back, checkins=behind, each=EACH),
    }
    with (
        tempfile.TemporaryDirectory(prefix="gl-drain-") as name,
        Site(Path(name), gates=back + live) as site,
        load_on(site, groups, filters=RECEIPTS) as load,
    ):
        load.connect()
        load.run(start=["live"], seconds=2)
        quiet = load.run(start=[], seconds=quiet_s)["groups"]["live"]["latencies_ms"]
        spent = Spent(site.hub, site.broker, load.child)
        seen = load.run(start=["back"], until=["back"])
        took_s, cpu_s = spent.done()
        during, drained = seen["groups"]["live"]["latencies_ms"], seen["groups"]["back"]
        last = load.run(start=[], seconds=2)["groups"]["live"]
        missing = max(0, back * behind + last["receipted"] - site.stored(load.epoch)[0])
        # What is under way in this moment is not lost; what is sent again for want of a receipt shows in the notes.
        missing += max(0, last["sent"] - last["receipted"] - live)
    return report(
        back=back,
        behind=behind,
        live=live,
        quiet=quiet,
        during=during,
        drained=drained,
        took_s=took_s,
        cpu_s=cpu_s,
        missing=missing,
    )


def report(
    *,
    back: int,
    behind: int,
    live: int,
    quiet: list[float],
    during: list[float],
    drained: dict[str, Any],
    took_s: float,
    cpu_s: dict[str, float],
    missing: int,
) -> Result:
    a_s = back * behind / (drained["ended_s"] - drained["began_s"])
    p99_quiet, p99 = percentile(quiet, 0.99), percentile(during, 0.99)
    busy = ", ".join(f"{name} {100 * value / took_s:.0f} %" for name, value in cpu_s.items())
    return Result(
        name="drain",
        title="Drain after an outage, while others work",
        target=TARGETS["drain"],
        seen=f"{a_s:,.0f} check-ins/s; live p99 {p99:.1f} ms against {p99_quiet:.1f} ms quiet ({p99 / p99_quiet:.1f} ×)",
        met=p99 <= FACTOR * p99_quiet and missing == 0,
        table=[
            Row(
                what="live publish → receipt while others drain, p99",
                ours=p99,
                unit="ms",
                baseline="quiet",
                baseline_value=p99_quiet,
            ),
            Row(
                what="live publish → receipt while others drain, p50",
                ours=percentile(during, 0.5),
                unit="ms",
                baseline="quiet",
                baseline_value=percentile(quiet, 0.5),
            ),
            Row(what="drained", ours=a_s, unit="check-ins/s"),
            Row(what="hub CPU a drained check-in", ours=1e6 * cpu_s["hub"] / (back * behind), unit="µs"),
            Row(what="lost", ours=missing, unit="check-ins"),
        ],
        method=(
            f"{back} gates with {behind:,} check-ins each start at once, {EACH} a message and 8 messages open each, while {live} others "
            f"send one check-in every {1 / LIVE_RATE:.0f} s each, as they did before."
        ),
        notes=[
            (
                "Why not twice: the smallest piece of a backlog is one message of 64, which takes some 6 ms to read, judge and commit, "
                "longer than a live check-in takes in quiet. A live one waits for at most one such piece."
            ),
            f"Of a core meanwhile: {busy}. Sent again: {drained['resends']}.",
        ],
        series={"quiet": thinned(quiet), "while others drain": thinned(during)},
        plot=Plot(kind="distribution", x_label="ms from publish to receipt", log_x=True),
    )
