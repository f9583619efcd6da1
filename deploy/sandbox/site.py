"""A whole site: broker, platform, hub and gates, as processes, with real keys, TLS and databases.

::

    async with Site(folder, gates=2) as site:
        await site.crowd(crowd_of(100, seed=1)).run()
        site.kill("hub")
        await site.wait_settled(timeout_s=60)
        assert (await site.proof()).holds

Whatever dies unasked is started again after a second, as systemd would, and counted. `stop` ends every
process by its id; if this process dies itself, the kernel ends them.
"""

import asyncio
import contextlib
import datetime as dt
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from deploy.sandbox import updates
from deploy.sandbox.crowd import Crowd, CrowdCount, Passage
from deploy.sandbox.gate import GatePlan, SandboxGate
from deploy.sandbox.layout import Layout, Size, Surroundings, device_command, lay_out
from deploy.sandbox.people import Person
from deploy.sandbox.phone import Phones
from deploy.sandbox.platform.authority import ISSUERS
from deploy.sandbox.process import Process
from deploy.sandbox.proof import Proof, prove
from deploy.sandbox.readings import (
    ReadingError,
    get_json,
    read_gate,
    read_hub,
    read_metrics,
    read_platform,
    run_command,
)

START_S = 30.0
START_A_GATE_S = 3.0
POLL_S = 0.05
SETTLE_POLL_S = 0.3
_LONG_S = 3600.0


class SiteError(Exception):
    """The site did not come up; the message holds the log's end of the part that failed."""


