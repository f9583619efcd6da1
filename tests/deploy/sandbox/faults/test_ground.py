"""What a machine or user cannot do is said, and left out."""

import subprocess
import sys
import time

import pytest

from deploy.sandbox.configs import LOOPBACK
from deploy.sandbox.faults import clock
from deploy.sandbox.faults.ground import Abilities, Ground, abilities
from deploy.sandbox.faults.plan import GATES, Kind
from deploy.sandbox.faults.runner import kinds_for

NOTHING = Abilities(networks=False, disks=False, clocks=False, missing=())


def test_without_root_there_are_no_networks_and_disks_and_it_is_said(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    has = abilities()
    assert (has.networks, has.disks) == (False, False)
    assert [sentence.partition(":")[0] for sentence in has.missing][:2] == [
        "cut and poor links",
        "full disks and power cuts",
    ]
    left = kinds_for(has)
    assert {Kind.CUT_LINK, Kind.POOR_LINK, Kind.FULL_DISK, Kind.POWER_CUT}.isdisjoint(left)
    assert {Kind.KILL, Kind.STALL, Kind.BROKER_WIPED, Kind.CERTIFICATE, Kind.RESTORE} <= set(left)


def test_without_a_compiler_clocks_stay_right(monkeypatch):
    monkeypatch.setattr(clock.shutil, "which", lambda _name, **_more: None)
    assert Kind.CLOCK_JUMP not in kinds_for(abilities())


def test_with_nothing_a_site_stands_on_this_machine(tmp_path):
    ground = Ground(tmp_path / "ground", number=0, gates=GATES, has=NOTHING, seed=1)
    ground.prepare()
    ground.adopt({"hub": tmp_path})
    around = ground.surroundings
    assert around.hosts == LOOPBACK
    assert around.enter("hub", ["a", "b"]) == ["a", "b"]
    assert (ground.disks, ground.clocks) == ({}, {})


@pytest.mark.skipif(clock.compiler() is None, reason="there is no C compiler")
def test_a_clock_jumps_while_its_process_runs(tmp_path):
    jumping = clock.JumpingClock(library=clock.build(tmp_path), file=tmp_path / "clock")
    source = "import sys, time\nfor _ in sys.stdin: print(int(time.time()), int(time.monotonic()), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=jumping.environment,
    ) as child:

        def ask():
            child.stdin.write("\n")
            child.stdin.flush()
            return [int(number) for number in child.stdout.readline().split()]

        for ahead_s in (0, clock.DAY_S, -clock.DAY_S, 0):
            jumping.jump(ahead_s)
            wall, mono = ask()
            assert round((wall - time.time()) / 3600) * 3600 == ahead_s
            assert abs(mono - time.monotonic()) < 3600
        child.stdin.close()
