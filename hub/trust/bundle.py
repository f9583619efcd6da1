"""The trust bundle in force: verified with the root, handed to gates and to the hub's own parts, watched to its end."""

import logging
from collections.abc import Callable
from typing import Final

from hub.health import Health, Metrics
from hub.store.trust_ports import BelievedKind
from hub.trust.keeping import Keeping
from hub.trust.ports import Board, Clock
from protocol import topics
from protocol.errors import MalformedError
from protocol.keys import VerifyKey
from protocol.trust import TrustBundle, days_left, open_trust, warning_due

_LOG: Final = logging.getLogger(__name__)


class Bundle:
    """Made with the bundle of the configuration, the oldest that is believed.

    Raises:
        ProtocolError: the root did not sign `data`.
    """

    def __init__(
        self,
        *,
        data: bytes,
        root: VerifyKey,
        board: Board,
        keeping: Keeping,
        on_trust: Callable[[TrustBundle], None],
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
    ) -> None:
        self._root, self._board, self._keeping, self._on_trust = root, board, keeping, on_trust
        self._health, self._metrics, self._now_ms = health, metrics, now_ms
        self._warned: int | None = None
        self._data = data
        self.current = open_trust(data, root=root)

    @property
    def data(self) -> bytes:
        """The bundle in force as it was signed, for a device that is enrolled now."""
        return self._data

    def take(self, data: bytes) -> bool:
        """Signed bytes -> in force, at once and everywhere; False when it is the one that is in force already.

        Raises:
            ProtocolError: the root did not sign it, it is older, or another one with the same version.
        """
        bundle = open_trust(data, root=self._root, current_version=self.current.version)
        if bundle.version == self.current.version:
            if bundle != self.current:
                raise MalformedError("trust bundle", f"version {bundle.version} with other content than before")
            return False
        self.current, self._data = bundle, data
        self._keeping.keep(BelievedKind.TRUST, "", version=bundle.version, issued_s=bundle.issued_s, data=data)
        self.announce()
        _LOG.info("trust_in_force", extra={"version": bundle.version, "days": self._days()})
        return True

    def announce(self) -> None:
        """Tell gates and our own parts what is in force."""
        self._board.set(topics.TRUST, self._data)
        self._on_trust(self.current)
        self.watch()

    def watch(self) -> None:
        """Warn, once at each of 30, 7 and 1 days, that it ends; say so in health until there is another."""
        due = warning_due(self.current, self._now_ms() // 1000)
        days = self._days()
        self._metrics.trust_days.set(days)
        if due == self._warned:
            return
        self._warned = due
        ended = f"the trust bundle, version {self.current.version}, has ended" if due == 0 else None
        self._health.trouble("trust", ended)
        self._health.warn("trust", f"the trust bundle ends within {due} days" if due else None)
        if due is not None:
            _LOG.warning("trust_ends", extra={"version": self.current.version, "days": days})

    def _days(self) -> int:
        return days_left(self.current, self._now_ms() // 1000)
