"""What the console asks about enrolments: the registry decides, with the authority that only the hub has."""

from collections.abc import Awaitable, Callable
from typing import Any

from hub.registry import decisions
from hub.registry.authority import Authority
from hub.registry.changes import Operator
from hub.registry.checks import RegistryError
from hub.store.enrol_ports import EnrolStore
from protocol.terms import Direction


def enrol_errands(
    *, store: EnrolStore, authority: Authority
) -> dict[str, Callable[[Operator, dict[str, Any], bytes], Awaitable[bytes]]]:
    """Handlers by kind. Each answers with the 8 bytes of the new device's id.

    `enrol.approve`: `enrolment` (hex), and as they are decided `place`, `gate`, `direction` (0, 1), `name`, `words`.
    `enrol.replace`: `enrolment` (hex), `old` (hex), and `words`.
    """

    async def approve(operator: Operator, args: dict[str, Any], _data: bytes) -> bytes:
        direction = args.get("direction")
        device = await decisions.approve(
            store,
            operator=operator,
            authority=authority,
            enrolment_id=_enrolment_id(args),
            place_id=args.get("place"),
            gate_id=args.get("gate"),
            direction=None if direction is None else Direction(direction),
            name=args.get("name", ""),
            words=args.get("words"),
        )
        return device.device_id

    async def replace(operator: Operator, args: dict[str, Any], _data: bytes) -> bytes:
        device = await decisions.replace(
            store,
            operator=operator,
            authority=authority,
            old_id=args["old"],
            enrolment_id=_enrolment_id(args),
            words=args.get("words"),
        )
        return device.device_id

    return {"enrol.approve": approve, "enrol.replace": replace}


def _enrolment_id(args: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(args["enrolment"])
    except ValueError as error:
        raise RegistryError("enrolment: not hexadecimal") from error
