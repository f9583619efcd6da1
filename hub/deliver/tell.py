"""Waiting deliveries -> channels: each until it went, with growing pauses, for a day at most.

A delivery's end is written down after the other side has taken it. A hub that ends between the two tells that channel
twice; it never fails to tell it.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from hub.broker.backoff import pause_s
from hub.deliver.alert_text import Message, Named, message
from hub.deliver.apprise_sender import SendError
from hub.health import Health
from hub.model import Gate, Place
from hub.store.errors import StoreError
from hub.store.live_ports import Alert, Channel, Delivery, DeliveryState, LiveStore

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 0.5
_AT_ONCE: Final = 4
_LOOKED_AT: Final = 64
"""One channel that hangs must not keep others waiting: more are looked at than are sent at once."""
_PAUSE_MOST_S: Final = 900.0
_FIRST_DOUBLING: Final = 4
"""The first pause is about 3 s: the other side has said no, so at once is too soon."""
GIVE_UP_MS: Final = 86_400_000


class Sender(Protocol):
    """Whoever reaches the outside."""

    async def send(self, url: str, message: Message) -> None:
        """Raises SendError when the other side has not taken it."""


class TellStore(LiveStore, Protocol):
    """The part of the store that is used here."""

    async def places(self) -> tuple[Place, ...]:
        """For their names."""

    async def gates(self) -> tuple[Gate, ...]:
        """The same."""


class Tell:
    """`run` it in a task.

    Args:
        store: where deliveries wait.
        sender: how they go.
        site: what the site is called.
        url: of the console; empty: none.
        timezone: in which people read times.
        health: beaten at every look; warned while somebody cannot be told.
        now_ms: the hub's clock.
    """

    def __init__(
        self,
        *,
        store: TellStore,
        sender: Sender,
        site: str,
        url: str,
        timezone: str,
        health: Health,
        now_ms: Callable[[], int],
    ) -> None:
        self._store, self._sender = store, sender
        self._site, self._url, self._zone = site, url, ZoneInfo(timezone)
        self._health, self._now_ms = health, now_ms
        self._flights: dict[int, tuple[int, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Look, send, again; ends only by cancellation."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(_LOOK_S)
        finally:
            for _, task in self._flights.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._flights.values()), return_exceptions=True)

    async def step(self) -> None:
        """Begin what is due; do not wait for it."""
        self._health.beat("tell")
        self._flights = {key: flight for key, flight in self._flights.items() if not flight[1].done()}
        try:
            due = await self._store.due_deliveries(now_ms=self._now_ms(), limit=_LOOKED_AT)
            if not due:
                return
            channels = {channel.channel_id: channel for channel in await self._store.channels()}
        except StoreError as error:
            _LOG.warning("alerts_unread", extra={"what": str(error)})
            return
        for delivery in due:
            # One at a time to each channel: they come in order, and one that hangs takes one thread, not all.
            busy = {channel for channel, _ in self._flights.values()}
            if len(self._flights) < _AT_ONCE and delivery.channel_id not in busy:
                task = asyncio.create_task(self._deliver(delivery, channels.get(delivery.channel_id)))
                self._flights[delivery.delivery_id] = (delivery.channel_id, task)

    async def settle(self) -> None:
        """Wait until nothing flies any more."""
        if self._flights:
            await asyncio.wait([task for _, task in self._flights.values()])

    async def _deliver(self, delivery: Delivery, channel: Channel | None) -> None:
        try:
            alert = await self._store.find_alert(delivery.alert_id)
            if channel is None or not channel.enabled or alert is None:
                await self._end(delivery, DeliveryState.GIVEN_UP, "the channel was switched off")
                return
            try:
                await self._sender.send(channel.url, await self._message(alert, channel))
            except SendError as error:
                await self._failed(delivery, channel, error)
                return
            await self._end(delivery, DeliveryState.SENT, "")
            self._health.warn(f"alerts to {channel.name}", None)
        except StoreError as error:  # It stays due.
            _LOG.warning("delivery_unwritten", extra={"what": str(error)})

    async def _message(self, alert: Alert, channel: Channel) -> Message:
        places = {place.place_id: place.name for place in await self._store.places()}
        gates = {(gate.place_id, gate.gate_id): gate.name for gate in await self._store.gates()}
        named = Named(
            site=self._site,
            place=places.get(alert.place_id, alert.place_id),
            gate=gates.get((alert.place_id, alert.gate_id), alert.gate_id),
        )
        return message(alert, named=named, zone=self._zone, language=channel.language, url=self._url)

    async def _failed(self, delivery: Delivery, channel: Channel, error: SendError) -> None:
        now_ms = self._now_ms()
        extra = {"delivery": delivery.delivery_id, "channel": channel.channel_id, "what": str(error)}
        _LOG.warning("alert_not_delivered", extra=extra)
        self._health.warn(f"alerts to {channel.name}", f"not delivered: {error}")
        if error.final or now_ms - delivery.made_ms >= GIVE_UP_MS:
            await self._end(delivery, DeliveryState.GIVEN_UP, str(error))
            return
        # Jitter needs no secrecy.
        wait_s = pause_s(delivery.attempts + _FIRST_DOUBLING, cap_s=_PAUSE_MOST_S, draw=random.random())  # noqa: S311
        next_try_ms = min(now_ms + round(1000 * wait_s), delivery.made_ms + GIVE_UP_MS)
        await self._store.retry_delivery(delivery.delivery_id, next_try_ms=next_try_ms, detail=str(error))

    async def _end(self, delivery: Delivery, state: DeliveryState, detail: str) -> None:
        await self._store.end_delivery(delivery.delivery_id, state=state, detail=detail, now_ms=self._now_ms())
