"""What a frame with a code costs, from the picture to the committed check-in, beside the decoder call alone."""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import nacl.bindings
import numpy as np
from result import TARGETS, Plot, Result, Row
from rig import KEY, Rig, code_text, frames, read_bare

from device.model import Frame

LIMIT = 1.6
ROUNDS, PEOPLE = 9, 60


def run(*, quick: bool) -> Result:
    rounds, people = (3, 30) if quick else (ROUNDS, PEOPLE)
    with ExitStack() as at_end:
        rig = Rig(
            Path(at_end.enter_context(tempfile.TemporaryDirectory(dir=".", prefix=".bench-"))), at_end, face=False
        )
        rig.decoder.start()
        at_end.callback(rig.decoder.close)
        time.sleep(2)  # The spare child starts beside the first; a gate has it long before anybody comes.
        cost = measure(rig, rounds=rounds, people=people)
    median = {name: statistics.median(values) for name, values in cost.items()}
    ratio = median["whole path, fsync left out"] / median["decoder"]
    fsync_ms = median["fsync, wall"]
    return Result(
        name="scan_work",
        title="what a frame with a code costs",
        target=TARGETS["scan_work"],
        seen=f"{ratio:.2f} ×; the fsync apart: {fsync_ms:.2f} ms of waiting",
        met=ratio <= LIMIT,
        table=[
            row("whole path, fsync left out", median, "decoder call alone", "decoder"),
            row("whole path, with fsync", median, "decoder call alone", "decoder"),
            row("… of it in the decoder's child", median, "decoder call alone", "decoder"),
            row("verify → decide → seal → commit, no fsync", median, "bare Ed25519 verify and sign", "signatures"),
            Row(what="the commit's fsync, waiting", ours=fsync_ms, unit="ms"),
        ],
        method=(
            f"CPU of the process and its decoder child (`clock_getcpuclockid`) over {rounds} rounds of {people} frames of 640×480, "
            "each with a code of another person (rendered, look TYPICAL), against `zxingcpp.read_barcodes` with its defaults on the "
            "same frames in this process; medians of rounds, taken in turn. Every frame goes through every stage, which a held-up "
            "phone does once in some thirty frames. The simulated lamp, buzzer and relay are left out. The fsync is left out by SQLite's `synchronous=OFF`."
        ),
        series={name: cost[name] for name in ("decoder", "whole path, fsync left out", "whole path, with fsync")},
        plot=Plot(kind="lines", x_label="round", y_label="CPU ms a frame"),
    )


def row(what: str, median: dict[str, float], baseline: str, bare: str) -> Row:
    return Row(what=what, ours=median[what], unit="ms CPU", baseline=baseline, baseline_value=median[bare])


def measure(rig: Rig, *, rounds: int, people: int) -> dict[str, list[float]]:
    """ms a frame, a value for each round."""
    cost: dict[str, list[float]] = {}
    number = 0
    for turn in range(rounds + 1):
        texts = [code_text(number + n) for n in range(people)]
        number += people
        lumas = [luma for luma in frames(texts, seed=turn) if read_bare(luma)]
        found: dict[str, float] = {}
        # A code is taken once, so half of the people are answered without the fsync and half with it.
        for name, mode, part in (
            ("whole path, fsync left out", "OFF", lumas[::2]),
            ("whole path, with fsync", "FULL", lumas[1::2]),
        ):
            rig.spool._writer.execute(f"PRAGMA synchronous={mode}")
            whole_s, child_s, wall_s = step_all(rig, part)
            found[name] = whole_s * 1000 / len(part)
            found[f"wall {mode}"] = wall_s * 1000 / len(part)
            found[f"child {mode}"] = child_s * 1000 / len(part)
        began_s = time.process_time()
        for luma in lumas:
            read_bare(luma)
        found["decoder"] = (time.process_time() - began_s) * 1000 / len(lumas)
        found["… of it in the decoder's child"] = found["child OFF"]
        found["verify → decide → seal → commit, no fsync"] = settle(rig, number=10**6 + turn * 1000)
        found["signatures"] = signatures()
        found["fsync, wall"] = fsync_ms(rig, number=2 * 10**6 + turn * 1000)
        if turn > 0:  # The first round warms up.
            for name, value in found.items():
                cost.setdefault(name, []).append(value)
    return cost


def step_all(rig: Rig, lumas: list[np.ndarray]) -> tuple[float, float, float]:
    """CPU of both processes, of the child, and wall time, in s."""
    before, answered = rig.cpu_s(), len(rig.scans)
    child_before = before - time.process_time()
    began_s = time.perf_counter()
    for seq, luma in enumerate(lumas):
        rig.new_person()
        rig.loop.step(Frame(luma=luma, seq=seq, at_mono_ns=time.monotonic_ns()))
    wall_s = time.perf_counter() - began_s
    after = rig.cpu_s()
    child_s = after - time.process_time() - child_before
    if len(rig.scans) - answered < 0.9 * len(lumas) or rig.loop.counts.storage_failed:
        raise RuntimeError(f"only {len(rig.scans) - answered} of {len(lumas)} people were answered and recorded")
    return after - before, child_s, wall_s


def settle(rig: Rig, *, number: int, people: int = 50) -> float:
    """All that follows on the decoder, ms of CPU a code."""
    rig.spool._writer.execute("PRAGMA synchronous=OFF")
    return answered_ms(rig, number=number, people=people, clock=time.process_time)


def fsync_ms(rig: Rig, *, number: int, people: int = 50) -> float:
    """What waiting for the disk adds, ms of wall time a code."""
    waits = []
    for place, mode in enumerate(("OFF", "FULL")):
        rig.spool._writer.execute(f"PRAGMA synchronous={mode}")
        waits.append(answered_ms(rig, number=number + 100 * (place + 1), people=people, clock=time.perf_counter))
    return waits[1] - waits[0]


def answered_ms(rig: Rig, *, number: int, people: int, clock) -> float:
    from device.model import Decoded

    policy = rig.loop._policy()
    texts = [code_text(number + n) for n in range(people)]
    decoded = Decoded(texts=(), frame_seq=0, at_mono_ns=time.monotonic_ns(), decode_ms=0)
    began = clock()
    for text in texts:
        rig.loop._answer(text, decoded, rig.loop._moment(policy))
    return (clock() - began) * 1000 / people


def signatures(calls: int = 50) -> float:
    message = bytes(200)
    signed = KEY.sign(message) + message
    began = time.process_time()
    for _ in range(calls):
        nacl.bindings.crypto_sign_open(signed, KEY.public.x)
        KEY.sign(message)
    return (time.process_time() - began) * 1000 / calls
