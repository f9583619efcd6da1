"""Platform -> gates: trust bundle, status lists, closed places. Read `Follow` first: the stream, event by event.

    stream opens ── trust, list of lists, places are fetched; every list is due
    delta        ── verified, published live, then its version; its list is due 1 s later, at most every 2 s
    heartbeat    ── verified, published live
    trace        ── whoever answers the platform's questions is woken
    list, trust, place, reset ── fetched again, or written down

An event counts as taken only when its work is done: after a failure the platform is asked for it again.
"""

import asyncio
import base64
import binascii
import json
import logging
import random
from collections.abc import Callable
from typing import Final

from hub.broker.backoff import pause_s
from hub.health import Health, Metrics
from hub.store.errors import StoreError
from hub.store.trust_ports import BelievedKind
from hub.trust.bundle import Bundle
from hub.trust.fetch import Fetch
from hub.trust.keeping import Keeping
from hub.trust.lists import Lists, Step
from hub.trust.places import PlatformPlaces
from hub.trust.ports import Board, Clock, ClosedPlace, PlatformError, Source
from hub.trust.refusals import Refusals
from hub.trust.sse import Event
from protocol import cbor, topics
from protocol.errors import LimitError, MalformedError, ProtocolError, RollbackError
from protocol.limits import PRESENCE_LISTS, STATUS_DELTA_BYTES, URI_CHARS
from protocol.statuslist import list_id

_LOG: Final = logging.getLogger(__name__)
_PAUSE_CAP_S: Final = 10.0
_WATCH_S: Final = 5.0
_AGAIN_S: Final = 600.0
"""Everything is asked for once more after this, at the cost of a few 304: no lost event does harm for longer."""


