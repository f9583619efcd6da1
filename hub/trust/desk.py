"""What attendants ask -> platform -> its signed answer. The hub can read neither, and forgets by the receipt only.

A registration is kept before the platform is asked. When it does not answer at once, the attendant is told that it is
kept, and `run` delivers it later. A look-up is asked once and never kept.

A visit counts at its gate with the colours that the attendant was shown: those of the answer, or grey when it came
later. What is held at a gate counts as held here.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from hub.broker.backoff import pause_s
from hub.health import Health, Metrics
from hub.model import MinuteCount
from hub.registry.changes import Operator
from hub.store.desk_ports import DeskStore, DeskVisit, VisitState
from hub.store.errors import StoreError
from hub.trust.bundle import Bundle
from hub.trust.ports import Clock, PlatformError, PlatformRefusedError, Source
from hub.trust.refusals import Refusals
from protocol.desk import Ask, SealedQuestion, read_question
from protocol.desk_answer import Receipt, open_receipt
from protocol.errors import MalformedError, ProtocolError
from protocol.terms import Colour, Direction, Verdict

_LOG: Final = logging.getLogger(__name__)
WAITING_MOST: Final = 10_000
"""40 MB of sealed registrations: a day of ten busy desks without the platform."""
_ROUND: Final = 16
_LOOK_S: Final = 1.0
_PAUSE_MOST_S: Final = 60.0
_DOUBTED_MS: Final = 60_000
"""After an answer that cannot be believed: others go first."""
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
_VERDICTS: Final = {Colour.GREEN: Verdict.ADMIT, Colour.RED: Verdict.REFUSE}

Handler = Callable[[Operator, dict[str, Any], bytes], Awaitable[bytes]]


class _DoubtedError(Exception):
    """The platform's answer cannot be believed."""


