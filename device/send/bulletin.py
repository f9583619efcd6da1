"""What this device says of itself: presence, retained, and health. The uplink says when there is a connection."""

from collections.abc import Callable, Hashable

from device.send.ports import Will, WirePort
from device.send.spool import Spool
from device.send.status import Versions
from protocol import topics
from protocol.presence import SESSION_BYTES, DevicePresence, encode_device_presence

HEALTH_MS = 30_000
SOONEST_MS = 1_000
"""A state that flickers, or policies in a row, are told once a second."""

LISTS_MS = 30_000
"""Lists change all the time, at every gate at once: their versions alone are told no more often than health."""


class Bulletin:
    """Presence and health of one device, over all connections. For the uplink's thread.

    Args:
        device: this device's id, 8 bytes.
        spool: whose numbers stand in the presence.
        firmware: this firmware's version.
        versions: what is in force now.
        health: makes the health message (CBOR).
        condition: what health is sent for at once when it is another than before, e.g. state and clock.
        wants_time: whether the hub is to be asked for the time, which it tells after each presence.
        asked: told the session of each presence that was published.
        random_bytes: for the sessions: a new one with each presence, since the hub's time is an answer to just that.
        mono_ms: ms on a clock that only goes forward.
    """

    def __init__(
        self,
        *,
        device: bytes,
        spool: Spool,
        firmware: str,
        versions: Callable[[], Versions],
        health: Callable[[], bytes],
        condition: Callable[[], Hashable],
        wants_time: Callable[[], bool],
        asked: Callable[[bytes], None],
        random_bytes: Callable[[int], bytes],
        mono_ms: Callable[[], int],
    ) -> None:
        self._device = device
        self._spool = spool
        self._firmware = firmware
        self._versions = versions
        self._health = health
        self._condition = condition
        self._wants_time = wants_time
        self._asked = asked
        self._random_bytes = random_bytes
        self._mono_ms = mono_ms
        self._session = b""
        self._told: Versions | None = None
        self._told_ms = 0
        self._health_ms: int | None = None
        self._health_condition: Hashable = None

    def begin(self) -> Will:
        """A new connection; what the broker is to say when it breaks."""
        self._session = self._random_bytes(SESSION_BYTES)
        self._told = None
        self._health_ms = None
        return Will(topic=topics.presence(self._device), payload=self._presence(self._versions(), online=False))

    def say(self, wire: WirePort, *, presence_due: bool) -> None:
        """Publishes what is due."""
        now_ms = self._mono_ms()
        versions = self._versions()
        if presence_due or self._changed(versions, now_ms - self._told_ms):
            if self._told is not None:
                self._session = self._random_bytes(SESSION_BYTES)
            if self._publish_presence(wire, versions, online=True):
                self._asked(self._session)
            self._told, self._told_ms = versions, now_ms
        condition = self._condition()
        if self._health_due(condition, now_ms):
            wire.publish(topics.health(self._device), self._health(), qos=0)
            self._health_ms, self._health_condition = now_ms, condition

    def say_goodbye(self, wire: WirePort) -> None:
        """Publishes that this device goes, with the numbers of now."""
        self._publish_presence(wire, self._versions(), online=False)

    def _changed(self, versions: Versions, since_ms: int) -> bool:
        if self._told is None or since_ms < SOONEST_MS:
            return False
        if self._wants_time() or (versions.trust, versions.policy) != (self._told.trust, self._told.policy):
            return True
        return versions != self._told and since_ms >= LISTS_MS

    def _health_due(self, condition: Hashable, now_ms: int) -> bool:
        if self._health_ms is None:
            return True
        since_ms = now_ms - self._health_ms
        return since_ms >= HEALTH_MS or (condition != self._health_condition and since_ms >= SOONEST_MS)

    def _publish_presence(self, wire: WirePort, versions: Versions, *, online: bool) -> bool:
        payload = self._presence(versions, online=online)
        return wire.publish(topics.presence(self._device), payload, qos=1, retain=True) is not None

    def _presence(self, versions: Versions, *, online: bool) -> bytes:
        # The scan thread may append meanwhile; the lower number first, so that they always fit together.
        oldest, newest = self._spool.oldest, self._spool.newest
        return encode_device_presence(
            DevicePresence(
                session=self._session,
                online=online,
                epoch=self._spool.epoch,
                oldest_seq=oldest,
                newest_seq=newest,
                firmware=self._firmware,
                trust_version=versions.trust,
                policy_version=versions.policy,
                lists=versions.lists,
            )
        )
