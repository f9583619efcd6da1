"""The exit code is the verdict."""

import argparse

import pytest

from deploy.sandbox.faults import command
from deploy.sandbox.faults.plan import Kind, blow_of
from deploy.sandbox.faults.round import Round
from deploy.sandbox.faults.runner import Runner


def arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_command(parser.add_subparsers())
    return parser.parse_args(["faults", *words])


@pytest.mark.parametrize(("why", "code"), [((), 0), (("G1: 1 check-ins never reached the platform",), 1)])
async def test_one_bad_round_is_a_bad_run(monkeypatch, capsys, tmp_path, why, code):
    async def run(self, seeds, *, kinds, sites):
        for seed in seeds:
            found = Round.broken(blow_of(seed, kinds=kinds), "").as_json()
            self.on_round(Round(**{**found, "failures": why if seed == seeds[-1] else ()}))

    monkeypatch.setattr(Runner, "run", run)
    out = tmp_path / "out"
    assert await command.run(arguments("--rounds", "3", "--kind", Kind.KILL, "--out", str(out))) == code
    assert len(out.read_text().splitlines()) == 4
    assert f"3 rounds, {code} failed" in capsys.readouterr().out
