"""`make faults` in small: a few rounds against real processes, and that it can fail.

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


def test_faults_take_and_rounds_hold_and_a_check_in_that_the_platform_loses_is_found(tmp_path):
    """One run for all three: a site takes its time to start. The last round is tampered with."""
    out = tmp_path / "rounds.jsonl"
    kinds = [word for kind in QUICK for word in ("--kind", kind)]
    rounds = ["--rounds", str(len(QUICK)), "--sites", "1", "--tamper", "--out", str(out)]
    command = [sys.executable, "-m", "deploy.sandbox.cli", "faults", *rounds, *kinds]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    said = done.stdout + done.stderr
    machine, *played = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert machine["machine"]["python"]
    assert [one["kind"] for one in played] == QUICK, said
    assert all(one["effect"] != "no effect" and one["checkins"] > 0 for one in played), said
    assert all(one["failures"] == [] for one in played[:-1]), said
    assert [one["lost"] for one in played] == [0] * (len(QUICK) - 1) + [1], said
    assert "1 check-ins never reached the platform" in said
    assert done.returncode == 1, said
