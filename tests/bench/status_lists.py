"""Status lists: what 33.5 million statuses cost in memory and time, and what travels when some change.

Run with a folder it is its own child: it opens the lists in the folder and prints what that took.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from figures import compare
from result import Result, Row

from protocol.keys import Ed25519SigningKey
from protocol.limits import STATUS_ENTRIES, STATUS_PACKED_BYTES
from protocol.statuslist import (
    ListToken,
    StatusDelta,
    StatusList,
    apply_delta,
    open_delta,
    open_list,
    seal_delta,
    seal_list,
)
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey

LISTS = 32
PEOPLE = 29_000_000
PEOPLE_A_LIST = PEOPLE // LISTS
AT_S = 1_795_334_400
KEY = Ed25519SigningKey(hashlib.sha256(b"bench").digest())
TRUST = TrustBundle(
    version=1,
    issued_s=0,
    expires_s=2 * AT_S,
    issuers=(
        Issuer(
            name="bench",
            region="bench",
            keys=(TrustedKey(key=KEY.public, uses=frozenset({KeyUse.STATUS}), not_before_s=0, not_after_s=2 * AT_S),),
        ),
    ),
)
SHARES = (0.0005, 0.005, 0.02)
CHANGES = (1_000, 10_000, 100_000)


def packed(rng: random.Random, *, entries: int, share: float) -> bytearray:
    """A list of full length in which a share of the first entries is red, yellow or notice."""
    made = bytearray(STATUS_PACKED_BYTES)
    for index in rng.sample(range(entries), round(entries * share)):
        made[index >> 2] |= rng.randrange(1, 4) << (index & 3) * 2
    return made


def changes(rng: random.Random, *, entries: int, count: int) -> tuple[tuple[int, int], ...]:
    return tuple((index, rng.randrange(4)) for index in sorted(rng.sample(range(entries), count)))


def token(number: int, statuses: bytes | bytearray) -> bytes:
    uri = f"https://status.example/{number}"
    return seal_list(ListToken(uri=uri, version=1, issued_s=AT_S, packed=bytes(statuses)), key=KEY)


def delta(number: int, made: tuple[tuple[int, int], ...]) -> bytes:
    uri = f"https://status.example/{number}"
    return seal_delta(StatusDelta(uri=uri, from_version=1, to_version=2, issued_s=AT_S, changes=made), key=KEY)


def times() -> list[Row]:
    rng = random.Random(1)
    statuses = packed(rng, entries=STATUS_ENTRIES, share=0.01)
    sealed = token(0, statuses)
    stream = zlib.compress(statuses, 9)
    made = changes(rng, entries=STATUS_ENTRIES, count=10_000)
    sealed_delta = delta(0, made)
    look_up, index = StatusList(statuses).get, 777_777
    listed = {at: StatusList(statuses).get(at) for at in range(index - 5000, index + 5000)}
    target, flat = bytearray(statuses), bytearray(STATUS_ENTRIES)

    def looked_up() -> None:
        for _ in range(1000):
            look_up(index)

    def looked_up_in_dict() -> None:
        get = listed.get
        for _ in range(1000):
            get(index)

    def applied() -> None:
        apply_delta(target, open_delta(sealed_delta, trust=TRUST, at_s=AT_S))

    def written() -> None:
        for at, status in made:
            flat[at] = status

    return [
        compare(
            "look up one of 2^20", looked_up, "a look-up in a dict", looked_up_in_dict, calls=1, per=1000, bare_per=1000
        ),
        compare(
            "open a signed snapshot of 2^20, 1 % not green",
            lambda: open_list(sealed, trust=TRUST, at_s=AT_S),
            "bare zlib inflate of it",
            lambda: zlib.decompress(stream),
            calls=5,
        ),
        compare("open and apply a signed delta of 10,000", applied, "10,000 bytes set in an array", written, calls=3),
    ]


def hold(folder: Path) -> None:
    """In a child: opens every list in the folder as a gate does at start, and prints what that took."""

    def resident() -> int:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    names = sorted(folder.iterdir())
    open_list(names[0].read_bytes(), trust=TRUST, at_s=AT_S)
    before = resident()
    began = time.perf_counter()
    held = {}
    for name in names:
        opened = open_list(name.read_bytes(), trust=TRUST, at_s=AT_S)
        held[opened.uri] = StatusList(bytearray(opened.packed))
    took_s = time.perf_counter() - began
    print(json.dumps({"bytes": resident() - before, "took_s": took_s, "entries": sum(s.size for s in held.values())}))


def memory() -> list[Row]:
    rng = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(LISTS):
            sealed = token(number, packed(rng, entries=STATUS_ENTRIES, share=0.01))
            Path(folder, f"{number:02}").write_bytes(sealed)
        done = subprocess.run([sys.executable, __file__, folder], capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    return [
        Row(
            what=f"{LISTS} lists, {found['entries'] / 1e6:.1f} million statuses, held",
            ours=found["bytes"] / 1e6,
            unit="MB",
            baseline="bare bits",
            baseline_value=LISTS * STATUS_PACKED_BYTES / 1e6,
        ),
        Row(what="… opening all of them", ours=found["took_s"], unit="s"),
    ]


def sizes() -> list[Row]:
    rng = random.Random(3)
    rows = []
    for share in SHARES:
        total = sum(len(token(n, packed(rng, entries=PEOPLE_A_LIST, share=share))) for n in range(LISTS))
        rows.append(
            Row(
                what=f"snapshots, {share * 100:g} % not green",
                ours=total,
                unit="B",
                baseline="people not green",
                baseline_value=PEOPLE * share,
            )
        )
    for count in CHANGES:
        parts = [count // LISTS + (number < count % LISTS) for number in range(LISTS)]
        made = [changes(rng, entries=PEOPLE_A_LIST, count=part) for part in parts]
        total = sum(len(delta(number, part)) for number, part in enumerate(made))
        rows.append(
            Row(what=f"deltas, {count:,} changes", ours=total, unit="B", baseline="changes", baseline_value=count)
        )
    return rows


def run(*, quick: bool) -> Result:
    return Result(
        name="status_lists",
        title="tens of millions of statuses in a gate",
        table=[*times(), *memory(), *sizes()],
        method=(
            f"Memory is what a child process gains by opening {LISTS} lists after it has opened one and kept none. What travels is "
            f"for {PEOPLE / 1e6:.0f} million people in {LISTS} lists, signatures included; red, yellow and notice in equal parts, "
            "anywhere in the lists, and a delta for each list; the ratio is bytes each."
        ),
    )


if __name__ == "__main__":
    hold(Path(sys.argv[1]))
