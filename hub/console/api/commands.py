"""Orders to scanners, and what became of them."""

import json
import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, PlaceId, Shape, TimeMs
from hub.console.errors import ConflictError, NotFoundError
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import DeviceState
from hub.store.errors import RegistryConflictError
from hub.store.trust_ports import CommandRow, CommandState
from hub.trust import changes
from hub.trust.words import lines
from protocol.command import ARGUMENTS, COMMAND_ID_BYTES, CommandName
from protocol.limits import RESULT_DETAIL_BYTES

ROUTER = APIRouter(prefix="/commands", tags=["Commands"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]
CommandId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]

MOST: Final = 200
OPEN_STATES: Final = frozenset({CommandState.QUEUED, CommandState.SENT})


class CommandIn(Shape):
    """An order to one scanner. `args` are exactly those that it takes: `locate` seconds, `hold_open` minutes,
    `send_logs` lines, `update` release, `wipe` even_unsent.
    """

    device: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    name: CommandName
    args: Annotated[dict[str, int | bool], Field(max_length=4, default_factory=dict)]


class PlaceOrder(Shape):
    """Every gate of a place: held open, as for an evacuation, or closed again."""

    place: PlaceId
    minutes: Annotated[int, Field(ge=0, le=720)] = 30
    """0: close them again."""


class CommandOut(Shape):
    """An order and what became of it."""

    id: str
    device: str
    name: str
    args: dict[str, int | bool]
    state: CommandState
    detail: str
    who: str
    issued_ms: TimeMs
    expires_ms: TimeMs
    sent_ms: TimeMs | None
    finished_ms: TimeMs | None
    proof: str
    """Hex: what a wiped scanner signed before it forgot everything."""


class Ordered(Shape):
    """What was ordered at a place, and which scanners could not be told, with the reason."""

    commands: list[CommandOut]
    failed: dict[str, str]


@ROUTER.get("")
async def list_commands(
    site: TheSite,
    who: Reader,
    device: Annotated[str, Query(pattern=r"^([0-9a-f]{16})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> list[CommandOut]:
    """The newest orders, to one scanner or all, newest first."""
    if device:
        found = await site.store.device_commands(bytes.fromhex(device), limit=limit)
    else:
        found = await site.store.command_list(limit=limit)
    return [_out(row) for row in found]


@ROUTER.get("/{command_id}")
async def one_command(site: TheSite, who: Reader, command_id: CommandId) -> CommandOut:
    """One order."""
    row = await site.store.find_command(bytes.fromhex(command_id))
    if row is None:
        raise NotFoundError
    return _out(row)


@ROUTER.post("", status_code=201)
async def send(site: TheSite, who: Writer, body: CommandIn) -> CommandOut:
    """Tell a scanner to do something. It is sent within a second, or when the scanner comes, until it expires."""
    row = await changes.queue_command(
        site.store,
        operator=who.operator,
        command_id=secrets.token_bytes(COMMAND_ID_BYTES),
        device_id=body.device,
        name=body.name,
        args=body.args,
    )
    return _out(row)


@ROUTER.post("/place", status_code=201)
async def send_to_place(site: TheSite, who: Writer, body: PlaceOrder) -> Ordered:
    """Hold every gate of a place open, or close them again."""
    name = CommandName.HOLD_OPEN if body.minutes else CommandName.CLOSE
    devices = [
        device
        for device in await site.store.devices()
        if device.place_id == body.place and device.state is not DeviceState.REVOKED
    ]
    if not devices:
        raise ConflictError("conflict", "No scanner stands at this place.")
    detail = f"{body.place}: {name} at {len(devices)} scanners, {body.minutes} min"
    await site.store.audit(who.entry("place.gates", detail))
    ordered, failed = [], {}
    for device in devices:
        device_id = device.device_id.hex()
        args = {"minutes": body.minutes} if name in ARGUMENTS else {}
        try:
            ordered.append(await send(site, who, CommandIn(device=device_id, name=name, args=args)))
        except RegistryConflictError as error:
            # One scanner that leaves too much unanswered does not keep the others shut.
            failed[device_id] = str(error)
    return Ordered(commands=ordered, failed=failed)


def _out(row: CommandRow) -> CommandOut:
    return CommandOut(
        id=row.command_id.hex(),
        device=row.device_id.hex(),
        name=row.name,
        args=json.loads(row.args),
        state=row.state,
        detail=lines(row.detail)[:RESULT_DETAIL_BYTES],
        who=row.who,
        issued_ms=row.issued_s * 1000,
        expires_ms=row.expires_s * 1000,
        sent_ms=row.sent_ms,
        finished_ms=row.finished_ms,
        proof="" if row.proof is None else row.proof.hex(),
    )
