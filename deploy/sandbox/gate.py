"""One gate as the sandbox meets it: a process, its camera's socket, and the lines that it logs."""

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.sandbox.crowd import Scan
from deploy.sandbox.process import Process

REPLY_S = 2.0
REPLY_BYTES = 4_096
RECENT_SCANS = 200
EVENTS_KEPT = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """Where one gate stands and how it is reached. `device_id` is empty for a gate as from the box."""

    device_id: bytes
    place: str
    place_name: str
    gate: str
    direction: str
    config: Path
    camera_socket: Path


class SandboxGate:
    """A gate's process with everything it has said. Satisfies `crowd.Lane`.

    `scans` keeps every answer of the run: the proof compares each with the platform's row.
    """

    def __init__(self, plan: GatePlan, *, command: list[str], log_file: Path) -> None:
        self.plan = plan
        self.scans: list[Scan] = []
        self.colours: Counter[str] = Counter()
        self.recent_s: deque[float] = deque(maxlen=RECENT_SCANS)
        self.process = Process(name=plan.gate, command=command, log_file=log_file, on_line=self._hear)
        self._answers: asyncio.Queue[Scan] = asyncio.Queue()
        self._events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=EVENTS_KEPT)
        self._event_number = 0
        self._news = asyncio.Event()
        self._link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def show(self, texts: Sequence[str]) -> None:
        """Holds these codes before the camera.

        Raises:
            OSError: the camera is not there.
        """
        await self._tell({"show": texts[0] if len(texts) == 1 else list(texts)})

    async def clear(self) -> None:
        """Takes everything away.

        Raises:
            OSError: the camera is not there.
        """
        await self._tell({"clear": True})

    async def warm(self, temperature_cc: int | None) -> None:
        """Whoever stands there from now on has this temperature, in 0.01 °C; None: the sensor does not answer.

        Raises:
            OSError: the camera is not there.
        """
        await self._tell({"temperature_cc": temperature_cc})

    async def press(self, *, down: bool) -> None:
        """The attendant's finger on the button, or off it.

        Raises:
            OSError: the camera, by which it is reached, is not there.
        """
        await self._tell({"button": down})

    def forget_answers(self) -> None:
        """Drops answers that nobody waits for any more."""
        while not self._answers.empty():
            self._answers.get_nowait()

    async def answer(self, *, timeout_s: float) -> Scan | None:
        """The next answer, or None in time."""
        try:
            # Not `asyncio.wait_for`, which Python 3.11 may let swallow a cancellation: nothing would end these people.
            async with asyncio.timeout(timeout_s):
                return await self._answers.get()
        except TimeoutError:
            return None

    def mark(self) -> int:
        """Now, for `event`."""
        return self._event_number

    async def event(
        self,
        name: str,
        *,
        timeout_s: float,
        after: int = 0,
        fits: Callable[[dict[str, Any]], bool] = lambda _fields: True,
    ) -> dict[str, Any] | None:
        """The first line of its log with this event, said after a `mark`, that fits; None when none came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    self._news.clear()
                    for number, fields in self._events:
                        if number > after and fields.get("event") == name and fits(fields):
                            return fields
                    await self._news.wait()
        return None

    def last(self, name: str) -> dict[str, Any] | None:
        """The newest line of its log with this event."""
        return next((fields for _, fields in reversed(self._events) if fields.get("event") == name), None)

    def times_since(self, mark: int) -> list[int]:
        """The times (ms since 1970) that its log has named since a `mark`, as its own clock had them."""
        times = (fields.get("at_ms") for number, fields in self._events if number > mark)
        return [at_ms for at_ms in times if isinstance(at_ms, int)]

    async def camera_ready(self) -> bool:
        """Whether the camera takes commands, which is when people may come."""
        try:
            await self.clear()
        except OSError:
            return False
        return True

    async def close(self) -> None:
        """Lets go of the camera."""
        link, self._link = self._link, None
        if link is not None:
            link[1].close()
            with contextlib.suppress(OSError):
                await link[1].wait_closed()

    async def _tell(self, command: dict[str, object]) -> None:
        try:
            if self._link is None:
                self._link = await asyncio.open_unix_connection(str(self.plan.camera_socket), limit=REPLY_BYTES)
            reader, writer = self._link
            writer.write(json.dumps(command).encode("utf-8") + b"\n")
            await writer.drain()
            async with asyncio.timeout(REPLY_S):
                reply = json.loads(await reader.readline() or b"null")
        except (OSError, ValueError) as error:
            await self.close()
            raise ConnectionError(f"{self.plan.gate}: the camera is away: {error}") from error
        if not isinstance(reply, dict) or reply.get("ok") is not True:
            await self.close()
            raise ConnectionError(f"{self.plan.gate}: the camera said {reply!r}")

    def _hear(self, line: str) -> None:
        fields = parse_event(line)
        if fields is None:
            return
        self._event_number += 1
        self._events.append((self._event_number, fields))
        self._news.set()
        scan = scan_of(fields)
        if scan is None:
            return
        self.scans.append(scan)
        self.colours[scan.colour] += 1
        self.recent_s.append(asyncio.get_running_loop().time())
        self._answers.put_nowait(scan)


def parse_event(line: str) -> dict[str, Any] | None:
    """A log line -> its fields; None for every other line."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and isinstance(fields.get("event"), str) else None


def scan_of(fields: dict[str, Any]) -> Scan | None:
    """The fields of a scan; None for every other event."""
    if fields["event"] != "scan":
        return None
    seq, spool = fields.get("seq"), fields.get("spool")
    # The time of a look-up is not the gate's own.
    light_ms = fields.get("frame_to_light_ms") if fields.get("scheme", "gatelight") == "gatelight" else None
    return Scan(
        seq=seq if isinstance(seq, int) else None,
        colour=str(fields.get("colour")),
        verdict=str(fields.get("verdict")),
        reason=str(fields.get("reason")),
        frame_to_light_ms=float(light_ms) if isinstance(light_ms, int | float) else None,
        spool=spool if isinstance(spool, int) else None,
    )
