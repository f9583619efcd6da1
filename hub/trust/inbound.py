"""What devices say beside check-ins: taken apart once, here, and given to whom it concerns.

`take` is called by the broker's client between two reads, so nothing here waits or raises.
"""

from typing import Final

from hub.health import Metrics
from hub.trust.clockhint import ClockHint
from hub.trust.commands import Commands
from hub.trust.fleet import Fleet
from hub.trust.resolve import Resolve
from hub.trust.roster import Roster
from protocol.errors import ProtocolError
from protocol.health import decode_health
from protocol.presence import decode_device_presence
from protocol.topics import parse_device_topic

LEAVES: Final = frozenset({"presence", "health", "results", "resolve"})
"""The last levels of the topics that are wanted here."""


class Inbound:
    """The broker binds each topic to the device in it; here it must be a registered one too."""

    def __init__(
        self,
        *,
        roster: Roster,
        fleet: Fleet,
        commands: Commands,
        resolve: Resolve,
        clock_hint: ClockHint,
        metrics: Metrics,
    ) -> None:
        self._roster, self._fleet, self._commands = roster, fleet, commands
        self._resolve, self._clock_hint, self._metrics = resolve, clock_hint, metrics

    def take(self, topic: str, payload: bytes) -> None:
        """One message from the broker."""
        try:
            device, leaf = parse_device_topic(topic)
            if leaf not in LEAVES or not payload:  # Empty: the broker was told to forget a retained one.
                return
            if not self._roster.speaks(device):
                known = self._roster.find(device) is not None
                self._metrics.device_messages_refused.labels("revoked" if known else "unknown_device").inc()
                return
            self._give(device, leaf, payload)
        except ProtocolError as error:
            self._metrics.device_messages_refused.labels(error.reason).inc()

    def _give(self, device: bytes, leaf: str, payload: bytes) -> None:
        match leaf:
            case "presence":
                presence = decode_device_presence(payload)
                self._fleet.present(device, presence)
                if presence.online:
                    self._clock_hint.present(device, presence.session)
                    self._commands.present(device)
            case "health":
                self._fleet.fares(device, decode_health(payload))
            case "results":
                self._commands.result(device, payload)
            case "resolve":
                self._resolve.query(device, payload)
