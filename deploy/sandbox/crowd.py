"""People -> gate cameras. Each lane takes one person after the other and waits for the gate's answer.

A person whose showing is not answered in time shows a fresh code again, as people do; that is counted.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from deploy.sandbox.people import Person, Showing
from protocol.reasons import Reason
from protocol.terms import Colour, Verdict

ANSWER_S = 4.0
SILENCE_S = 1.0
TRIES = 8
# Two codes within 150 ms are "several" to a gate, which then answers nobody; people do not overlap like that.
NEXT_PERSON_S = 0.25
# A gate calls a code gone after 700 ms without it. The same code again, and whoever was told to show only
# one, must wait for that.
GONE_S = 1.0
CAMERA_RETRY_S = 0.2
CAMERA_PATIENCE_S = 30.0
AHEAD_MAX = 8
# A code fetched ahead must be shown well before its 120 s end.
AHEAD_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One answer of a gate, from its log line. `seq` is None when nothing was recorded."""

    seq: int | None
    colour: str
    verdict: str
    reason: str
    frame_to_light_ms: float | None
    spool: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One person who is done at lane `lane`; `scan` is None when the gate said nothing."""

    person: Person
    lane: int
    scan: Scan | None


class Lane(Protocol):
    """One gate as people meet it: something to show to, and an answer to wait for."""

    async def show(self, texts: Sequence[str]) -> None:
        """Holds these codes before the camera until the next `show` or `clear`.

        Raises:
            OSError: the camera is not there.
        """

    async def clear(self) -> None:
        """Takes everything away.

        Raises:
            OSError: the camera is not there.
        """

    def forget_answers(self) -> None:
        """Drops answers that nobody waits for any more."""

    async def answer(self, *, timeout_s: float) -> Scan | None:
        """The next answer, or None in time."""


class Wallets(Protocol):
    """Where people get their codes."""

    async def texts(self, person: Person) -> tuple[str, ...]:
        """Fresh codes for one showing."""


@dataclass(slots=True, kw_only=True)
class CrowdCount:
    """What happened so far. The newest surprises are kept, for the summary."""

    people: int = 0
    shown: int = 0
    shown_again: int = 0
    unanswered: int = 0
    silent: int = 0
    as_expected: int = 0
    wrongly_admitted: int = 0
    surprises: deque[str] = field(default_factory=lambda: deque(maxlen=10))


class Crowd:
    """Drives all lanes at once until everybody has passed.

    Args:
        lanes: the gates; person i goes to lane i modulo their number.
        people: in the order of their coming.
        wallets: where codes come from.
        rate_per_min: people a minute and lane; 0 means as fast as the gate answers.
        on_passed: called after every person, when they are counted.
        count: counts on in here; a new one when there were no people before.
    """

    def __init__(
        self,
        *,
        lanes: Sequence[Lane],
        people: Sequence[Person],
        wallets: Wallets,
        rate_per_min: float = 0,
        on_passed: Callable[[Passage], None] = lambda _passage: None,
        count: CrowdCount | None = None,
    ) -> None:
        self.count = count if count is not None else CrowdCount()
        self._lanes = lanes
        self._people = people
        self._wallets = wallets
        self._gap_s = 60 / rate_per_min if rate_per_min > 0 else 0.0
        self._on_passed = on_passed

    async def run(self) -> CrowdCount:
        """Returns when the last person has passed."""
        async with asyncio.TaskGroup() as tasks:
            for lane in range(len(self._lanes)):
                tasks.create_task(self._queue_at(lane, self._people[lane :: len(self._lanes)]))
        return self.count

    async def _queue_at(self, number: int, people: Sequence[Person]) -> None:
        lane = self._lanes[number]
        ahead = AHEAD_MAX if not self._gap_s else max(1, min(AHEAD_MAX, int(AHEAD_S / self._gap_s)))
        ready: asyncio.Queue[tuple[Person, tuple[str, ...]]] = asyncio.Queue(ahead)

        async def fetch_ahead() -> None:
            for person in people:
                await ready.put((person, await self._wallets.texts(person)))

        loop = asyncio.get_running_loop()
        start_s = loop.time()
        admitted: tuple[str, ...] | None = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fetch_ahead())
            for turn in range(len(people)):
                await asyncio.sleep(start_s + turn * self._gap_s - loop.time())
                person, texts = await ready.get()
                if person.showing is Showing.BORROWED and admitted is None:
                    # Nobody was admitted here yet whose code could be borrowed: it is their own.
                    person = replace(person, showing=Showing.LIVE)
                elif person.showing is Showing.BORROWED and admitted is not None:
                    texts = admitted
                    await _leave(lane, GONE_S)
                shown, scan = await self._pass(lane, person, texts)
                if scan is not None and scan.colour == Colour.GREEN.wire_name:
                    admitted = shown
                self.count.people += 1
                self._on_passed(Passage(person=person, lane=number, scan=scan))
                told_several = scan is not None and scan.reason == Reason.SEVERAL_CODES.wire_name
                await _leave(lane, GONE_S if told_several else NEXT_PERSON_S)

    async def _pass(self, lane: Lane, person: Person, texts: tuple[str, ...]) -> tuple[tuple[str, ...], Scan | None]:
        """One person until they are answered; returns what was shown last, and the answer."""
        silent_is_right = person.expected.silent
        for attempt in range(TRIES):
            if attempt:
                await _leave(lane, GONE_S)
                self.count.shown_again += 1
                if person.showing is not Showing.BORROWED:
                    texts = await self._wallets.texts(person)
            lane.forget_answers()
            if not await _hold_up(lane, texts):
                break
            self.count.shown += 1
            scan = await lane.answer(timeout_s=SILENCE_S if silent_is_right else ANSWER_S)
            if scan is None and silent_is_right:
                self.count.silent += 1
                self.count.as_expected += 1
                return texts, None
            if scan is None or (scan.reason == Reason.SEVERAL_CODES.wire_name and len(texts) == 1):
                # Not answered, or told to show only one: they step back and show a fresh one.
                continue
            self._compare(person, scan)
            return texts, scan
        self.count.unanswered += 1
        self._surprise(person, "was never answered")
        return texts, None

    def _compare(self, person: Person, scan: Scan) -> None:
        expected = person.expected
        wanted = (expected.colour.wire_name, expected.verdict.wire_name, expected.reason.wire_name)
        got = (scan.colour, scan.verdict, scan.reason)
        if got == wanted or (expected.silent and scan.seq is None):
            self.count.as_expected += 1
            return
        if scan.verdict == Verdict.ADMIT.wire_name:
            self.count.wrongly_admitted += 1
        self._surprise(person, f"got {'/'.join(got)} instead of {'/'.join(wanted)}")

    def _surprise(self, person: Person, what: str) -> None:
        self.count.surprises.append(f"person {person.number} ({person.showing}) {what}")


async def _hold_up(lane: Lane, texts: Sequence[str]) -> bool:
    """Shows, waiting for a gate that is being restarted; False when its camera stays away."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + CAMERA_PATIENCE_S
    while True:
        try:
            await lane.show(texts)
            return True
        except OSError:
            if loop.time() > give_up_s:
                return False
            await asyncio.sleep(CAMERA_RETRY_S)


async def _leave(lane: Lane, pause_s: float) -> None:
    """Empties the view, and keeps it empty for so long."""
    try:
        await lane.clear()
    except OSError:
        # A gate without a camera sees nothing either.
        return
    await asyncio.sleep(pause_s)