class Desk:
    """`errands` are asked of it; `run` it in a task.

    Args:
        store: where registrations wait.
        source: the platform.
        bundle: the keys that may sign answers.
        refusals: where answers are written down that cannot be believed.
        refused_h: how long a registration is kept that the platform does not take.
        health: beaten by `run`.
        metrics: counts answers.
        now_ms: the hub's clock.
        draw: jitter, 0 to 1.
    """

    def __init__(
        self,
        *,
        store: DeskStore,
        source: Source,
        bundle: Bundle,
        refusals: Refusals,
        refused_h: int,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._source, self._bundle, self._refusals = store, source, bundle, refusals
        self._refused_ms = refused_h * _HOUR_MS
        self._health, self._metrics, self._now_ms, self._draw = health, metrics, now_ms, draw
        self._asking: set[bytes] = set()
        """Registrations that an attendant waits for just now."""

    @property
    def errands(self) -> dict[str, Handler]:
        """Handlers by kind. The data is a sealed question, the answer the platform's, as it signed it.

        `desk.register`: an empty answer says that the registration is kept, and will be delivered.
        `desk.look-up`: PlatformError when nothing can be known now.
        Both: PlatformRefusedError when the platform does not take what was sealed.
        """
        return {"desk.register": self._register, "desk.look-up": self._look_up}

    async def run(self) -> None:
        """Deliver what waits; ends only by cancellation or an error of ours."""
        failures = 0
        while True:
            self._health.beat("desk")
            try:
                reached = await self.deliver()
                await self._store.forget_refused(closed_before_ms=self._now_ms() - self._refused_ms)
                self._metrics.desk_waiting.set(await self._store.visits_waiting())
            except StoreError as error:
                _LOG.error("desk_failed", extra={"what": str(error)})
                reached = False
            failures = 0 if reached else failures + 1
            await self._wait(_LOOK_S if reached else pause_s(failures, cap_s=_PAUSE_MOST_S, draw=self._draw()))

    async def deliver(self) -> bool:
        """Each visit that is due, once. False: the platform could not be reached. Raises StoreError."""
        for visit in await self._store.waiting_visits(now_ms=self._now_ms(), limit=_ROUND):
            if visit.sealed is None or visit.visit_id in self._asking:
                continue
            try:
                _, receipt = await self._ask(read_question(visit.sealed))
            except PlatformRefusedError as error:
                await self._refuse(visit, error)
            except PlatformError as error:
                _LOG.warning("desk_waits", extra={"what": str(error)})
                return False
            except _DoubtedError:
                await self._store.retry_visit(visit.visit_id, next_try_ms=self._now_ms() + _DOUBTED_MS)
            else:
                await self._settle(visit, receipt, shown=False)
        return True

    async def _register(self, operator: Operator, _args: dict[str, Any], data: bytes) -> bytes:
        question = _question(data, Ask.REGISTRATION)
        self._asking.add(question.id)
        try:
            visit = await self._store.keep_visit(
                DeskVisit(
                    visit_id=question.id,
                    place_id=question.place,
                    gate_id=question.gate,
                    who=operator.who,
                    kept_ms=operator.now_ms,
                    sealed=data,
                ),
                waiting_most=WAITING_MOST,
                audit=operator.entry("desk.register", f"{question.place}/{question.gate}"),
            )
            return await self._register_now(visit, question)
        finally:
            self._asking.discard(question.id)

    async def _register_now(self, visit: DeskVisit, question: SealedQuestion) -> bytes:
        try:
            answer, receipt = await self._ask(question)
        except PlatformRefusedError as error:
            await self._refuse(visit, error)
            raise
        except PlatformError as error:
            _LOG.warning("desk_kept", extra={"what": str(error)})
            return b""
        except _DoubtedError:
            return b""
        await self._settle(visit, receipt, shown=True)
        return answer

    async def _look_up(self, _operator: Operator, _args: dict[str, Any], data: bytes) -> bytes:
        try:
            answer, _ = await self._ask(_question(data, Ask.LOOK_UP))
        except _DoubtedError as error:
            raise PlatformError("an answer that cannot be believed") from error
        return answer

    async def _ask(self, question: SealedQuestion) -> tuple[bytes, Receipt]:
        """Raises PlatformError, or _DoubtedError for an answer that cannot be believed."""
        asked = question.ask.wire_name
        try:
            answer = await self._source.desk(question.data)
            receipt = open_receipt(
                answer, trust=self._bundle.current, at_s=self._now_ms() // 1000, id=question.id, ask=question.ask
            )
        except PlatformRefusedError:
            self._metrics.desk.labels(asked, "refused").inc()
            raise
        except PlatformError:
            self._metrics.desk.labels(asked, "failed").inc()
            raise
        except ProtocolError as error:
            self._metrics.desk.labels(asked, "doubted").inc()
            self._refusals.refused("desk answer", error)
            raise _DoubtedError from error
        self._metrics.desk.labels(asked, "answered").inc()
        return answer, receipt

    async def _settle(self, visit: DeskVisit, receipt: Receipt, *, shown: bool) -> None:
        counts = visit_counts(visit, receipt, shown=shown)
        await self._store.settle_visit(visit.visit_id, counts=counts, now_ms=self._now_ms())

    async def _refuse(self, visit: DeskVisit, error: PlatformRefusedError) -> None:
        _LOG.error("desk_refused", extra={"what": str(error)})
        if visit.state is VisitState.WAITING:
            await self._store.refuse_visit(visit.visit_id, reason=str(error), now_ms=self._now_ms())

    async def _wait(self, seconds: float) -> None:
        while seconds > 0:
            self._health.beat("desk")
            await asyncio.sleep(min(seconds, 5.0))
            seconds -= 5.0


def visit_counts(visit: DeskVisit, receipt: Receipt, *, shown: bool) -> tuple[MinuteCount, ...]:
    """A visit -> what is added to the counts of its gate; grey where nothing else was `shown` at the desk."""
    colours = Counter(receipt.colours if shown else (Colour.GREY,) * len(receipt.colours))
    return tuple(
        MinuteCount(
            minute=visit.kept_ms // _MINUTE_MS,
            place_id=visit.place_id,
            gate_id=visit.gate_id,
            colour=colour,
            verdict=_VERDICTS.get(colour, Verdict.HOLD),
            direction=receipt.direction or Direction.IN,
            n=n,
        )
        for colour, n in sorted(colours.items())
    )


def _question(data: bytes, ask: Ask) -> SealedQuestion:
    question = read_question(data)
    if question.ask is not ask:
        raise MalformedError("desk question.ask", f"not a {ask.wire_name}")
    return question
