"""The whole site from its command line, as `make demo` runs it: it proves itself, and leaves nothing behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.sandbox import cli
from deploy.sandbox.cli import main
from deploy.sandbox.people import crowd_of
from deploy.sandbox.site import Site, SiteError

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.sockets]

TIMEOUT_S = 120


def sandbox(*options):
    return [sys.executable, "-m", "deploy.sandbox.cli", "up", *map(str, options)]


def processes_of(folder):
    """Every process whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and int(entry.name) != os.getpid() and os.fsencode(folder) in line:
            found.append(line)
    return found


def test_a_run_with_a_kill_proves_itself_and_leaves_no_process(tmp_path):
    folder = tmp_path / "site"
    options = ("--gates", 2, "--people", 24, "--once", "--kill", "platform", "--json", "--dir", folder)
    done = subprocess.run(sandbox(*options), capture_output=True, timeout=TIMEOUT_S, check=False)
    proof = json.loads(done.stdout)
    assert done.returncode == 0, proof
    assert (proof["people"], proof["lost"], proof["doubled"], proof["differing"]) == (24, 0, 0, 0)
    assert proof["sealed"] == proof["stored"] == proof["receipted"] > 20
    assert processes_of(folder) == []


def test_ctrl_c_ends_everything(tmp_path):
    folder = tmp_path / "site"
    with subprocess.Popen(sandbox("--gates", 1, "--dir", folder), stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if "people=" in line:
                break
        assert processes_of(folder)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 0
    assert processes_of(folder) == []


async def test_a_part_that_cannot_start_is_named_with_its_log(tmp_path):
    site = Site(tmp_path / "site", gates=1)
    site.layout.hub_config.write_text('surprise = "x"\n')
    with pytest.raises(SiteError, match="surprise"):
        async with site:
            pass
    assert await asyncio.to_thread(processes_of, tmp_path / "site") == []


async def test_the_site_can_be_driven_from_a_test(tmp_path):
    async with Site(tmp_path / "site", gates=1) as site:
        await site.crowd(crowd_of(3, seed=5)).run()
        site.kill("device")
        await site.crowd(crowd_of(3, seed=6)).run()
        assert await site.wait_settled(timeout_s=60)
        proof = await site.proof()
        with pytest.raises(ValueError):
            site.kill("nobody")
    assert proof.holds, proof.problems
    assert proof.people == 6
    assert site.gates[0].process.kills == 1


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path, capsys):
    (tmp_path / "letter").write_text("dear")
    assert main(["up", "--gates", "1", "--once", "--dir", str(tmp_path)]) == 2
    assert f"{tmp_path} is not empty" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize(
    "options", [["--gates", "0"], ["--gates", "65"], ["--kill", "nobody"], ["--people", "0"], ["--gates", "x"]]
)
def test_senseless_options_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        main(["up", *options])
    assert "error" in capsys.readouterr().err


def test_without_an_end_people_come_at_a_pace_that_can_be_watched():
    plan = cli._plan(cli._parser().parse_args(["up"]))
    assert (plan.people, plan.rate_per_min) == (None, cli.WATCHING_RATE_PER_MIN)
    plan = cli._plan(cli._parser().parse_args(["up", "--once"]))
    assert (plan.people, plan.rate_per_min) == (cli.ONCE_PEOPLE, 0.0)
