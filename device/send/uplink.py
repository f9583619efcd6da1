"""The slow thread: spool -> hub, and the hub's receipts -> spool (PROTOCOL §6).

It owns the connection and the go-back-N machine, and alone reads and forgets in the spool. Nothing that happens
here makes the gate wait. `work` is the whole of it, and says each time how long there is nothing to do: the thread
sleeps for that long, a simulator lets its own clock go on. What other threads say goes by the outbox; what comes down
besides receipts goes to the downlink, in turns so short that receipts never wait behind a status list. This file is
longer than most, for what may happen on a connection is best read on one page.
"""

import logging
import threading
from collections.abc import Callable, Generator, Hashable, Iterable
from dataclasses import dataclass, field, replace

from device.model import StorageError
from device.send.backoff import Backoff
from device.send.bulletin import Bulletin
from device.send.feed import Feed, Silence
from device.send.gobackn import GoBackN, LinkState, fill
from device.send.outbox import Entry, Outbox
from device.send.ports import (
    Acknowledged,
    Downlink,
    Event,
    Missed,
    OpenWire,
    Oversized,
    Received,
    Refused,
    Up,
    WireError,
    WirePort,
)
from device.send.receipts import read_hub_presence, read_receipt
from device.send.spool import ReceiptFit, Spool
from device.send.status import UplinkStatus, Versions
from protocol import topics
from protocol.checkin import encode_message
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey

_LOG = logging.getLogger(__name__)
_RECONNECT_FIRST_MS = 1_000
_RECONNECT_BOUND_MS = 60_000
_LET_IN_MS = 10_000
"""A broker that takes the connection and then says nothing is left."""

_STEADY_MS = 10_000
"""A connection that held this long, or brought a receipt, makes the next wait short again."""

_TIDY_MS = 5_000
_WAKE_MS = 1_000
"""Whatever ends without a sign is noticed within this."""


@dataclass(slots=True)
class _Connection:
    """What belongs to one connection and ends with it."""

    wire: WirePort
    feed: Feed
    opened_ms: int
    up_ms: int | None = None
    mids: set[int] = field(default_factory=set)
    """The numbers of check-in messages that the broker has not acknowledged yet."""


