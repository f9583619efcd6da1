"""Power cuts and kill -9 in the middle of everything: what was acknowledged is there, and the chain holds."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device.send.audit import audit_file
from protocol.checkin import hash_of

ROUNDS = 15

GATE = """
import sys, threading
from pathlib import Path
from device.model import Draft
from device.send.seal import seal
from device.send.spool import Spool
from protocol.checkin import Evidence, hash_of
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

spool = Spool.open(Path(sys.argv[1]), new_epoch=b"epoch-01", now_ms=1, reserve_bytes=65536)
assert spool.damage is None, spool.damage
key = Ed25519SigningKey(bytes(range(32)))
draft = Draft(at_ms=1790000000000, clock=Clock.TRUSTED, place="mall", gate="n1", direction=Direction.IN,
    colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK, code=b"c" * 16, scheme=Scheme.GATELIGHT,
    subject=b"s" * 48, masked=None, evidence=Evidence())
def build(epoch, seq, prev):
    return seal(draft, device=b"device-1", epoch=epoch, seq=seq, prev=prev, key=key)
def uplink():
    while True:
        rows = spool.read(spool.oldest, 64)
        if len(rows) == 64:
            spool.forget(spool.oldest + 31, hash_of(rows[31]))
        spool.tidy(1)
threading.Thread(target=uplink, daemon=True).start()
while True:
    appended = spool.append(build, used=(b"code", 1790000000000))
    print(appended.seq, appended.hash.hex(), flush=True)
"""


def test_a_journal_that_was_cut_anywhere_has_all_that_was_on_disk_before_the_cut(open_spool, build, path, tmp_path):
    chance = random.Random(3)
    spool = open_spool()
    journal = path.with_name("spool.db-wal")
    said = [(0, 0)]
    for _ in range(60):
        appended = spool.append(build, used=(b"code", 1))
        said.append((journal.stat().st_size, appended.seq))
        if chance.random() < 0.3:
            seq = chance.randint(spool.oldest, spool.newest)
            spool.forget(seq, hash_of(spool.read(seq, 1)[0]))
    file, frames = path.read_bytes(), journal.read_bytes()
    for number in range(40):
        cut = chance.randint(0, len(frames))
        at = tmp_path / str(number) / "spool.db"
        at.parent.mkdir()
        at.write_bytes(file)
        # Behind the cut lies whatever the disk held before.
        at.with_name("spool.db-wal").write_bytes(frames[:cut] + chance.randbytes(len(frames) - cut))
        after = open_spool(at=at)
        assert after.damage is None
        assert after.newest >= max(seq for size, seq in said if size <= cut)
        after.append(build)
        assert audit_file(at).faults == ()


@pytest.mark.slow
@pytest.mark.system
def test_nothing_that_was_acknowledged_is_missing_after_kill_9(path):
    chance = random.Random(5)
    acknowledged = 0
    for _ in range(ROUNDS):
        with subprocess.Popen(
            [sys.executable, "-c", GATE, path],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as gate:
            first = gate.stdout.readline()
            time.sleep(chance.uniform(0.01, 0.4))
            gate.send_signal(signal.SIGKILL)
            lines = [first, *gate.stdout.read().splitlines(keepends=True)]
        whole = [line.split() for line in lines if line.endswith(b"\n")]
        assert int(whole[0][0]) > acknowledged
        acknowledged = int(whole[-1][0])
        audit = audit_file(path)
        assert audit.faults == ()
        # One more may be on disk than was said: the kill came between the commit and the word.
        assert acknowledged <= audit.newest_seq <= acknowledged + 1
    assert acknowledged > 10 * ROUNDS
