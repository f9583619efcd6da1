"""An enrolment -> what its device is answered; once it is approved, everything that it needs to serve its gate.

The configuration is put together at each question, so that a device that comes back late gets the policy and the
trust bundle of that moment. There is no secret in it: without the device's own keys nobody can use it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hub.model import Device, DeviceState
from hub.registry.checks import RequestRefusedError
from hub.store.enrol_ports import Enrolment, EnrolStore
from protocol.enrolment import Configuration, EnrolmentAnswer, EnrolmentState
from protocol.keys import VerifyKey
from protocol.terms import Direction

ANSWERED_H: Final = 24
"""A device asks every few seconds; who comes back a day after the decision has lost its place."""

PolicyFor = Callable[[bytes, str, str, Direction], Awaitable[bytes]]
"""(device, place, gate, direction) -> the sealed policy that the device begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What all devices of this hub are told alike."""

    broker_host: str
    broker_port: int
    hub_url: str
    ca: bytes
    hub_keys: tuple[VerifyKey, ...]
    root: VerifyKey


class Configurations:
    """Answers to devices that ask what became of their enrolment."""

    def __init__(
        self, *, store: EnrolStore, addresses: Addresses, policy_for: PolicyFor, trust: Callable[[], bytes]
    ) -> None:
        self._store, self._addresses = store, addresses
        self._policy_for, self._trust = policy_for, trust

    async def find(self, enrolment_id: bytes, *, now_ms: int) -> Enrolment:
        """The enrolment that a device asks about.

        Raises:
            RequestRefusedError: `not_found`: no such enrolment, or decided too long ago.
        """
        enrolment = await self._store.find_enrolment(enrolment_id)
        if enrolment is None or now_ms - (enrolment.decided_ms or now_ms) > ANSWERED_H * 3_600_000:
            raise RequestRefusedError("not_found", "there is no such enrolment")
        return enrolment

    async def answer_for(self, enrolment: Enrolment) -> EnrolmentAnswer:
        """What the device of this enrolment is told now. One that is revoked since is told that it was refused."""
        enrolment_id = enrolment.asked.enrolment_id
        if enrolment.state is not EnrolmentState.APPROVED:
            return EnrolmentAnswer(id=enrolment_id, state=enrolment.state)
        device = await self._store.find_device(enrolment.device_id or b"")
        if device is None or device.state is DeviceState.REVOKED or enrolment.certificate is None:
            return EnrolmentAnswer(id=enrolment_id, state=EnrolmentState.REFUSED)
        configuration = await self._configuration(device, chain=(enrolment.certificate,))
        return EnrolmentAnswer(id=enrolment_id, state=EnrolmentState.APPROVED, configuration=configuration)

    async def _configuration(self, device: Device, *, chain: tuple[bytes, ...]) -> Configuration:
        addresses = self._addresses
        # A device has one direction until its policy says otherwise; one for both begins with the way in.
        direction = Direction.IN if device.direction is None else device.direction
        return Configuration(
            device=device.device_id,
            chain=chain,
            broker_host=addresses.broker_host,
            broker_port=addresses.broker_port,
            ca=addresses.ca,
            hub_keys=addresses.hub_keys,
            root=addresses.root,
            place=device.place_id,
            gate=device.gate_id,
            direction=direction,
            policy=await self._policy_for(device.device_id, device.place_id, device.gate_id, direction),
            trust=self._trust(),
            hub_url=addresses.hub_url,
        )
