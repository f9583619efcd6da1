"""A release goes through the fleet ring by ring; a broken one, a forged one and an old one do not."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.publisher import Publisher
from deploy.sandbox.readings import run_command
from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, StoryError, hub_command, person, shown, wrong
from protocol.release import release_of

GOOD, CRASHING, FORGED, OLD = "0.2.0", "0.3.0", "0.4.0", "0.1.5"
SLIP = 'raise RuntimeError("a slip that nobody noticed")'
ROLLOUT_S = 120.0
REFUSED_S = 15.0
POLL_S = 0.3


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Each gate is a ring of its own: the first gate gets everything first."""
    publisher = site.layout.publisher
    if publisher is None:
        raise StoryError("the gates of this site take no releases")
    outcome = Outcome()
    for ring, gate in enumerate(site.gates):
        await hub_command(site, "firmware", "ring", "--device", _device(gate), "--ring", str(ring))
    await _good(site, publisher, outcome)
    say(f"{GOOD} 已逐圈更新到所有闸机。 {GOOD} runs at every gate, ring by ring.")
    await _crashing(site, publisher, outcome)
    say(f"{CRASHING} 启动即崩溃:第一台自动退回,其余未动。 {CRASHING} crashed: the first gate went back by itself.")
    await _forged(site, publisher, outcome)
    say(f"{FORGED} 被篡改:拒绝。 {FORGED} was tampered with on the hub: refused.")
    await _old(site, outcome)
    say(f"{OLD} 比现有版本旧:拒绝。 {OLD} is older than what ran well: refused.")
    for number, gate in enumerate(site.gates):
        if (fault := wrong(await shown(site, gate, person(12_001 + number)), verdict="admit", reason="ok")) is not None:
            outcome.failures.append(f"{gate.plan.gate}: {fault}")
    if not await site.wait_settled(timeout_s=30) or not (await site.proof()).holds:
        outcome.failures.append("check-ins were lost")
    return outcome


async def _good(site: Site, publisher: Publisher, outcome: Outcome) -> None:
    """The release reaches every gate, one ring after the other."""
    publisher.release(GOOD)
    began_s = time.monotonic()
    await hub_command(site, "firmware", "import", str(publisher.published), "--root", str(publisher.root))
    status = await _rollout(site, GOOD)
    outcome.figures["rollout_s"] = round(time.monotonic() - began_s, 1)
    if status["state"] != "done":
        raise StoryError(f"the rollout of {GOOD}: {status}")
    for gate in site.gates:
        _expect(outcome, gate, after=GOOD, status=await _status(gate))
    told_ns = [_wanted_file(gate).stat().st_mtime_ns for gate in site.gates]
    if told_ns != sorted(told_ns):
        outcome.failures.append(f"the rings did not follow each other: {told_ns}")


async def _crashing(site: Site, publisher: Publisher, outcome: Outcome) -> None:
    """The first gate tries it, comes back by itself, and the rollout halts there."""
    await asyncio.to_thread(publisher.release, CRASHING, slip=SLIP)
    began_s = time.monotonic()
    await hub_command(site, "firmware", "import", str(publisher.published))
    status = await _rollout(site, CRASHING)
    outcome.figures["crashing_halted_s"] = round(time.monotonic() - began_s, 1)
    first, *others = site.gates
    failed = [(each["device"], each["reason"]) for each in status["devices"] if each["outcome"] == "failed"]
    if status["state"] != "halted" or failed != [(_device(first), "unhealthy")]:
        outcome.failures.append(f"the rollout of {CRASHING}: {status}")
    for gate in site.gates:
        _expect(outcome, gate, after=CRASHING, status=await _status(gate))
    if any(_told(gate) == release_of(CRASHING) for gate in others):
        outcome.failures.append(f"a later ring was told of {CRASHING}")
    await hub_command(site, "firmware", "cancel")


async def _forged(site: Site, publisher: Publisher, outcome: Outcome) -> None:
    """Somebody changes the bundle on the hub, after the hub has verified it."""
    await asyncio.to_thread(publisher.release, FORGED)
    await hub_command(site, "firmware", "import", str(publisher.published))
    for path in (site.layout.hub_config.parent / "firmware" / "targets").glob(f"*-{FORGED}-*"):
        _tamper(path)
    status = await _rollout(site, FORGED)
    reasons = [each["reason"] for each in status["devices"] if each["outcome"] == "failed"]
    outcome.figures["forged"] = f"{status['state']} {' '.join(reasons)}"
    if status["state"] != "halted" or reasons != ["untrusted"]:
        outcome.failures.append(f"the rollout of {FORGED}: {status}")
    _expect(outcome, site.gates[0], after=FORGED, status=await _status(site.gates[0]))
    await hub_command(site, "firmware", "cancel")


async def _old(site: Site, outcome: Outcome) -> None:
    """A hub that somebody has taken over orders a release with a known hole; the gate does not ask for it at all."""
    gate = site.gates[0]
    await hub_command(site, "command", "send", "--device", _device(gate), "update", "--version", OLD, "--wait", "10")
    failed: dict[str, Any] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REFUSED_S):
            while failed.get("release") != release_of(OLD):
                status = await _status(gate)
                failed = status["failed"] or {}
    outcome.figures["old"] = str(failed.get("failure"))
    if failed != {"release": release_of(OLD), "failure": "older"}:
        outcome.failures.append(f"{OLD} was not refused as older: {failed}")
    _expect(outcome, gate, after=OLD, status=status)


async def _rollout(site: Site, version: str) -> dict[str, Any]:
    """Stages a release and waits until it is through or halted.

    Raises:
        StoryError: neither, in time.
    """
    await hub_command(site, "firmware", "stage", "--version", version, "--soak-min", "0")
    try:
        async with asyncio.timeout(ROLLOUT_S):
            while True:
                status: dict[str, Any] = json.loads(await hub_command(site, "firmware", "status", "--json"))
                if status["version"] == version and status["state"] != "running":
                    return status
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise StoryError(f"the rollout of {version} was not over in {ROLLOUT_S:.0f} s: {status}") from error


def _device(gate: SandboxGate) -> str:
    return gate.plan.device_id.hex()


def _wanted_file(gate: SandboxGate) -> Path:
    return gate.plan.config.parent / "state" / "update" / "wanted.json"


def _told(gate: SandboxGate) -> int:
    """The release that it was told of last."""
    return int(json.loads(_wanted_file(gate).read_bytes())["release"])


async def _status(gate: SandboxGate) -> dict[str, Any]:
    """What the gate's updater says of itself."""
    command = [sys.executable, "-m", "device.update.cli", "status", "--json", "--config", str(gate.plan.config)]
    status: dict[str, Any] = json.loads(await run_command(command))
    return status


def _expect(outcome: Outcome, gate: SandboxGate, *, after: str, status: dict[str, Any]) -> None:
    """The good release is in force there, whatever was tried."""
    if (status["in_force"], status["trial"]) != (release_of(GOOD), None):
        outcome.failures.append(f"{gate.plan.gate}, after {after}: {status}")


def _tamper(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


STORY = Story(
    about="a release by rings, a crashing one that goes back by itself, a forged and an old one that are refused",
    gates=3,
    tell=tell,
    releases=True,
)
