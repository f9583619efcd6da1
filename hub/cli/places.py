"""`place`, `gate`, `device`: what is registered, and the changes of it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from hub.cli.output import (
    Commands,
    add_config,
    add_json,
    operator,
    store_of,
    time_text,
    write_json,
    write_line,
    write_table,
)
from hub.model import Device, DeviceState
from hub.registry import changes
from hub.registry.keyfiles import read_key_file
from hub.store.ports import Store
from protocol.terms import Direction

_DIRECTIONS: Final = {"in": Direction.IN, "out": Direction.OUT, "both": None}


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    place = commands.add_parser("place", help="venues").add_subparsers(required=True, metavar="ACTION")
    add = _command(place, "add", _place_add, "register a venue")
    add.add_argument("--id", required=True)
    add.add_argument("--name", required=True)
    add.add_argument("--region", default="", help="administrative division code")
    add.add_argument("--responsible", default="", help="who answers for the place")
    add_json(_command(place, "list", _place_list, "all venues"))

    gate = commands.add_parser("gate", help="lanes of a venue").add_subparsers(required=True, metavar="ACTION")
    add = _command(gate, "add", _gate_add, "register a lane")
    add.add_argument("--place", required=True)
    add.add_argument("--id", required=True)
    add.add_argument("--name", default="")
    add_json(_command(gate, "list", _gate_list, "all lanes"))

    device = commands.add_parser("device", help="scanners").add_subparsers(required=True, metavar="ACTION")
    add = _command(device, "add", _device_add, "register a scanner with its public key")
    add.add_argument("--id", required=True, help="16 hex digits, as on its certificate")
    add.add_argument("--key", required=True, type=Path, help="file with its public COSE_Key")
    add.add_argument("--place", required=True)
    add.add_argument("--gate", required=True)
    add.add_argument("--direction", choices=sorted(_DIRECTIONS), default="in")
    add.add_argument("--name", default="")
    add_json(_command(device, "list", _device_list, "all scanners"))
    for name, state, about in (
        ("revoke", DeviceState.REVOKED, "never believe this scanner's key again"),
        ("quarantine", DeviceState.QUARANTINED, "take no check-ins from it until it is released"),
        ("release", DeviceState.ACTIVE, "take check-ins from a quarantined scanner again"),
    ):
        change = _command(device, name, _device_state, about)
        change.add_argument("--id", required=True)
        change.add_argument("--reason", default="", required=state is not DeviceState.ACTIVE)
        change.set_defaults(state=state)


def _command(
    actions: Commands, name: str, act: Callable[[Store, argparse.Namespace], Awaitable[None]], about: str
) -> argparse.ArgumentParser:
    """A command that works on the store."""

    async def with_store(args: argparse.Namespace) -> None:
        async with store_of(args) as store:
            await act(store, args)

    def run(args: argparse.Namespace) -> int:
        asyncio.run(with_store(args))
        return 0

    parser = actions.add_parser(name, help=about, description=about)
    add_config(parser)
    parser.set_defaults(act=run)
    return parser


async def _place_add(store: Store, args: argparse.Namespace) -> None:
    place = await changes.add_place(
        store,
        operator=operator(),
        place_id=args.id,
        name=args.name,
        region=args.region,
        responsible=args.responsible,
    )
    write_line(f"place {place.place_id} is registered")


async def _place_list(store: Store, args: argparse.Namespace) -> None:
    rows = [
        {"id": place.place_id, "name": place.name, "region": place.region, "responsible": place.responsible}
        for place in await store.places()
    ]
    _write_rows(args, ("id", "name", "region", "responsible"), rows)


async def _gate_add(store: Store, args: argparse.Namespace) -> None:
    gate = await changes.add_gate(store, operator=operator(), place_id=args.place, gate_id=args.id, name=args.name)
    write_line(f"gate {gate.gate_id} is registered at place {gate.place_id}")


async def _gate_list(store: Store, args: argparse.Namespace) -> None:
    rows = [{"place": gate.place_id, "id": gate.gate_id, "name": gate.name} for gate in await store.gates()]
    _write_rows(args, ("place", "id", "name"), rows)


async def _device_add(store: Store, args: argparse.Namespace) -> None:
    device = await changes.add_device(
        store,
        operator=operator(),
        device_id=args.id,
        cose_key=read_key_file(args.key),
        place_id=args.place,
        gate_id=args.gate,
        direction=_DIRECTIONS[args.direction],
        name=args.name,
    )
    write_line(f"device {args.id} is registered at {args.place}/{args.gate}, key {device.kid.hex()}")


async def _device_list(store: Store, args: argparse.Namespace) -> None:
    rows = [device_row(device) for device in await store.devices()]
    _write_rows(args, ("id", "place", "gate", "direction", "name", "key", "state", "changed", "reason"), rows)


async def _device_state(store: Store, args: argparse.Namespace) -> None:
    await changes.set_device_state(store, operator=operator(), device_id=args.id, state=args.state, reason=args.reason)
    write_line(f"device {args.id} is {args.state}")


def device_row(device: Device) -> dict[str, Any]:
    """A device as it is listed."""
    return {
        "id": device.device_id.hex(),
        "place": device.place_id,
        "gate": device.gate_id,
        "direction": "both" if device.direction is None else device.direction.wire_name,
        "name": device.name,
        "key": device.kid.hex(),
        "state": device.state,
        "changed": time_text(device.changed_ms),
        "reason": device.reason,
    }


def _write_rows(args: argparse.Namespace, titles: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if args.json:
        write_json(rows)
    else:
        write_table(titles, ([row[title] for title in titles] for row in rows))
