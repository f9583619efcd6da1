"""ingest-latency: from publishing a check-in to holding its receipt, at half of what the hub can take."""

import tempfile
from pathlib import Path
from typing import Any

from load import BEFORE_S, Group, Site, Spent, load_on, lost, percentile
from result import TARGETS, Plot, Result, Row
from stalls import Stalls

GATES = 500
BEFORE = 24
"""A gate whose numbers have one digit more is read by another pattern: its first 23 check-ins are like no others."""
P50_MS, P99_MS, WANTED_A_S = 4.0, 25.0, 5000.0


def run(*, quick: bool) -> Result:
    seconds = 5 if quick else 20
    with tempfile.TemporaryDirectory(prefix="gl-latency-") as name, Site(Path(name), gates=GATES) as site:
        quiet = paced(site, a_s=100, seconds=seconds)
        # More than it can take: what it does then is the ceiling.
        full = paced(site, a_s=2 * WANTED_A_S, seconds=seconds / 2)
        half = paced(site, a_s=full["a_s"] / 2, seconds=seconds)
        third = paced(site, a_s=full["a_s"] / 3, seconds=seconds)
        wanted = paced(site, a_s=WANTED_A_S, seconds=seconds)
    return report(quiet=quiet, full=full, half=half, third=third, wanted=wanted)


def paced(site: Site, *, a_s: float, seconds: float) -> dict[str, Any]:
    """One check-in a message, from all gates in turn."""
    rate = a_s / GATES
    paced_checkins = max(1, round(rate * seconds))
    group = Group(gates=GATES, checkins=BEFORE + paced_checkins, rate=rate, before=BEFORE)
    with load_on(site, {"all": group}) as load:
        load.connect()
        load.run(start=["all"], seconds=BEFORE_S)
        spent = Spent(site.hub, site.broker, load.child)
        with Stalls() as stalls:
            seen = load.run(start=[], until=["all"])
        took_s, cpu_s = spent.done()
        group = seen["groups"]["all"]
        return {
            "a_s": GATES * paced_checkins / (group["ended_s"] - group["began_s"]),
            "asked_a_s": a_s,
            "latencies_ms": group["latencies_ms"],
            "undisturbed_ms": stalls.undisturbed_ms(group["waits"]),
            "stalls": stalls,
            "lag_ms": percentile(seen["lags_ms"], 0.99),
            "busy": {name: value / took_s for name, value in cpu_s.items()},
            "resends": group["resends"],
            "lost": lost(site, load),
        }


def report(
    *, quiet: dict[str, Any], full: dict[str, Any], half: dict[str, Any], third: dict[str, Any], wanted: dict[str, Any]
) -> Result:
    runs = {"half of the ceiling": half, "a third of the ceiling": third, "5,000/s asked": wanted, "100/s": quiet}
    p50, p99 = (percentile(half["latencies_ms"], share) for share in (0.5, 0.99))
    missing = sum(seen["lost"] for seen in (quiet, full, half, third, wanted))
    rows = [
        Row(
            what=f"publish → receipt at {name} ({seen['a_s']:,.0f}/s), {label}",
            ours=percentile(seen["latencies_ms"], share),
            unit="ms",
            **({} if seen is quiet else baseline(quiet, share)),
        )
        for name, seen in runs.items()
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]
    rows += [
        Row(
            what=f"… of those at half of the ceiling, without what a stall of the machine fell into ({100 * len(half['undisturbed_ms']) / len(half['latencies_ms']):.0f} % of all), {label}",
            ours=percentile(half["undisturbed_ms"], share),
            unit="ms",
            **baseline(quiet, share),
        )
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]
    rows += [
        Row(what="ceiling of 500 gates in turn", ours=full["a_s"], unit="1/s"),
        Row(what="lost", ours=missing, unit="check-ins"),
    ]
    busy = ", ".join(f"{name} {100 * share:.0f} %" for name, share in half["busy"].items())
    return Result(
        name="ingest_latency",
        title="Ingest: from publish to receipt",
        target=TARGETS["ingest_latency"],
        seen=(
            f"at half of the ceiling of {full['a_s']:,.0f}/s p50 {p50:.1f} ms, p99 {p99:.1f} ms; "
            f"of 5,000/s asked {wanted['a_s']:,.0f}/s; lost {missing}"
        ),
        met=p50 <= P50_MS and p99 <= P99_MS and half["a_s"] >= WANTED_A_S and missing == 0,
        table=rows,
        method=(
            f"{GATES} gates, each with its own TLS connection, send one check-in a message in turn; the clock runs from the "
            "moment before the bytes are handed to the socket until the receipt is read, broker both ways included. Hub, "
            "broker and generator on the same two cores, synchronous=FULL. Each gate has sent 24 before. The ceiling is what is stored a second when twice "
            "5,000 are asked for."
        ),
        notes=[
            (
                f"Of a core, at half of the ceiling: {busy}. The generator was late by {half['lag_ms']:.1f} ms at its 99th "
                "percentile."
            ),
            half["stalls"].note(),
            f"Sent again: {sum(seen['resends'] for seen in (quiet, full, half, third, wanted))}.",
            (
                "Ingest is one thread. At half of its ceiling a batch of ten took 2.2 ms to read, verify and judge, 2.3 ms to commit and "
                "1.2 ms to receipt, seen in a run of its own: as long as ten take to come. So batches and waits grow until the shared "
                "cost of a batch is spread thin enough, which at a third of the ceiling it is from the start."
            ),
            (
                "In turn is the dearest order: each check-in is a run of its own, with a signature to check, and has a receipt of "
                "its own, with one to make."
            ),
        ],
        series={f"{seen['a_s']:,.0f}/s": thinned(seen["latencies_ms"]) for seen in (quiet, third, half, wanted)},
        plot=Plot(kind="distribution", x_label="ms from publish to receipt", log_x=True),
    )


def baseline(quiet: dict[str, Any], share: float) -> dict[str, Any]:
    return {"baseline": "the same at 100/s", "baseline_value": percentile(quiet["latencies_ms"], share)}


def thinned(values: list[float], points: int = 400) -> list[float]:
    """The same distribution in fewer points."""
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, round(index * len(ordered) / points))] for index in range(points)]