class Uplink:
    """Sends what the spool holds, as long as it holds something.

    Args:
        device: this device's id, 8 bytes.
        spool: appended to by the scan thread, read and forgotten here.
        hub_keys: whoever may sign receipts.
        open_wire: makes a connection.
        firmware: this firmware's version, for the presence.
        versions: what is in force now.
        health: makes the health message (CBOR).
        now_ms: ms since 1970.
        mono_ms: ms on a clock that only goes forward.
        random: a float in [0, 1), for jitter.
        random_bytes: for the session of each presence.
        downlink: reads everything but receipts and the hub's presence; without one, nothing else is subscribed to.
        outbox: what other threads want said.
        condition: what health is sent for at once when it is another than before.
        wants_time: whether the hub is to be asked for the time, by another presence.
        asked: told the session of each presence that was published.

    Attributes:
        failure: what ended the thread though nobody asked, e.g. a disk that cannot be read; the process must then
            end, and start again with the check of the spool.
    """

    def __init__(
        self,
        *,
        device: bytes,
        spool: Spool,
        hub_keys: Iterable[VerifyKey],
        open_wire: OpenWire,
        firmware: str,
        versions: Callable[[], Versions],
        health: Callable[[], bytes],
        now_ms: Callable[[], int],
        mono_ms: Callable[[], int],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        downlink: Downlink | None = None,
        outbox: Outbox | None = None,
        condition: Callable[[], Hashable] = lambda: None,
        wants_time: Callable[[], bool] = lambda: False,
        asked: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.failure: Exception | None = None
        self._device = device
        self._spool = spool
        self._hub_keys = {key.kid: key for key in hub_keys}
        self._open_wire = open_wire
        self._downlink = downlink or Silence()
        self._outbox = outbox or Outbox(mono_ms=mono_ms)
        self._bulletin = Bulletin(
            device=device,
            spool=spool,
            firmware=firmware,
            versions=versions,
            health=health,
            condition=condition,
            wants_time=wants_time,
            asked=asked,
            random_bytes=random_bytes,
            mono_ms=mono_ms,
        )
        self._now_ms = now_ms
        self._mono_ms = mono_ms
        self._backoff = Backoff(first_ms=_RECONNECT_FIRST_MS, bound_ms=_RECONNECT_BOUND_MS, random=random)
        self._link = GoBackN(oldest=spool.oldest, newest=spool.newest, random=random)
        self._status = UplinkStatus()
        self._tidied_ms = mono_ms()
        self._wake = threading.Event()
        self._outbox.on_put(self._wake.set)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    @property
    def status(self) -> UplinkStatus:
        """The counters at this moment; for any thread."""
        return replace(self._status)

    def start(self) -> None:
        """Starts the thread, once."""
        self._thread.start()

    def appended(self) -> None:
        """The spool has grown, or something is worth looking at. Returns at once; for any thread."""
        self._wake.set()

    def stop(self, *, timeout_s: float = 10.0) -> bool:
        """Says offline, ends the connection and the thread; False if that took longer than `timeout_s`."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for wait_ms in self.work():
                self._wake.wait(wait_ms / 1000)
                self._wake.clear()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must end the process and not only this thread
            self.failure = error

    def work(self) -> Generator[int]:
        """Connection after connection, until `stop`. Gives the ms to wait, or less where something wakes it.

        Raises:
            StorageError: the disk cannot be read.
        """
        while not self._stopping.is_set():
            yield from self._connect_once()
            yield from self._rest(self._backoff.next_ms())

    def _rest(self, wait_ms: int) -> Generator[int]:
        end_ms = self._mono_ms() + wait_ms
        while (left_ms := end_ms - self._mono_ms()) > 0 and not self._stopping.is_set():
            yield min(left_ms, _WAKE_MS)
            self._tidy()

    def _connect_once(self) -> Generator[int]:
        will = self._bulletin.begin()
        subscriptions = (topics.HUB_PRESENCE, topics.receipts(self._device))
        try:
            wire = self._open_wire(subscriptions=subscriptions, will=will, notify=self._wake.set)
        except WireError as error:
            _LOG.warning("uplink: no connection: %s", error)
            return
        feed = Feed(wire=wire, downlink=self._downlink, mono_ms=self._mono_ms)
        connection = _Connection(wire=wire, feed=feed, opened_ms=self._mono_ms())
        self._outbox.begin()
        try:
            reason = yield from self._serve(connection)
            _LOG.info("uplink: connection over: %s", reason)
        finally:
            if connection.up_ms is not None:
                if wire.ended is None:
                    self._bulletin.say_goodbye(wire)
                if self._mono_ms() - connection.up_ms >= _STEADY_MS:
                    self._backoff.reset()
            wire.close()
            self._status.missed += feed.dropped
            self._link.disconnected()
            self._status.connected = self._status.hub_online = False

    def _serve(self, connection: _Connection) -> Generator[int, None, str]:
        """Works on one connection until it ends; why it ended."""
        while not self._stopping.is_set():
            now_ms = self._mono_ms()
            for event in connection.wire.events():
                self._take(connection, event, now_ms)
            if connection.wire.ended is not None:
                return connection.wire.ended
            if connection.up_ms is None and now_ms - connection.opened_ms >= _LET_IN_MS:
                return "the broker does not answer"
            self._link.appended(self._spool.newest)
            self._link.tick(now_ms=now_ms)
            if self._link.take_hang_up():
                return "the broker acknowledges nothing"
            more = connection.up_ms is not None and self._speak(connection, now_ms)
            self._tidy()
            self._status.rewinds = self._link.rewinds
            self._status.hub_online = self._link.state is LinkState.SENDING
            self._status.unsent = self._outbox.dropped
            deadline_ms = self._link.deadline_ms
            wait_ms = _WAKE_MS if deadline_ms is None else min(_WAKE_MS, max(0, deadline_ms - self._mono_ms()))
            yield 0 if more else wait_ms
        return "asked to stop"

    def _speak(self, connection: _Connection, now_ms: int) -> bool:
        """One turn: what is urgent first, then what came down; whether there is more to do at once."""
        # Before the presence, which the hub answers with the time.
        connection.feed.follow()
        self._bulletin.say(connection.wire, presence_due=self._link.take_presence())
        self._send(connection, now_ms)

        def publish(entry: Entry) -> int | None:
            return connection.wire.publish(entry.topic, entry.payload, qos=entry.qos)

        unsent = self._outbox.send(publish, hub_online=self._link.state is LinkState.SENDING)
        return connection.feed.take_some() or unsent

    def _take(self, connection: _Connection, event: Event, now_ms: int) -> None:
        match event:
            case Up():
                connection.up_ms = now_ms
                self._link.connected()
                self._status.connected = True
                self._status.connects += 1
            case Acknowledged(mid=mid, ok=ok):
                if self._outbox.acknowledged(mid, ok=ok):
                    self._status.refused_messages += not ok
                elif mid in connection.mids:
                    connection.mids.remove(mid)
                    self._link.puback()
                    if not ok:
                        self._status.refused_messages += 1
                        _LOG.warning("uplink: the broker refused a message")
            case Received():
                self._receive(connection, event, now_ms)
            case Oversized(count=count):
                self._status.oversized += count
            case Missed(count=count):
                self._status.missed += count
            case Refused():
                self._status.refused_subscriptions += 1
                _LOG.warning("uplink: the broker refused a subscription")

    def _receive(self, connection: _Connection, message: Received, now_ms: int) -> None:
        if message.topic == topics.HUB_PRESENCE:
            connection.wire.taken(message)
            presence = read_hub_presence(message.payload)
            if presence is not None:
                self._link.hub_presence(session=presence.session, online=presence.online)
        elif message.topic == topics.receipts(self._device):
            connection.wire.taken(message)
            self._take_receipt(message.payload, now_ms)
        else:
            connection.feed.put(message)

    def _take_receipt(self, payload: bytes, now_ms: int) -> None:
        try:
            receipt = read_receipt(payload, keys=self._hub_keys, device=self._device, epoch=self._spool.epoch)
            fit = self._spool.forget(receipt.seq, receipt.hash)
        except ProtocolError as error:
            self._bad_receipt(str(error))
        except StorageError as error:
            # The hub will say it again, and by then the disk may allow it.
            self._status.storage_faults += 1
            _LOG.warning("uplink: %s", error)
        else:
            if fit is ReceiptFit.NOT_OURS:
                self._bad_receipt("its hash is not ours")
                return
            self._link.receipt(receipt.seq, now_ms=now_ms)
            # The whole way works: should it break now, there is no reason to wait longer than after any other success.
            self._backoff.reset()
            self._status.receipts += 1
            self._status.last_receipt_ms = self._now_ms()

    def _bad_receipt(self, reason: str) -> None:
        self._status.bad_receipts += 1
        _LOG.error("uplink: bad receipt, nothing is forgotten: %s", reason)

    def _send(self, connection: _Connection, now_ms: int) -> None:
        while (wanted := self._link.next_message()) is not None:
            checkins = self._spool.read(wanted.first, wanted.most)
            checkins = checkins[: fill([len(data) for data in checkins])]
            mid = connection.wire.publish(topics.checkins(self._device), encode_message(checkins), qos=1)
            if mid is None:
                return
            connection.mids.add(mid)
            self._link.sent(wanted.first + len(checkins) - 1, now_ms=now_ms)
            self._status.sent += len(checkins)
            self._status.messages += 1

    def _tidy(self) -> None:
        if self._mono_ms() - self._tidied_ms >= _TIDY_MS:
            self._spool.tidy(self._now_ms())
            self._tidied_ms = self._mono_ms()
