"""What gates, hub and platform each hold -> whether anything was lost, doubled or changed. Pure.

The three say it independently: the gate's own chain head, the hub's head for that device, and the
platform's rows, which are read back one by one. For every gate:

1. the gate's spool is empty and its own chain is whole;
2. the hub's head is the gate's head: same epoch, same seq, same hash;
3. the platform holds seq 1 to N once each, every one naming the hash of the one before, and the last hash
   is the gate's head;
4. every answer that the gate lit and logged is the platform's row of that seq: colour, verdict, reason;
5. there are no more green lights than admitted rows.

A hub that was restored from a backup has lost what it had receipted and not yet forwarded, and says so in a gap. Such
check-ins may be written off, by name; no other may be missing, and none of them may be there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from deploy.sandbox.crowd import CrowdCount, Scan
from protocol.checkin import GENESIS
from protocol.reasons import Reason
from protocol.terms import Colour, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """The end of one chain, as one party knows it. `hash` is hex."""

    epoch: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReading:
    """What one gate says of itself: its spool command, and everything it logged."""

    name: str
    device: str
    depth: int
    chain_ok: bool
    head: ChainHead
    scans: Sequence[Scan]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRow:
    """One check-in as the platform returns it. Hashes are hex, words are wire names."""

    seq: int
    prev: str
    hash: str
    colour: str
    verdict: str
    reason: str

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "PlatformRow":
        """One entry of `/v1/devices/…/checkins`."""
        return cls(
            seq=row["seq"],
            prev=row["prev"],
            hash=row["hash"],
            colour=Colour(row["colour"]).wire_name,
            verdict=Verdict(row["verdict"]).wire_name,
            reason=Reason(row["reason"]).wire_name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformReading:
    """The platform's counters, and its rows by (device, epoch), both hex."""

    totals: Mapping[str, int]
    rows: Mapping[tuple[str, str], Sequence[PlatformRow]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubGap:
    """Numbers of one device (hex) that the hub says it will never have, both ends included."""

    device: str
    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubReading:
    """The hub's counters, its heads by device (hex), and the gaps that it has noted."""

    rows: int
    receipted: int
    heads: Mapping[str, Sequence[ChainHead]]
    gaps: Sequence[HubGap] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Frame to light in milliseconds, over all answers; None when there were none."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The end of a run in numbers. `problems` are sentences; with one of them the run has failed.

    `ignored` showings were adverts, which get no answer; `unrecorded` answers were to several codes at once.
    """

    people: int
    shown: int
    shown_again: int
    decided: int
    ignored: int
    unrecorded: int
    sealed: int
    stored: int
    forwarded: int
    receipted: int
    lost: int
    doubled: int
    differing: int
    as_expected: int
    frame_to_light_ms: Latency
    problems: tuple[str, ...]
    surprises: tuple[str, ...] = ()
    heads: tuple[ChainHead, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        return not (self.lost or self.doubled or self.differing or self.problems)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "holds": self.holds}


def prove(
    *,
    gates: Sequence[GateReading],
    hub: HubReading,
    platform: PlatformReading,
    crowd: CrowdCount,
    written_off: Mapping[str, frozenset[int]] = MappingProxyType({}),
    sent_again: int = 0,
) -> Proof:
    """Compares the three. Never raises for what they say.

    Args:
        gates: each gate's own word.
        hub: the hub's.
        platform: the platform's rows.
        crowd: what people met.
        written_off: device (hex) -> numbers that a restored hub has lost, as it says itself.
        sent_again: how many check-ins a restored hub may have sent that the platform had already.
    """
    problems: list[str] = []
    lost = differing = 0
    missing_by_design = sum(map(len, written_off.values()))
    for gate in gates:
        rows = platform.rows.get((gate.device, gate.head.epoch), ())
        off = written_off.get(gate.device, frozenset())
        gate_lost = _missing(gate, rows, off)
        if gate_lost:
            problems.append(f"{gate.name}: {gate_lost} check-ins never reached the platform")
        found = [*_spool(gate), *_hub(gate, hub), *_chain(gate, rows, off), *_lights(gate, rows, off)]
        lost += gate_lost
        differing += len(found)
        problems += [f"{gate.name}: {what}" for what in found]
    problems += _strangers(gates, platform)
    sealed = sum(gate.head.seq for gate in gates)
    totals = platform.totals
    again = max(0, totals["again"] - sent_again)
    doubled = again + max(0, totals["distinct"] - sealed) + max(0, hub.rows - sealed)
    if totals["gaps"] != missing_by_design:
        problems.append(f"the platform counted {totals['gaps']} gaps instead of {missing_by_design}")
    for name in ("chain_breaks", "bad_signatures", "forks", "malformed", "unknown_devices"):
        if totals[name]:
            problems.append(f"the platform counted {totals[name]} {name.replace('_', ' ')}")
    if crowd.wrongly_admitted:
        problems.append(f"{crowd.wrongly_admitted} people were admitted who should not have been")
    if crowd.unanswered:
        problems.append(f"{crowd.unanswered} people never got an answer")
    lights_ms = [scan.frame_to_light_ms for gate in gates for scan in gate.scans if scan.frame_to_light_ms is not None]
    return Proof(
        people=crowd.people,
        shown=crowd.shown,
        shown_again=crowd.shown_again,
        decided=sum(len(gate.scans) for gate in gates),
        ignored=crowd.silent,
        unrecorded=sum(scan.seq is None for gate in gates for scan in gate.scans),
        sealed=sealed,
        stored=hub.rows,
        forwarded=totals["rows"],
        receipted=hub.receipted,
        lost=lost,
        doubled=doubled,
        differing=differing,
        as_expected=crowd.as_expected,
        frame_to_light_ms=latency(lights_ms),
        problems=tuple(problems),
        surprises=tuple(crowd.surprises),
        heads=tuple(gate.head for gate in gates),
    )


def latency(values_ms: Sequence[float]) -> Latency:
    """Nearest-rank percentiles."""
    ordered = sorted(values_ms)

    def rank(share: float) -> float | None:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None

    return Latency(p50=rank(0.50), p95=rank(0.95), p99=rank(0.99))


def _missing(gate: GateReading, rows: Sequence[PlatformRow], written_off: frozenset[int]) -> int:
    """How many of seq 1 to N the platform has not; and lit records beyond what the gate itself still knows."""
    held = {row.seq for row in rows}
    lit = {scan.seq for scan in gate.scans if scan.seq is not None}
    return len((set(range(1, gate.head.seq + 1)) | lit) - held - written_off)


def _spool(gate: GateReading) -> list[str]:
    found = []
    if gate.depth:
        found.append(f"{gate.depth} check-ins are still in its spool")
    if not gate.chain_ok:
        found.append("its own chain is broken")
    return found


def _hub(gate: GateReading, hub: HubReading) -> list[str]:
    heads = hub.heads.get(gate.device, ())
    if list(heads) == [gate.head] or (not heads and gate.head.seq == 0):
        return []
    return [f"its head is {gate.head}, the hub has {list(heads)}"]


def _chain(gate: GateReading, rows: Sequence[PlatformRow], written_off: frozenset[int]) -> list[str]:
    found = []
    number, prev = 1, GENESIS.hex()
    for row in rows:
        skipped = number
        while number in written_off:
            number += 1
        if row.seq != number or (row.prev != prev and number == skipped):
            found.append(f"the platform's chain breaks at seq {row.seq}")
            break
        number, prev = row.seq + 1, row.hash
    if rows and rows[-1].hash != gate.head.hash:
        found.append("its head's hash is not the platform's last")
    return found


def _lights(gate: GateReading, rows: Sequence[PlatformRow], written_off: frozenset[int]) -> list[str]:
    by_seq = {row.seq: row for row in rows}
    found = []
    for scan in gate.scans:
        row = by_seq.get(scan.seq) if scan.seq is not None else None
        if row is not None and (scan.colour, scan.verdict, scan.reason) != (row.colour, row.verdict, row.reason):
            found.append(f"seq {scan.seq} was lit {scan.colour}, the platform has {row.colour}")
    twice = [seq for seq, n in Counter(scan.seq for scan in gate.scans).items() if seq is not None and n > 1]
    found += [f"seq {seq} was answered twice" for seq in twice]
    green = sum(scan.colour == Colour.GREEN.wire_name and scan.seq not in written_off for scan in gate.scans)
    admitted = sum(row.verdict == Verdict.ADMIT.wire_name for row in rows)
    if green > admitted:
        found.append(f"{green} green lights, but {admitted} admitted check-ins")
    return found


def _strangers(gates: Sequence[GateReading], platform: PlatformReading) -> list[str]:
    known = {(gate.device, gate.head.epoch) for gate in gates}
    return [f"the platform has a chain of nobody: {chain}" for chain in platform.rows if chain not in known]
