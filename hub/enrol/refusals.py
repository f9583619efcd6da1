"""Every refusal is in the audit log, but strangers cannot fill it: beyond a rate they are only counted."""

import logging
from typing import Final

from hub.enrol.rates import Rates
from hub.model import AuditEntry
from hub.store.errors import StoreError
from hub.store.ports import RegistryStore

_LOG: Final = logging.getLogger(__name__)
_BURST: Final = 200
"""A whole station that holds a wrong code before its scanners, one entry each."""
_PER_S: Final = 1 / 30
"""At most 2,880 rows a day, however long somebody tries."""
_DETAIL_CHARS: Final = 500


class Refusals:
    """Writes down who was refused what."""

    def __init__(self, *, store: RegistryStore, rates: Rates | None = None) -> None:
        self._store = store
        self._rates = rates or Rates(burst=_BURST, per_s=_PER_S)
        self._unwritten = 0

    async def note(self, *, action: str, reason: str, what: str, address: str, now_ms: int) -> None:
        """One refusal. A store that fails does not keep the answer back."""
        _LOG.warning("refused", extra={"action": action, "reason": reason, "address": address})
        if not self._rates.spend(""):
            self._unwritten += 1
            return
        more = f"; {self._unwritten} more were not written down" if self._unwritten else ""
        detail = f"{reason} from {address}: {what}"[:_DETAIL_CHARS] + more
        try:
            await self._store.audit(AuditEntry(at_ms=now_ms, who="hub", action=action, detail=detail))
        except StoreError as error:
            _LOG.error("refusal_not_written", extra={"what": str(error)})
            self._unwritten += 1
            return
        self._unwritten = 0
