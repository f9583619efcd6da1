"""fleet: thousands of gates that stay connected, each with a check-in every two seconds."""

import tempfile
from pathlib import Path
from typing import Any

from load import EVERYTHING, Group, Site, Spent, load_on, lost, percentile
from result import TARGETS, Result, Row

PERIOD_S = 2.0
HUB_KB = 40.0
PATIENCE_S = 600.0
"""The broker is told of all gates, one after another, before any may subscribe."""


def run(*, quick: bool) -> Result:
    gates, seconds = (200, 10) if quick else (5000, 600)
    with tempfile.TemporaryDirectory(prefix="gl-fleet-") as name:
        with (
            Site(Path(name) / "one", gates=1) as site,
            load_on(site, {"all": Group(gates=1, checkins=1)}, filters=EVERYTHING) as load,
        ):
            load.connect()
            load.run(start=["all"], until=["all"])
            empty = {child.name: child.resident_bytes for child in (site.hub, site.broker)}
        with Site(Path(name) / "all", gates=gates) as site:
            started = {child.name: child.resident_bytes for child in (site.hub, site.broker)}
            groups = {"all": Group(gates=gates, checkins=round(seconds / PERIOD_S), rate=1 / PERIOD_S, live=True)}
            with load_on(site, groups, filters=EVERYTHING, patience_s=PATIENCE_S) as load:
                connected = load.connect()
                spent = Spent(site.hub, site.broker, load.child)
                seen = load.run(start=["all"], until=["all"])
                took_s, cpu_s = spent.done()
                full = {child.name: child.resident_bytes for child in (site.hub, site.broker)}
                missing = lost(site, load)
                sent = load.sent
    return report(
        gates=gates,
        seconds=seconds,
        empty=empty,
        started=started,
        full=full,
        connected=connected,
        seen=seen,
        took_s=took_s,
        cpu_s=cpu_s,
        missing=missing,
        sent=sent,
    )


def report(
    *,
    gates: int,
    seconds: int,
    empty: dict[str, int],
    started: dict[str, int],
    full: dict[str, int],
    connected: dict[str, float],
    seen: dict[str, Any],
    took_s: float,
    cpu_s: dict[str, float],
    missing: int,
    sent: int,
) -> Result:
    a_gate = {name: (full[name] - empty[name]) / gates / 1000 for name in full}
    latencies = seen["groups"]["all"]["latencies_ms"]
    busy = ", ".join(f"{name} {100 * value / took_s:.0f} %" for name, value in cpu_s.items())
    return Result(
        name="fleet",
        title="A fleet that stays connected",
        target=TARGETS["fleet"],
        seen=(
            f"{gates:,} gates for {seconds} s: hub {a_gate['hub']:.1f} kB and broker {a_gate['broker']:.1f} kB a gate, "
            f"{missing} of {sent:,} check-ins lost"
        ),
        met=a_gate["hub"] <= HUB_KB and missing == 0,
        table=[
            Row(what="hub, resident, a gate", ours=a_gate["hub"], unit="kB"),
            Row(what="broker, resident, a gate", ours=a_gate["broker"], unit="kB"),
            Row(
                what="hub, resident, with the fleet",
                ours=full["hub"] / 1e6,
                unit="MB",
                baseline="with one gate",
                baseline_value=empty["hub"] / 1e6,
            ),
            Row(
                what="broker, resident, with the fleet",
                ours=full["broker"] / 1e6,
                unit="MB",
                baseline="with one gate",
                baseline_value=empty["broker"] / 1e6,
            ),
            Row(what="publish → receipt, p50", ours=percentile(latencies, 0.5), unit="ms"),
            Row(what="publish → receipt, p99", ours=percentile(latencies, 0.99), unit="ms"),
            Row(what="check-ins", ours=sent / took_s, unit="1/s"),
            Row(what="lost", ours=missing, unit="check-ins"),
        ],
        method=(
            f"{gates:,} gates with a TLS 1.3 connection each, subscribed to all that a real gate is, send a check-in every "
            f"{PERIOD_S:.0f} s. Memory is the resident size after the run, less that of a hub and a broker with one gate, by gate."
        ),
        notes=[
            (
                f"Until all were connected {connected['connected_s']:.0f} s, until all might subscribe {connected['subscribed_s']:.0f} s: one "
                "process makes all connections, one after another, and the broker is told of each gate by its access rules."
            ),
            (
                f"Of a core during the run: {busy}. Sent again: {seen['groups']['all']['resends']}. Registered and not connected "
                f"yet, the hub took {started['hub'] / 1e6:.0f} MB."
            ),
        ],
    )