class Follow:
    """`load` it once, then `run` it in a task."""

    def __init__(
        self,
        *,
        source: Source,
        board: Board,
        bundle: Bundle,
        lists: Lists,
        fetch: Fetch,
        places: PlatformPlaces,
        keeping: Keeping,
        refusals: Refusals,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
        on_trace: Callable[[], None],
    ) -> None:
        self._source, self._board, self._bundle, self._lists = source, board, bundle, lists
        self._fetch, self._places, self._keeping, self._refusals = fetch, places, keeping, refusals
        self._health, self._metrics, self._now_ms = health, metrics, now_ms
        self._on_trace = on_trace
        self._last_id = ""
        self._complete = False
        self._trust_due = False

    async def load(self) -> None:
        """Serve what was kept, before the platform is asked. Raises StoreError."""
        rows = await self._keeping.load()
        for row in rows:
            if row.kind is BelievedKind.TRUST:
                try:
                    self._bundle.take(row.data)
                except RollbackError:  # The configuration brought a newer one.
                    pass
                except ProtocolError as error:
                    self._refusals.refused("kept trust bundle", error)
        self._bundle.announce()
        now = self._bundle.current
        self._keeping.keep(BelievedKind.TRUST, "", version=now.version, issued_s=now.issued_s, data=self._bundle.data)
        for row in rows:
            if row.kind is BelievedKind.LIST:
                await self._fetch.load(row)

    async def run(self) -> None:
        """Listen, and once more after each failure; ends only by cancellation or an error of ours."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._watch())

    async def listen_once(self) -> None:
        """One connection, from its opening to its end. Raises PlatformError or StoreError."""
        async with self._source.events(last_id=self._last_id) as events:
            self._metrics.platform_connected.set(1)
            # Without an id the platform cannot say again what was missed.
            if not self._complete or not self._last_id:
                await self._fetch_everything()
            async for event in events:
                await self.take(event)
        raise PlatformError("the platform ended the stream")

    async def take(self, event: Event) -> None:
        """One event. What cannot be believed is refused and passed over; a failure of ours raises."""
        try:
            await self._act(event)
        except ProtocolError as error:
            self._refusals.refused(f"event {event.kind:.16}", error)
        self._last_id = event.last_id

    async def _act(self, event: Event) -> None:
        match event.kind:
            case "delta":
                self._take_delta(_decode(event.data))
            case "list":
                self._take_list(event.data)
            case "trust":
                await self._fetch_trust()
            case "place":
                place, closed = _read_place(event.data)
                await self._places.mark(place, closed=closed)
            case "trace":
                self._on_trace()
            case "reset":
                self._complete = False
                await self._fetch_everything()
            case _:  # Of a later version of the platform.
                return
        self._metrics.platform_events.labels(event.kind).inc()

    def _take_delta(self, data: bytes) -> None:
        """The shortest way that there is: verify, publish, then everything else."""
        at_s = self._now_ms() // 1000
        held, delta, step = self._lists.take_delta(data, trust=self._bundle.current, at_s=at_s)
        if step in {Step.RELAY, Step.FRESH}:
            self._board.live(topics.status_delta(held.list_id), data)
            self._keeping.fresh(held.uri, version=held.version, issued_s=held.issued_s)
        if step is Step.RELAY:
            self._board.set(topics.status_version(held.list_id), cbor.encode(held.version))
            self._fetch.moved(held)
        elif step is Step.FETCH:
            _LOG.warning("delta_missed", extra={"list": held.list_id, "have": held.version, "to": delta.to_version})
            self._fetch.due(held)

    def _take_list(self, uri: str) -> None:
        cbor.text(uri, "list.uri", 1, URI_CHARS)
        if len(self._lists) >= PRESENCE_LISTS and self._lists.find(list_id(uri)) is None:
            raise LimitError("list", f"more than {PRESENCE_LISTS} lists")
        self._fetch.due(self._lists.add(uri))

    async def _fetch_everything(self) -> None:
        await self._fetch_trust()
        uris = await self._source.lists()
        if len(uris) > PRESENCE_LISTS:
            self._refusals.refused("list of lists", LimitError("list of lists", f"{len(uris)} lists"))
            uris = uris[:PRESENCE_LISTS]
        for gone in self._lists.name(uris):
            self._fetch.drop(gone)
            self._keeping.forget(gone.uri)
        for held in self._lists:
            self._fetch.due(held)
        try:
            await self._places.replace(await self._source.closed_places())
        except ProtocolError as error:
            self._refusals.refused("closed places", error)
        self._on_trace()
        self._complete = True

    async def _fetch_trust(self) -> None:
        """Deltas do not wait for it: what an older bundle does not believe is fetched again after the newer one."""
        try:
            data = await self._source.trust(version=self._bundle.current.version)
        except PlatformError as error:
            _LOG.warning("trust_not_fetched", extra={"what": str(error)})
            self._trust_due = True
            return
        self._trust_due = False
        if data is None:
            return
        try:
            changed = self._bundle.take(data)
        except ProtocolError as error:
            self._refusals.refused("trust bundle", error)
            return
        if changed:
            for lost in self._lists.recheck(self._bundle.current, at_s=self._now_ms() // 1000):
                self._board.drop(topics.status_snapshot(lost.list_id))
            for held in self._lists:
                self._fetch.due(held)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            started_s = loop.time()
            try:
                async with asyncio.timeout(_AGAIN_S):
                    await self.listen_once()
            except TimeoutError:
                self._complete = False
                continue
            except (PlatformError, StoreError) as error:
                _LOG.warning("platform_stream_over", extra={"reason": type(error).__name__, "what": str(error)})
            finally:
                self._metrics.platform_connected.set(0)
            attempt = 0 if loop.time() - started_s > _PAUSE_CAP_S else attempt + 1
            # Jitter needs no secrecy.
            await asyncio.sleep(pause_s(attempt, cap_s=_PAUSE_CAP_S, draw=random.random()))  # noqa: S311

    async def _watch(self) -> None:
        while True:
            self._health.beat("follow")
            self._bundle.watch()
            if self._trust_due:
                await self._fetch_trust()
            now_s = self._now_ms() // 1000
            self._metrics.status_lists.set(sum(1 for held in self._lists if held.data))
            self._metrics.status_age.set(max((now_s - held.issued_s for held in self._lists if held.data), default=0))
            await asyncio.sleep(_WATCH_S)


def _read_place(data: str) -> tuple[ClosedPlace, bool]:
    """The data of an event `place`."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedError("event", f"no JSON: {error}") from error
    match value:
        case {"place": str(place_id), "closed": bool(closed), **more}:
            why = more.get("why")  # Nobody needs a reason to open.
            return ClosedPlace(place_id=place_id, why=why if isinstance(why, str) else ""), closed
    raise MalformedError("event", "not {place, closed, why}")


def _decode(data: str) -> bytes:
    """Base64 of an event -> bytes."""
    if len(data) > 2 * STATUS_DELTA_BYTES:
        raise LimitError("event", f"{len(data)} characters")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("event", "not Base64") from error
