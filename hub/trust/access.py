"""Registry -> broker: which devices may speak. A device that is revoked is cut off within a second."""

import asyncio
from typing import Final

from hub.broker.access import AccessControl
from hub.health import Health
from hub.model import DeviceState
from hub.trust.roster import Roster

_LOOK_S: Final = 5.0
"""An answer of the broker may be lost; this long a device that was just approved waits at most."""


class Access:
    """Keeps the broker's list equal to the registry. `run` it in a task."""

    def __init__(self, *, roster: Roster, control: AccessControl, health: Health) -> None:
        self._roster, self._control, self._health = roster, control, health
        self._unsettled = False
        roster.on_change.append(self.changed)

    def changed(self) -> None:
        """Tell the broker. A quarantined device keeps its connection: it must hear when it is released."""
        self._control.want(
            {
                device.device_id: device.place_id
                for device in self._roster.devices
                if device.state is not DeviceState.REVOKED
            }
        )

    async def run(self) -> None:
        """Look, wait, again; ends only by cancellation."""
        while True:
            self._health.beat("access")
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> None:
        """Ask the broker what it has, if that is not known. Twice unsettled in a row, somebody should know of it."""
        unsettled = not self._control.settled
        what = "the broker has not confirmed who may speak: a revoked device may still read there"
        self._health.warn("access", what if unsettled and self._unsettled else None)
        self._unsettled = unsettled
        self._control.look()
