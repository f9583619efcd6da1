"""The steps one by one: what each costs, as a ratio to the bare work inside it."""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cbor2
import nacl.bindings
import numpy as np
from figures import compare
from result import Result, Row
from rig import BUNDLE, KEY, NOW_S, SIZE, Rig, append, code_text, frames, opened_spool, read_bare

from device.model import Draft, Frame
from device.scan.decide import decide
from device.scan.decode import DecoderProcess
from device.scan.verify import verify_text
from hub.ingest.judge import Standing, judge
from hub.ingest.receive import CheckIns, read_payload
from hub.ingest.verify import verify as verify_message
from protocol.checkin import GENESIS, CheckIn, Evidence, encode_message, hash_of, parse_checkin, seal_checkin
from protocol.codes import parse_text, verify
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict
from protocol.verdict import Rules


def draft() -> Draft:
    return Draft(
        at_ms=NOW_S * 1000,
        clock=Clock.TRUSTED,
        place="mall-1",
        gate="north",
        direction=Direction.IN,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        reason=Reason.OK,
        code=bytes(16),
        scheme=Scheme.GATELIGHT,
        subject=bytes(16),
        masked=None,
        evidence=Evidence(issuer_kid=KEY.public.kid, code_issued_s=NOW_S, policy_version=1),
    )


def chain(count: int) -> list[bytes]:
    made, prev, base = [], GENESIS, draft()
    for seq in range(1, count + 1):
        fields = {name: getattr(base, name) for name in base.__slots__}
        made.append(seal_checkin(CheckIn(device=bytes(8), epoch=bytes(8), seq=seq, prev=prev, **fields), key=KEY))
        prev = hash_of(made[-1])
    return made


def bare_verify() -> Callable[[], object]:
    message = bytes(200)
    signed = KEY.sign(message) + message
    return lambda: nacl.bindings.crypto_sign_open(signed, KEY.public.x)


def codes() -> list[Row]:
    text = code_text()
    code = parse_text(text)
    rules = Rules()

    def judged() -> object:
        shown = verify_text(text, trust=BUNDLE, now_s=NOW_S)
        return decide(shown, rules=rules, clock_trusted=True, now_ms=NOW_S * 1000)

    return [
        compare("scanned text → decision", judged, "bare Ed25519 verify", bare_verify()),
        compare("… of which the signature", lambda: verify(code, key=KEY.public), "bare Ed25519 verify", bare_verify()),
    ]


def bare_commit(folder: Path, at_end: ExitStack) -> Callable[[], object]:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    at_end.callback(connection.close)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (seq INTEGER PRIMARY KEY, data BLOB)")
    data = bytes(250)
    return lambda: connection.execute("INSERT INTO t (data) VALUES (?)", (data,))


def record(folder: Path, at_end: ExitStack) -> Row:
    spool, made = opened_spool(folder, "spool.db", at_end), draft()
    return compare(
        "seal and commit one check-in",
        lambda: append(spool, made),
        "bare one-row commit, WAL and FULL",
        bare_commit(folder, at_end),
        calls=5,
    )


def decode(at_end: ExitStack) -> Row:
    lumas = frames([code_text(number) for number in range(8)])
    decoder = DecoderProcess(engine="zxing", frame_px_max=SIZE[0] * SIZE[1], scene_gate=False)
    decoder.start()
    at_end.callback(decoder.close)
    turn = iter(range(10**9))

    def ours() -> object:
        seq = next(turn)
        return decoder.decode(Frame(luma=lumas[seq % 8], seq=seq, at_mono_ns=0))

    def bare() -> object:
        return read_bare(lumas[next(turn) % 8])

    return compare("decode 640×480 in the caged child", ours, "zxing-cpp in the same process", bare)


def whole(folder: Path, at_end: ExitStack) -> Row:
    """Frame → light, everything real but the camera and the lamp; each call is another person."""
    people = 320
    lumas = frames([code_text(1000 + number) for number in range(people)])
    readable = [luma for luma in lumas if read_bare(luma)]
    rig = Rig(folder, at_end, name="whole.db")
    rig.decoder.start()
    at_end.callback(rig.decoder.close)
    empty = np.full((480, 640), 128, np.uint8)
    commit, check = bare_commit(folder, at_end), bare_verify()
    bare_ms: list[float] = []
    base_ns = time.monotonic_ns()
    for number, luma in enumerate(readable):
        rig.new_person()
        rig.loop.step(Frame(luma=empty, seq=2 * number, at_mono_ns=base_ns))
        rig.loop.step(Frame(luma=luma, seq=2 * number + 1, at_mono_ns=time.monotonic_ns()))
        began = time.perf_counter()
        read_bare(luma)
        check()
        KEY.sign(bytes(200))
        commit()
        bare_ms.append((time.perf_counter() - began) * 1000)
    return Row(
        what="frame → green light, committed (one call a person)",
        ours=statistics.median(scan.frame_to_light_ms for scan in rig.scans) * 1000,
        unit="µs",
        baseline="bare decode + verify + sign + commit",
        baseline_value=statistics.median(bare_ms) * 1000,
    )


def hub() -> list[Row]:
    made = chain(64)
    single, full = encode_message(made[:1]), encode_message(made)
    standing = Standing(
        device_id=bytes(8),
        place_id="mall-1",
        gate_id="north",
        epoch=bytes(8),
        seq=0,
        hash=GENESIS,
        hashes={},
        oldest_seq=None,
    )

    def judged(payload: bytes) -> Callable[[], object]:
        def once() -> object:
            message = read_payload("checkins", payload)
            assert isinstance(message, CheckIns)
            parts = verify_message(message.entries, device_id=bytes(8), keys={KEY.public.kid: KEY.public})
            return judge(parts, first=1, standing=standing)

        return once

    return [
        compare(
            "parse one check-in, strictly",
            lambda: parse_checkin(made[0]),
            "cbor2.loads of envelope and payload",
            lambda: cbor2.loads(cbor2.loads(made[0][1:])[2]),
        ),
        compare("hub: message of 1 → judged", judged(single), "bare Ed25519 verify", bare_verify()),
        compare(
            "hub: message of 64 → judged, each", judged(full), "bare Ed25519 verify", bare_verify(), per=64, calls=3
        ),
    ]


def run(*, quick: bool) -> Result:
    with ExitStack() as at_end:
        folder = Path(at_end.enter_context(tempfile.TemporaryDirectory()))
        rows = [*codes(), record(folder, at_end), decode(at_end), whole(folder, at_end), *hub()]
    return Result(
        name="micro",
        title="the steps one by one",
        table=rows,
        method=(
            "Wall-clock medians of 40 rounds, in which ours and the baseline take turns, so that a machine whose speed drifts "
            "treats both alike."
        ),
    )
