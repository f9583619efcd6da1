"""status: people's colours change at the platform; until every gate has the change."""

import http.client
import json
import random
import tempfile
import time
from pathlib import Path

from ingest_latency import thinned
from load import EVERYTHING, Group, Site, Spent, load_on, percentile
from result import TARGETS, Plot, Result, Row

from deploy.sandbox.platform.authority import ISSUERS
from protocol.keys import decode_key
from protocol.limits import STATUS_ENTRIES, STATUS_PACKED_BYTES
from protocol.statuslist import apply_delta, open_delta
from protocol.trust import open_trust

GATES = 200
CHANGES = 10_000
P99_MS = 1000.0
BIG_BYTES = 5_000
"""A heartbeat is far shorter, a delta of so many changes far longer."""


def run(*, quick: bool) -> Result:
    gates, rounds = (20, 3) if quick else (GATES, 30)
    arrived_ms: list[float] = []
    missing = 0
    with (
        tempfile.TemporaryDirectory(prefix="gl-status-") as name,
        Site(Path(name), gates=gates, platform=True) as site,
        load_on(site, {"all": Group(gates=gates, checkins=0)}, filters=EVERYTHING) as load,
    ):
        load.connect()
        load.run(start=[], seconds=3)
        spent = Spent(site.hub, site.broker, site.platform, load.child)
        for number in range(rounds):
            signed_ms = turn(site, seed=number)
            seen = load.run(start=[], seconds=1.5)
            found = {gate: at_ms - signed_ms for gate, at_ms, size in seen["deltas"] if size > BIG_BYTES}
            missing += gates - len(found)
            arrived_ms += found.values()
        cpu_s = spent.done()[1]
        applied_ms = apply_times(site, bytes.fromhex(seen["delta"]))
        bytes_each = len(seen["delta"]) // 2
    return report(
        gates=gates,
        rounds=rounds,
        arrived_ms=arrived_ms,
        applied_ms=applied_ms,
        cpu_s=cpu_s,
        missing=missing,
        bytes_each=bytes_each,
    )


def turn(site: Site, *, seed: int) -> float:
    """10,000 people of one list turn; returns the ms at which the platform had signed that."""
    lists = len(ISSUERS)
    people = [index * lists for index in random.Random(seed).sample(range(STATUS_ENTRIES // lists), CHANGES)]
    colour = ("red", "yellow", "green")[seed % 3]
    connection = http.client.HTTPConnection("127.0.0.1", site.layout.ports.platform_pages, timeout=30)
    connection.request("POST", "/sandbox/colours", json.dumps({"people": people, "colour": colour}))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the platform answers {answer.status}: {body[:200]!r}")
    return float(json.loads(body)["at_ms"])


def apply_times(site: Site, delta: bytes, *, times: int = 50) -> list[float]:
    """What each gate does with it then: the device's own code opens it, which verifies it, and applies it."""
    root = decode_key(site.config.keys.root.read_bytes())
    trust = open_trust(site.config.trust.bundle.read_bytes(), root=root)
    packed, took_ms = bytearray(STATUS_PACKED_BYTES), []
    for _ in range(times):
        began_s = time.perf_counter()
        apply_delta(packed, open_delta(delta, trust=trust, at_s=int(time.time())))
        took_ms.append(1000 * (time.perf_counter() - began_s))
    return took_ms


def report(
    *,
    gates: int,
    rounds: int,
    arrived_ms: list[float],
    applied_ms: list[float],
    cpu_s: dict[str, float],
    missing: int,
    bytes_each: int,
) -> Result:
    apply_p50, apply_p99 = percentile(applied_ms, 0.5), percentile(applied_ms, 0.99)
    p50, p99 = percentile(arrived_ms, 0.5) + apply_p50, percentile(arrived_ms, 0.99) + apply_p99
    spent = ", ".join(f"{name} {1000 * value / rounds:.0f} ms" for name, value in cpu_s.items())
    return Result(
        name="status",
        title="10,000 people's colours change",
        target=TARGETS["status"],
        seen=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms to all of {gates} gates, {missing} of {gates * rounds} deltas not seen in time",
        met=p99 < P99_MS and missing == 0,
        table=[
            Row(what=f"platform's signature → in force at each of {gates} gates, p50", ours=p50, unit="ms"),
            Row(what=f"platform's signature → in force at each of {gates} gates, p99", ours=p99, unit="ms"),
            Row(
                what="of which until it is read from the gate's socket, p99",
                ours=percentile(arrived_ms, 0.99),
                unit="ms",
                baseline="verified and applied by the gate, p99",
                baseline_value=apply_p99,
            ),
            Row(what="delta", ours=bytes_each / 1000, unit="kB"),
        ],
        method=(
            f"{rounds} times {CHANGES:,} people of one list turn at the stand-in platform; the hub verifies the delta and publishes it over "
            f"Mosquitto to {gates} TLS connections, which are one process. To each arrival the time is added that the device's own "
            "code takes to verify and apply this delta, measured in the same run: 200 gates have 200 processors in the field, "
            "and here two cores would work seconds for them."
        ),
        notes=[f"CPU a round: {spent}."],
        series={"until the gate has it": thinned(arrived_ms)},
        plot=Plot(kind="distribution", x_label="ms from the platform's signature"),
    )
