"""Asks every party of a running site what it holds, each by its own public way in.

The gates and the hub by their command lines, the platform over HTTP.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import aiohttp

from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.layout import Layout, device_command
from deploy.sandbox.proof import ChainHead, GateReading, HubGap, HubReading, PlatformReading, PlatformRow
from protocol.checkin import GENESIS

COMMAND_S = 60.0
"""A bound for what hangs; on a busy machine a start alone may take ten."""
HTTP_S = 5.0
_HUB_PREFIX = "gatelight_hub_"


class ReadingError(Exception):
    """A party did not answer, or not as agreed."""


async def run_command(command: Sequence[str], *, stdin: bytes = b"", accepted: Sequence[int] = (0,)) -> str:
    """Runs one of the product's commands; returns its stdout. Exit codes not `accepted` are failures.

    Raises:
        ReadingError: it failed or took too long, with what it said.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            out, err = await child.communicate(stdin)
    except BaseException as error:
        if child.returncode is None:
            child.kill()
            await child.wait()
        if isinstance(error, TimeoutError):
            raise ReadingError(f"{' '.join(command[2:])} took more than {COMMAND_S} s") from error
        raise
    if child.returncode not in accepted:
        raise ReadingError(f"{' '.join(command[2:])} failed: {err.decode('utf-8', 'replace')[-500:]}")
    return out.decode("utf-8")


async def read_gate(gate: SandboxGate) -> GateReading:
    """What the gate's spool command says, with the answers that were heard.

    Raises:
        ReadingError: it cannot say.
    """
    # Code 1 says that it found faults, which stand in the object too.
    spool = _object(await run_command(device_command(gate.plan, "spool", "--json"), accepted=(0, 1)))
    head_seq = spool.get("head_seq") or 0
    return GateReading(
        name=gate.plan.gate,
        device=gate.plan.device_id.hex(),
        depth=spool["depth"],
        chain_ok=spool["chain_ok"],
        head=ChainHead(
            epoch=spool["epoch"] or "", seq=head_seq, hash=spool["head_hash"] if head_seq else GENESIS.hex()
        ),
        scans=tuple(gate.scans),
    )


async def read_hub(layout: Layout) -> HubReading:
    """The hub's own status.

    Raises:
        ReadingError: it cannot say.
    """
    command = [sys.executable, "-m", "hub.cli", "status", "--config", str(layout.hub_config), "--json"]
    return parse_hub(_object(await run_command(command)))


def parse_hub(status: dict[str, Any]) -> HubReading:
    """`gatelight-hub status --json` -> reading."""
    heads: dict[str, list[ChainHead]] = {}
    for head in status["heads"]:
        found = ChainHead(epoch=head["epoch"], seq=head["seq"], hash=head["hash"] or "")
        heads.setdefault(head["device"], []).append(found)
    gaps = [
        HubGap(device=gap["device"], from_seq=gap["from_seq"], to_seq=gap["to_seq"])
        for gap in status.get("gap_list", ())
    ]
    return HubReading(rows=status["rows"], receipted=status["rows"] - status["outbox_rows"], heads=heads, gaps=gaps)


async def read_platform(session: aiohttp.ClientSession, url: str) -> PlatformReading:
    """Every row that the platform holds.

    Raises:
        ReadingError: it does not answer.
    """
    summary = await get_json(session, f"{url}/v1/summary")
    rows: dict[tuple[str, str], list[PlatformRow]] = {}
    for chain in summary.pop("chains"):
        name = (chain["device"], chain["epoch"])
        held = rows.setdefault(name, [])
        while len(held) < chain["count"]:
            after = held[-1].seq if held else 0
            page = await get_json(session, f"{url}/v1/devices/{name[0]}/{name[1]}/checkins?after={after}")
            if not page["rows"]:
                break
            held += [PlatformRow.from_json(row) for row in page["rows"]]
    return PlatformReading(totals=summary, rows=rows)


async def read_metrics(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """The hub's counters and gauges without labels, by name without the hub's prefix.

    Raises:
        ReadingError: it does not answer.
    """
    return parse_metrics(await get_text(session, f"{url}/metrics"))


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text -> the hub's samples without labels, by name without the hub's prefix."""
    samples: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name.startswith(_HUB_PREFIX) and "{" not in name:
            with contextlib.suppress(ValueError):
                samples[name.removeprefix(_HUB_PREFIX)] = float(value)
    return samples


async def get_json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """One GET of a JSON object.

    Raises:
        ReadingError: no answer, or none that is an object.
    """
    return _object(await get_text(session, url))


async def get_text(session: aiohttp.ClientSession, url: str) -> str:
    """One GET.

    Raises:
        ReadingError: no answer, or a refusal.
    """
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=HTTP_S)) as answer:
            answer.raise_for_status()
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ReadingError(f"{url}: {error or type(error).__name__}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ReadingError(f"not JSON: {text[:200]}") from error
    if not isinstance(value, dict):
        raise ReadingError(f"not an object: {text[:200]}")
    return value
