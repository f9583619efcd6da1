"""What was not believed: each time in log and metric, and in the audit log without letting anybody flood it."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from hub.health import Health, Metrics
from hub.model import AuditEntry
from hub.store.errors import StoreError
from hub.trust.ports import Clock
from hub.trust.waiting import until_woken
from protocol.errors import ProtocolError

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 1.0
_AGAIN_MS: Final = 60_000
"""Of one reason the audit log gets one entry a minute, which says how many there were."""
_WHAT_CHARS: Final = 300


class AuditStore(Protocol):
    """The part of `hub.store.ports.RegistryStore` that is used here."""

    async def audit(self, entry: AuditEntry) -> None:
        """Write down an act that changes nothing else."""


@dataclass(slots=True, kw_only=True)
class _Tally:
    what: str
    unsaid: int
    said_ms: int


class Refusals:
    """Tell it with `refused`; `run` it in a task. There are as many tallies as kinds times reasons: few."""

    def __init__(self, *, store: AuditStore, health: Health, metrics: Metrics, now_ms: Clock) -> None:
        self._store, self._health, self._metrics, self._now_ms = store, health, metrics, now_ms
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._wake = asyncio.Event()

    def refused(self, kind: str, error: ProtocolError) -> None:
        """An object of this kind was not believed. The error's sentence holds nothing personal."""
        self.refused_for(kind, error.reason, str(error))

    def refused_for(self, kind: str, reason: str, what: str) -> None:
        """The same, for a reason that is not the protocol's."""
        what = what[:_WHAT_CHARS]
        _LOG.warning("object_refused", extra={"kind": kind, "reason": reason, "what": what})
        self._metrics.objects_refused.labels(reason).inc()
        tally = self._tallies.setdefault((kind, reason), _Tally(what=what, unsaid=0, said_ms=-_AGAIN_MS))
        tally.what = what
        tally.unsaid += 1
        self._wake.set()

    async def run(self) -> None:
        """Write down, wait, again; ends only by cancellation."""
        while True:
            self._health.beat("refusals")
            self._wake.clear()
            await self.step()
            await until_woken(self._wake, _LOOK_S)

    async def step(self) -> None:
        """Write down every tally that has something unsaid, each at most once a minute."""
        now_ms = self._now_ms()
        # Others are refused while one is written.
        for (kind, reason), tally in list(self._tallies.items()):
            # A clock that was set back must not silence it.
            if not tally.unsaid or 0 <= now_ms - tally.said_ms < _AGAIN_MS:
                continue
            count, what = tally.unsaid, tally.what
            more = f" ({count} times)" if count > 1 else ""
            entry = AuditEntry(
                at_ms=now_ms, who="hub", action="trust.refused", detail=f"{kind}: {reason}{more}: {what}"
            )
            try:
                await self._store.audit(entry)
            except StoreError as error:
                _LOG.error("refusal_not_kept", extra={"what": str(error)})
                return
            tally.unsaid -= count
            tally.said_ms = now_ms
