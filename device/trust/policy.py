"""Signed gate policies -> the one in force at this gate."""

import logging
from collections.abc import Callable, Mapping

from device.trust.believed import Believed
from device.trust.refusals import ForkError
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.limits import POLICY_BYTES
from protocol.policy import GatePolicy, open_policy

_FILE = "policy.cose"
_LOG = logging.getLogger(__name__)


class Policies:
    """The policy in force. Read by every thread, replaced as a whole by the uplink's.

    Args:
        default: what holds until a hub said something: names the device, its place and its gate, and is of version 0.
        hub_keys: whoever may sign policies, by kid.
        believed: where the newest one outlives a restart.
        on_change: told each new one, after it is in force, on the uplink's thread.
    """

    def __init__(
        self,
        *,
        default: GatePolicy,
        hub_keys: Mapping[bytes, VerifyKey],
        believed: Believed,
        on_change: Callable[[GatePolicy], None] = lambda _: None,
    ) -> None:
        self._hub_keys = hub_keys
        self._believed = believed
        self._on_change = on_change
        self._current = default
        path = believed.folder / _FILE
        data = believed.read(path, limit=POLICY_BYTES)
        if data is not None:
            try:
                self._current = self._open(data)
            except ProtocolError as error:
                believed.set_aside(path, error)

    @property
    def current(self) -> GatePolicy:
        """The policy in force."""
        return self._current

    def offer(self, data: bytes) -> bool:
        """A policy from the hub; whether it is a new one, which is in force now.

        Raises:
            ProtocolError: not of this hub, not for this gate, or older than the one in force.
            ForkError: another one of the same version.
        """
        policy = self._open(data)
        if policy.version == self._current.version:
            # The same one signed anew, say after the hub's key changed, is no fork.
            if policy != self._current:
                raise ForkError("policy", f"another one of version {policy.version}")
            return False
        self._believed.write(self._believed.folder / _FILE, data)
        self._current = policy
        _LOG.info("policy: version %d is in force", policy.version)
        self._on_change(policy)
        return True

    def _open(self, data: bytes) -> GatePolicy:
        current = self._current
        return open_policy(
            data,
            hub_keys=self._hub_keys,
            device=current.device,
            place=current.place,
            gate=current.gate,
            current_version=current.version,
        )
