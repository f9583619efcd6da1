"""`make faults` in small: a few rounds against real processes, and that it fails where something was lost.

What this machine or user cannot do is left out, as the command says itself.
"""

import json
import subprocess
import sys

import pytest

from deploy.sandbox.faults.ground import abilities
from deploy.sandbox.faults.plan import Kind

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.xdist_group("faults")]

QUICK = [Kind.KILL]
if abilities().disks:
    QUICK.append(Kind.POWER_CUT)
if abilities().networks:
    QUICK.append(Kind.CUT_LINK)


def play(tmp_path, *options):
    """Runs it; exit code, what it said, and its rounds."""
    out = tmp_path / "rounds.jsonl"
    command = [sys.executable, "-m", "deploy.sandbox.cli", "faults", "--out", str(out), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return done.returncode, done.stdout + done.stderr, [line for line in lines if "machine" not in line]


def test_rounds_hold_and_each_fault_took(tmp_path):
    kinds = [word for kind in QUICK for word in ("--kind", kind)]
    code, said, rounds = play(tmp_path, "--rounds", len(QUICK), "--sites", 1, *kinds)
    assert code == 0, said
    assert {one["kind"] for one in rounds} == set(QUICK)
    assert all(one["effect"] and one["checkins"] > 0 and one["lost"] == one["doubled"] == 0 for one in rounds), said
    assert f"{len(QUICK)} rounds, 0 failed" in said


def test_a_check_in_that_the_platform_loses_is_found(tmp_path):
    code, said, rounds = play(tmp_path, "--rounds", 1, "--kind", Kind.KILL, "--tamper")
    assert code == 1, said
    assert [one["lost"] for one in rounds] == [1]
    assert "1 check-ins never reached the platform" in said
