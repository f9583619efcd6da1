"""`gatelight-sandbox up`: a whole site on this machine, until Ctrl-C or until it has proved itself. `simulate`: one by
simulated time, with faults drawn from a seed.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from deploy.sandbox.broker import BrokerMissingError
from deploy.sandbox.counters import watched
from deploy.sandbox.faults import command as faults
from deploy.sandbox.faults.ground import go_inside
from deploy.sandbox.proof import Proof
from deploy.sandbox.readings import ReadingError
from deploy.sandbox.run import Run, RunPlan
from deploy.sandbox.simulator import command as simulator
from deploy.sandbox.site import Site, SiteError
from deploy.sandbox.stories import STORIES
from deploy.sandbox.stories.story import StoryError
from deploy.sandbox.summary import summary_table
from deploy.sandbox.tryout import try_out
from deploy.sandbox.view import SiteView

KILLABLE = ("device", "broker", "hub", "platform")
GATES = 2
GATES_MAX = 64
INTERRUPTED = 130
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONCE_PEOPLE = 100
# At this pace one can watch the lights; `--once` goes as fast as the gates answer.
WATCHING_RATE_PER_MIN = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and runs; 0 right, 1 something was lost or failed, 2 cannot start, 130 not proved."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "simulate":
        return simulator.run(arguments)
    if arguments.command == "faults":
        go_inside(sys.argv[1:] if argv is None else argv)
        try:
            return asyncio.run(faults.run(arguments))
        except KeyboardInterrupt:
            return INTERRUPTED
    # The result goes to stdout; with --json nothing else does.
    console = Console(stderr=arguments.json)
    try:
        return asyncio.run(_up(arguments, console) if arguments.story is None else _tell(arguments, console))
    except StoryError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except (BrokerMissingError, FileExistsError, SiteError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except ReadingError as error:
        console.print(f"the site cannot be asked: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


async def _up(arguments: argparse.Namespace, console: Console) -> int:
    with contextlib.ExitStack() as folders:
        folder = arguments.dir or Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="gatelight-")))
        started_s = asyncio.get_running_loop().time()
        console.print("闸光站点启动中… Starting a Gatelight site…", style="dim")
        blank = 0 if arguments.once else 1
        site = Site(folder.resolve(), gates=arguments.gates or GATES, blank=blank, console=True)
        async with site, watched(site) as counters, try_out(site) as steps:
            view = SiteView(site, counters=counters, console=console)
            took_s = asyncio.get_running_loop().time() - started_s
            view.note(f"就绪 ready in {took_s:.1f} s · 平台页面 pages {site.layout.pages_url}")
            view.steps(steps)
            run = Run(site, plan=_plan(arguments), on_passed=view.passed, say=view.note)
            showing = asyncio.create_task(view.show())
            try:
                proof = await _drive(run, seconds=arguments.seconds)
            finally:
                showing.cancel()
                await asyncio.gather(showing, return_exceptions=True)
            restarts = {process.name: process.deaths for process in site.processes if process.deaths}
    if proof is None:
        return INTERRUPTED
    return _report(proof, restarts=restarts, as_json=arguments.json, console=console)


async def _tell(arguments: argparse.Namespace, console: Console) -> int:
    """One story, from an empty folder to its figures. 0 when everything was as it must be."""
    story = STORIES[arguments.story]

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    with contextlib.ExitStack() as folders:
        folder = arguments.dir or Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="gatelight-")))
        gates = arguments.gates or story.gates
        say(f"{arguments.story}: {story.about}")
        async with story.site(folder.resolve(), gates=gates) as site:
            say(f"就绪 ready: {gates + story.blank} 个闸机 gates")
            outcome = await story.tell(site, say)
    if arguments.json:
        result = {"story": arguments.story, **outcome.figures, "failures": outcome.failures, "holds": outcome.holds}
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        return 0 if outcome.holds else 1
    for name, value in outcome.figures.items():
        say(f"  {name:28} {value}")
    for failure in outcome.failures:
        console.print(f"  ✗ {failure}", style="red", markup=False, highlight=False)
    say("成立 holds" if outcome.holds else "不成立 does not hold")
    return 0 if outcome.holds else 1


async def _drive(run: Run, *, seconds: float | None) -> Proof | None:
    """People until they are through, the time is over, or Ctrl-C; then the proof. None after a second Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    people = asyncio.create_task(run.people())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({people, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if people.done():
            people.result()
        people.cancel()
        await asyncio.gather(people, return_exceptions=True)
        if stop.is_set():
            stop.clear()
            stopping = asyncio.create_task(stop.wait())
        proving = asyncio.create_task(run.settle_and_prove())
        await asyncio.wait({proving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if proving.done():
            return proving.result()
        proving.cancel()
        await asyncio.gather(proving, return_exceptions=True)
        return None
    finally:
        people.cancel()
        stopping.cancel()
        await asyncio.gather(people, stopping, return_exceptions=True)
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)


def _plan(arguments: argparse.Namespace) -> RunPlan:
    rate = arguments.rate
    if rate is None:
        rate = 0.0 if arguments.once else WATCHING_RATE_PER_MIN
    people = arguments.people
    if people is None and arguments.once:
        people = ONCE_PEOPLE
    return RunPlan(people=people, rate_per_min=rate, kill=arguments.kill, seed=arguments.seed)


def _report(proof: Proof, *, restarts: dict[str, int], as_json: bool, console: Console) -> int:
    holds = proof.holds and not restarts
    if as_json:
        sys.stdout.write(json.dumps({**proof.as_json(), "died_unasked": restarts, "holds": holds}) + "\n")
    else:
        console.print(summary_table(proof, restarts=restarts))
    return 0 if holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gatelight-sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a site and let people come")
    up.add_argument("--gates", type=_whole(1, GATES_MAX), help=f"how many gates (default {GATES}; a story has its own)")
    up.add_argument("--people", type=_whole(1, 1_000_000), help=f"how many come (--once: {ONCE_PEOPLE}; else no end)")
    up.add_argument("--rate", type=float, help="people a minute and gate; 0: as fast as the gate answers")
    up.add_argument("--seconds", type=float, help="stop letting people in after this time")
    up.add_argument("--once", action="store_true", help="end by itself when everybody has passed")
    up.add_argument("--kill", choices=KILLABLE, help="SIGKILL this part when half of the people have passed")
    about = "; ".join(f"{name}: {story.about}" for name, story in STORIES.items())
    up.add_argument("--story", choices=sorted(STORIES), help=f"let one thing happen, say its times, and end. {about}")
    up.add_argument("--seed", type=int, default=1, help="who comes, and in which order (default 1)")
    up.add_argument("--dir", type=Path, help="keep the site's files and logs here (default: a folder that goes away)")
    up.add_argument("--json", action="store_true", help="the summary as one line of JSON")
    simulator.add_command(commands)
    faults.add_command(commands)
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"not {least} to {most}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