class Site:
    """One site in one folder.

    Args:
        folder: empty or not there yet; gets everything, logs too.
        gates: how many.
        blank: how many more there are as from the box; they stand in `blanks`, and in `joined` too once they `join`.
        frames_per_s: how often the cameras look.
        console: whether the hub has one; its process takes seconds to start.
        releases: whether the gates take releases, which `layout.publisher` makes.
        around: what the parts run in; by default this machine, as it is.
    """

    def __init__(
        self,
        folder: Path,
        *,
        gates: int = 2,
        blank: int = 0,
        frames_per_s: float = 30.0,
        console: bool = False,
        releases: bool = False,
        around: Surroundings = Surroundings(),  # noqa: B008 -- it is frozen
    ) -> None:
        size = Size(gates=gates, blank=blank, frames_per_s=frames_per_s, console=console, releases=releases)
        self.layout: Layout = lay_out(folder, size=size, now=dt.datetime.now(dt.UTC), around=around)
        self._around = around
        layout = self.layout
        self.broker = self._part("broker", layout.broker_command)
        self.platform = self._part("platform", layout.platform_command)
        self.hub = self._part("hub", layout.hub_command)
        self.gates = [self._gate(entry.plan) for entry in layout.gates]
        self.blanks = [self._gate(plan) for plan in layout.blanks]
        self.joined: list[SandboxGate] = []
        self.count = CrowdCount()
        self._session: aiohttp.ClientSession | None = None
        self._path_units: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Starts it; nothing is left running when that fails."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _part(self, name: str, command: list[str]) -> Process:
        return Process(name=name, command=self._around.enter(name, command), log_file=self.layout.log(name))

    def _gate(self, plan: GatePlan) -> SandboxGate:
        takes_releases = self.layout.publisher is not None
        own = updates.start_command(plan) if takes_releases else device_command(plan, "run")
        command = self._around.enter(plan.gate, own)
        return SandboxGate(plan, command=command, log_file=self.layout.log(plan.gate))

    @property
    def session(self) -> aiohttp.ClientSession:
        """The sandbox's own HTTP client.

        Raises:
            SiteError: the site is not started.
        """
        if self._session is None:
            raise SiteError("the site is not started")
        return self._session

    @property
    def processes(self) -> list[Process]:
        """Every part, in the order in which they start."""
        return [self.broker, self.platform, *(gate.process for gate in (*self.gates, *self.blanks)), self.hub]

    async def start(self) -> None:
        """Starts everything; returns when people may come.

        Raises:
            SiteError: a part did not come up.
        """
        self._session = aiohttp.ClientSession()
        for process in (self.broker, self.platform):
            process.start()
        # Broker and platform come up while the operator's commands run; many gates would leave them no time to.
        await self._register()
        everyone = (*self.gates, *self.blanks)
        for process in (self.hub, *(gate.process for gate in everyone)):
            process.start()
        if self.layout.publisher is not None:
            self._path_units = [asyncio.create_task(self._units_of(gate).run()) for gate in everyone]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._until_ready(self.platform, self._answers(f"{self.layout.pages_url}/v1/summary")))
            tasks.create_task(self._until_ready(self.hub, self._answers(f"{self.layout.hub_url}/readyz")))
            for gate in everyone:
                tasks.create_task(self._until_ready(gate.process, gate.camera_ready))
            for gate in self.gates:
                tasks.create_task(self._until_informed(gate))

    async def stop(self) -> None:
        """Ends every part: gates first, so that the hub hears their last; broker and platform last."""
        everyone = (*self.gates, *self.blanks)
        for task in self._path_units:
            task.cancel()
        await asyncio.gather(*self._path_units, return_exceptions=True)
        for gate in everyone:
            await gate.close()
        await asyncio.gather(*(gate.process.stop() for gate in everyone))
        await self.hub.stop()
        await asyncio.gather(self.broker.stop(), self.platform.stop())
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self.layout.sockets != self.layout.folder:
            shutil.rmtree(self.layout.sockets, ignore_errors=True)

    def kill(self, name: str) -> None:
        """SIGKILL to `broker`, `hub`, `platform`, `device` (the first gate) or a gate by its name.

        Raises:
            ValueError: there is no such part.
        """
        wanted = self.layout.gates[0].plan.gate if name == "device" else name
        for process in self.processes:
            if process.name == wanted:
                process.kill()
                return
        raise ValueError(f"there is no {name} in this site")

    def crowd(
        self,
        people: Sequence[Person],
        *,
        rate_per_min: float = 0,
        on_passed: Callable[[Passage], None] = lambda _passage: None,
        lanes: Sequence[SandboxGate] | None = None,
    ) -> Crowd:
        """A crowd for all gates that were here from the beginning, or for `lanes`; its counters go into the proof."""
        return Crowd(
            lanes=self.gates if lanes is None else lanes,
            people=people,
            wallets=Phones(self.session, url=self.layout.pages_url),
            rate_per_min=rate_per_min,
            on_passed=on_passed,
            count=self.count,
        )

    async def join(self, gate: SandboxGate) -> None:
        """Waits until a gate as from the box is enrolled and ready; from then on it belongs to the proof."""
        while (enrolled := await gate.event("enrolled", timeout_s=_LONG_S)) is None:
            pass
        while await gate.event("ready", timeout_s=_LONG_S) is None:
            pass
        place, name = str(enrolled["place"]), str(enrolled["gate"])
        gate.plan = replace(gate.plan, device_id=bytes.fromhex(str(enrolled["device"])), place=place, gate=name)
        self.joined.append(gate)

    async def wait_settled(self, *, timeout_s: float) -> bool:
        """Waits until all spools are empty and the platform has every check-in; False when time ran out."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    if await self._settled():
                        return True
                    await asyncio.sleep(SETTLE_POLL_S)
        return False

    async def proof(self, *, written_off: Mapping[str, frozenset[int]] | None = None, sent_again: int = 0) -> Proof:
        """Reads back what every party holds and compares; `written_off` and `sent_again` are as in `prove`.

        Raises:
            readings.ReadingError: a party cannot be asked.
        """
        gates = await asyncio.gather(*(read_gate(gate) for gate in (*self.gates, *self.joined)))
        hub = await read_hub(self.layout)
        platform = await read_platform(self.session, self.layout.pages_url)
        return prove(
            gates=gates,
            hub=hub,
            platform=platform,
            crowd=self.count,
            written_off=written_off or {},
            sent_again=sent_again,
        )

    def _units_of(self, gate: SandboxGate) -> updates.PathUnits:
        log_file = self.layout.log(f"{gate.plan.gate}-update")
        return updates.PathUnits(gate.plan, restart=gate.process.restart, log_file=log_file)

    async def _settled(self) -> bool:
        """Cheap questions first: the commands cost a process each."""
        everyone = (*self.gates, *self.blanks)
        heard = {gate: max((scan.seq or 0 for scan in gate.scans), default=0) for gate in everyone}
        try:
            summary = await get_json(self.session, f"{self.layout.pages_url}/v1/summary")
            metrics = await read_metrics(self.session, self.layout.hub_url)
            if summary["distinct"] < sum(heard.values()) or summary["gaps"] or metrics["outbox_rows"]:
                return False
            gates = await asyncio.gather(*(read_gate(gate) for gate in (*self.gates, *self.joined)))
        except ReadingError:
            # A part that was killed is on its way back.
            return False
        sealed = sum(gate.head.seq for gate in gates)
        return not any(gate.depth for gate in gates) and summary["distinct"] >= sealed

    async def _register(self) -> None:
        """Enters places, gates and devices, as an operator does.

        Raises:
            SiteError: the hub's command refused.
        """
        config = ("--config", str(self.layout.hub_config))
        commands: list[tuple[str, ...]] = [("init",)]
        plans = [entry.plan for entry in self.layout.gates]
        commands += [
            ("place", "add", "--id", place, "--name", name)
            for place, name in dict.fromkeys((plan.place, plan.place_name) for plan in plans)
        ]
        commands += [("gate", "add", "--place", plan.place, "--id", plan.gate, "--name", plan.gate) for plan in plans]
        for entry in self.layout.gates:
            plan = entry.plan
            identity = ("--id", plan.device_id.hex(), "--key", str(entry.key.public))
            position = ("--place", plan.place, "--gate", plan.gate, "--direction", plan.direction)
            commands.append(("device", "add", *identity, *position))
        lines = "".join(json.dumps([*command, *config]) + "\n" for command in commands)
        try:
            await run_command([sys.executable, "-m", "deploy.sandbox.commands", "hub.cli"], stdin=lines.encode("utf-8"))
        except ReadingError as error:
            raise SiteError(str(error)) from error

    def _answers(self, url: str) -> Callable[[], Awaitable[bool]]:
        async def ask() -> bool:
            try:
                async with self.session.get(url) as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        return ask

    @property
    def _patience_s(self) -> float:
        """Processes start one after the other, however many cores there are."""
        return START_S + START_A_GATE_S * len(self.gates)

    async def _until_informed(self, gate: SandboxGate) -> None:
        """Until the gate has everything that it decides by: its policy, and every status list."""
        said: set[tuple[str, str]] = set()

        def is_news(fields: dict[str, Any]) -> bool:
            said.add((str(fields.get("what")), str(fields.get("list", ""))))
            return len(said) == 1 + len(ISSUERS)

        if await gate.event("in_force", timeout_s=self._patience_s, fits=is_news) is None:
            raise SiteError(
                f"{gate.plan.gate} was not told everything in {self._patience_s:.0f} s:\n{gate.process.tail()}"
            )

    async def _until_ready(self, process: Process, ready: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                while not await ready():
                    if process.deaths:
                        raise SiteError(f"{process.name} died at its start:\n{process.tail()}")
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise SiteError(f"{process.name} was not ready in {self._patience_s:.0f} s:\n{process.tail()}") from error
