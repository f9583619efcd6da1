"""ingest-latency: from publishing a check-in to holding its receipt, at half of what the hub can take."""

import tempfile
from pathlib import Path
from typing import Any

from load import Group, Site, Spent, load_on, lost, percentile
from result import TARGETS, Plot, Result, Row

GATES = 500
P50_MS, P99_MS, WANTED_A_S = 4.0, 25.0, 5000.0
CEILING_GATES = 64


def run(*, quick: bool) -> Result:
    seconds = 5 if quick else 20
    with tempfile.TemporaryDirectory(prefix="gl-latency-") as name, Site(Path(name), gates=GATES) as site:
        ceiling_a_s = ceiling(site, checkins=200 if quick else 800)
        half = paced(site, a_s=ceiling_a_s / 2, seconds=seconds)
        quiet = paced(site, a_s=100, seconds=seconds)
        wanted = paced(site, a_s=WANTED_A_S, seconds=seconds) if ceiling_a_s > WANTED_A_S else None
    return report(ceiling_a_s=ceiling_a_s, half=half, quiet=quiet, wanted=wanted)


def ceiling(site: Site, *, checkins: int) -> float:
    with load_on(site, {"all": Group(gates=CEILING_GATES, checkins=checkins)}) as load:
        load.connect()
        group = load.run(start=["all"], until=["all"])["groups"]["all"]
        return load.sent / (group["ended_s"] - group["began_s"])


def paced(site: Site, *, a_s: float, seconds: float) -> dict[str, Any]:
    """One check-in a message, from all gates in turn."""
    rate = a_s / GATES
    with load_on(site, {"all": Group(gates=GATES, checkins=max(1, round(rate * seconds)), rate=rate)}) as load:
        load.connect()
        spent = Spent(site.hub, site.broker, load.child)
        seen = load.run(start=["all"], until=["all"])
        took_s, cpu_s = spent.done()
        group = seen["groups"]["all"]
        return {
            "a_s": load.sent / (group["ended_s"] - group["began_s"]),
            "asked_a_s": a_s,
            "latencies_ms": group["latencies_ms"],
            "lag_ms": percentile(seen["lags_ms"], 0.99),
            "busy": {name: value / took_s for name, value in cpu_s.items()},
            "resends": group["resends"],
            "lost": lost(site, load),
        }


def report(*, ceiling_a_s: float, half: dict[str, Any], quiet: dict[str, Any], wanted: dict[str, Any] | None) -> Result:
    judged = wanted or half
    p50, p99 = (percentile(judged["latencies_ms"], share) for share in (0.5, 0.99))
    rows = []
    for name, seen in (("half of the ceiling", half), ("5,000/s", wanted)):
        if seen is None:
            continue
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            rows.append(
                Row(
                    what=f"publish → receipt at {name} ({seen['a_s']:,.0f}/s), {label}",
                    ours=percentile(seen["latencies_ms"], share),
                    unit="ms",
                    baseline="the same at 100/s",
                    baseline_value=percentile(quiet["latencies_ms"], share),
                )
            )
    rows += [
        Row(what="ceiling, one a message, in the same run", ours=ceiling_a_s, unit="1/s"),
        Row(what="lost", ours=sum(seen["lost"] for seen in (half, quiet, wanted) if seen), unit="check-ins"),
    ]
    busy = ", ".join(f"{name} {100 * share:.0f} %" for name, share in judged["busy"].items())
    notes = [
        f"Of a core, at {judged['a_s']:,.0f}/s: {busy}. The generator was late by {judged['lag_ms']:.1f} ms at its 99th percentile.",
        f"Sent again: {half['resends'] + quiet['resends'] + (wanted['resends'] if wanted else 0)}.",
    ]
    if wanted is None:
        notes.append(
            f"5,000/s is above the ceiling of this machine in this run ({ceiling_a_s:,.0f}/s), so the target's latencies "
            "are compared at half of that ceiling."
        )
    return Result(
        name="ingest_latency",
        title="Ingest: from publish to receipt",
        target=TARGETS["ingest_latency"],
        seen=f"at {judged['a_s']:,.0f}/s p50 {p50:.1f} ms, p99 {p99:.1f} ms, lost {int(rows[-1].ours)}",
        met=p50 <= P50_MS and p99 <= P99_MS and wanted is not None and rows[-1].ours == 0,
        table=rows,
        method=(
            f"{GATES} gates, each with its own TLS connection, send one check-in a message in turn; the clock runs from the "
            "moment before the bytes are handed to the socket until the receipt is read, broker both ways included. Hub, "
            "broker and generator on the same two cores, synchronous=FULL."
        ),
        notes=notes,
        series={
            f"{seen['a_s']:,.0f}/s": thinned(seen["latencies_ms"]) for seen in (quiet, half, wanted) if seen is not None
        },
        plot=Plot(kind="distribution", x_label="ms from publish to receipt", log_x=True),
    )


def thinned(values: list[float], points: int = 400) -> list[float]:
    """The same distribution in fewer points."""
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, round(index * len(ordered) / points))] for index in range(points)]
