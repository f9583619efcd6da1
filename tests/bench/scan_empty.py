"""What a frame without a code costs, the whole loop, beside the decoder call alone."""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from presentations import FPS, flickering_hall, still_hall, walking_by
from result import TARGETS, Plot, Result, Row
from rig import Rig, cpu_s, read_bare

from device.model import Frame

LIMIT = 1.15
ROUNDS, COUNT = 9, 120
KINDS: dict[str, Callable[[int], list[np.ndarray]]] = {
    "a still hall, little noise (σ 2)": lambda count: still_hall(count, sigma=2),
    "a still hall, much noise (σ 7)": lambda count: still_hall(count, sigma=7),
    "lamps that flicker (σ 5)": lambda count: flickering_hall(count, sigma=5),
    "people walking by (σ 5)": lambda count: walking_by(count, sigma=5),
    "people walking by, little noise (σ 2)": lambda count: walking_by(count, sigma=2),
}


def run(*, quick: bool) -> Result:
    rounds, count = (3, 60) if quick else (ROUNDS, COUNT)
    rows, ratios = [], []
    with ExitStack() as at_end:
        rig = Rig(Path(at_end.enter_context(tempfile.TemporaryDirectory(dir=".", prefix=".bench-"))), at_end)
        rig.decoder.start()
        at_end.callback(rig.decoder.close)
        time.sleep(2)  # The spare child starts beside the first.
        for kind, made in KINDS.items():
            ours, bare = measure(rig, made(count), rounds=rounds)
            ratios.append(ours / bare)
            rows.append(Row(what=kind, ours=ours, unit="ms CPU", baseline="decoder call alone", baseline_value=bare))
    return Result(
        name="scan_empty",
        title="what a frame without a code costs",
        target=TARGETS["scan_empty"],
        seen=f"{min(ratios):.2f} to {max(ratios):.2f} ×",
        met=max(ratios) <= LIMIT,
        table=rows,
        method=(
            f"CPU of the process and its decoder child over {count} frames of 640×480, {rounds} rounds a kind, the whole loop: scene "
            "gate, copy, child, sight. The baseline is `zxingcpp.read_barcodes` with its defaults on every one of these frames in "
            "this process, in turn. Emptiness is rendered in these kinds; nothing in it is a QR code."
        ),
        series={
            "whole loop": [row.ours for row in rows],
            "decoder call alone": [row.baseline_value or 0 for row in rows],
        },
        plot=Plot(kind="bars", y_label="CPU ms a frame", labels=tuple(kind.partition(",")[0] for kind in KINDS)),
    )


def measure(rig: Rig, lumas: list[np.ndarray], *, rounds: int) -> tuple[float, float]:
    """ms a frame: the loop's, the decoder's. Each frame was written just before, as a camera's is."""
    ours, bare = [], []
    fresh = np.empty_like(lumas[0])
    seq = 0

    def step() -> None:
        rig.loop.step(Frame(luma=fresh, seq=seq, at_mono_ns=seq * 10**9 // FPS))

    for turn in range(rounds + 1):
        parent_s, child_s = 0.0, cpu_s(rig.decoder._child.pid)
        for luma in lumas:
            np.copyto(fresh, luma)
            seq += 1
            parent_s += spent_s(step)
        child_s = cpu_s(rig.decoder._child.pid) - child_s
        alone_s = 0.0
        for luma in lumas:
            np.copyto(fresh, luma)
            alone_s += spent_s(lambda: read_bare(fresh))
        if turn > 0:  # The first round warms up.
            ours.append(parent_s + child_s)
            bare.append(alone_s)
    return statistics.median(ours) * 1000 / len(lumas), statistics.median(bare) * 1000 / len(lumas)


def spent_s(call: Callable[[], object]) -> float:
    """CPU time of this process."""
    began_s = time.process_time()
    call()
    return time.process_time() - began_s
