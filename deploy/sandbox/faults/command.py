"""`gatelight-sandbox faults`: seeded rounds of faults against real processes."""

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path

from deploy.sandbox.faults.ground import abilities
from deploy.sandbox.faults.plan import Kind
from deploy.sandbox.faults.report import figures, machine
from deploy.sandbox.faults.round import Round
from deploy.sandbox.faults.runner import Runner, kinds_for

ROUNDS = 20
SITES = 3


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Enters `faults`."""
    about = "let people pass while something breaks, in seeded rounds, and prove each time that nothing was lost"
    faults = commands.add_parser("faults", help=about, description=about)
    faults.add_argument("--rounds", type=int, default=ROUNDS, help=f"how many (default {ROUNDS})")
    faults.add_argument("--seed", type=int, default=0, help="of the first round; the others follow (default 0)")
    faults.add_argument("--sites", type=int, default=SITES, help=f"how many sites at once (default {SITES})")
    kinds = [kind.value for kind in Kind]
    faults.add_argument("--kind", action="append", choices=kinds, help="only this kind; may be given again")
    faults.add_argument("--dir", type=Path, help="keep sites and logs here (default: a folder that goes away)")
    faults.add_argument("--out", type=Path, help="add every round to this file, one JSON object a line")
    tamper = "in the last round, take a check-in from the platform before the proof: it must fail"
    faults.add_argument("--tamper", action="store_true", help=tamper)


async def run(arguments: argparse.Namespace) -> int:
    """All rounds; 0 when each held."""
    has = abilities()
    for missing in has.missing:
        say(f"left out: {missing}")
    allowed = kinds_for(has)
    kinds = [kind for kind in allowed if not arguments.kind or kind.value in arguments.kind]
    if not kinds:
        say("nothing is left that this machine can do")
        return 2
    rounds: list[Round] = []
    with contextlib.ExitStack() as kept:
        out = None
        if arguments.out is not None:
            out = kept.enter_context(arguments.out.open("a", encoding="utf-8"))
            out.write(json.dumps({"machine": machine()}) + "\n")

        def keep(played: Round) -> None:
            rounds.append(played)
            if out is not None:
                out.write(json.dumps(played.as_json(), ensure_ascii=False) + "\n")
                out.flush()

        folder = arguments.dir or Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="gatelight-")))
        seeds = range(arguments.seed, arguments.seed + arguments.rounds)
        runner = Runner(
            folder=folder.resolve(),
            has=has,
            say=say,
            on_round=keep,
            tamper_seed=seeds[-1] if arguments.tamper else None,
        )
        await runner.run(seeds, kinds=kinds, sites=arguments.sites)
    for line in figures([played.as_json() for played in rounds]).summary():
        say(line)
    return 0 if all(played.holds for played in rounds) else 1


def say(line: str) -> None:
    """One line, at once: whoever watches sees each round as it ends."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
