"""`place`, `gate`, `device`: what is registered, and the changes of it."""

import argparse
from pathlib import Path
from typing import Any, Final

from hub.cli import policy
from hub.cli.ca import authority_of
from hub.cli.enrol import enrolment_id_of
from hub.cli.output import (
    Commands,
    add_json,
    config_of,
    on_store,
    operator,
    time_text,
    write_json,
    write_line,
    write_table,
)
from hub.model import Device, DeviceState
from hub.registry import changes, decisions
from hub.registry.checks import checked_device_id
from hub.registry.keyfiles import read_key_file
from hub.store.ports import Store
from hub.store.trust_ports import DeviceSeen
from hub.trust.words import one_line
from protocol.limits import VERSION_CHARS
from protocol.terms import Direction

_DIRECTIONS: Final = {"in": Direction.IN, "out": Direction.OUT, "both": None}


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    place = commands.add_parser("place", help="venues").add_subparsers(required=True, metavar="ACTION")
    add = on_store(place, "add", _place_add, "register a venue")
    add.add_argument("--id", required=True)
    add.add_argument("--name", required=True)
    add.add_argument("--region", default="", help="administrative division code")
    add.add_argument("--responsible", default="", help="who answers for the place")
    add_json(on_store(place, "list", _place_list, "all venues"))
    policy.add_place_actions(place)

    gate = commands.add_parser("gate", help="lanes of a venue").add_subparsers(required=True, metavar="ACTION")
    add = on_store(gate, "add", _gate_add, "register a lane")
    add.add_argument("--place", required=True)
    add.add_argument("--id", required=True)
    add.add_argument("--name", default="")
    add_json(on_store(gate, "list", _gate_list, "all lanes"))

    device = commands.add_parser("device", help="scanners").add_subparsers(required=True, metavar="ACTION")
    add = on_store(device, "add", _device_add, "register a scanner with its public key")
    add.add_argument("--id", required=True, help="16 hex digits, as on its certificate")
    add.add_argument("--key", required=True, type=Path, help="file with its public COSE_Key")
    add.add_argument("--place", required=True)
    add.add_argument("--gate", required=True)
    add.add_argument("--direction", choices=sorted(_DIRECTIONS), default="in")
    add.add_argument("--name", default="")
    add_json(on_store(device, "list", _device_list, "all scanners"))
    for name, state, about in (
        ("revoke", DeviceState.REVOKED, "never believe this scanner's key again"),
        ("quarantine", DeviceState.QUARANTINED, "take no check-ins from it until it is released"),
        ("release", DeviceState.ACTIVE, "take check-ins from a quarantined scanner again"),
    ):
        change = on_store(device, name, _device_state, about)
        change.add_argument("--id", required=True)
        change.add_argument("--reason", default="", required=state is not DeviceState.ACTIVE)
        change.set_defaults(state=state)
    replace = on_store(device, "replace", _device_replace, "put a waiting device in the place of an old one")
    replace.add_argument("--old", required=True, help="the device that stood there; it is revoked")
    replace.add_argument("--enrolment", required=True, help="id of the new one's enrolment, or its first digits")
    replace.add_argument("--words", help="the four words that the new device shows: it must be these")
    keys = on_store(device, "keys", _device_keys, "the keys of scanners over time")
    keys.add_argument("--id", default=None, help="of this one only")
    add_json(keys)


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
    seen = {entry.device_id: entry for entry in await store.devices_seen()}
    rows = [device_row(device) | _seen_row(seen.get(device.device_id)) for device in await store.devices()]
    titles = ("id", "place", "gate", "direction", "name", "key", "state", "changed", "reason", "seen", "firmware")
    _write_rows(args, titles, rows)


async def _device_state(store: Store, args: argparse.Namespace) -> None:
    await changes.set_device_state(store, operator=operator(), device_id=args.id, state=args.state, reason=args.reason)
    write_line(f"device {args.id} is {args.state}")


async def _device_replace(store: Store, args: argparse.Namespace) -> None:
    device = await decisions.replace(
        store,
        operator=operator(),
        authority=authority_of(config_of(args)),
        old_id=args.old,
        enrolment_id=await enrolment_id_of(store, args.enrolment),
        words=args.words,
    )
    where = f"{device.place_id}/{device.gate_id}"
    write_line(f"device {device.device_id.hex()} stands at {where} in place of {args.old}, which is revoked")


async def _device_keys(store: Store, args: argparse.Namespace) -> None:
    device_id = None if args.id is None else checked_device_id(args.id)
    rows = [
        {
            "device": key.device_id.hex(),
            "key": key.kid.hex(),
            "from": time_text(key.from_ms),
            "until": None if key.until_ms is None else time_text(key.until_ms),
            "announced": None if key.announced_ms is None else time_text(key.announced_ms),
        }
        for key in await store.device_keys(device_id)
    ]
    _write_rows(args, ("device", "key", "from", "until", "announced"), rows)


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


def _seen_row(seen: DeviceSeen | None) -> dict[str, Any]:
    """When a device was last heard, to the minute, and what it said then."""
    if seen is None:
        return {"seen": "never", "online": False, "firmware": "", "policy": 0, "trust": 0}
    return {
        "seen": time_text(seen.seen_ms),
        "online": seen.online,
        "firmware": one_line(seen.firmware, VERSION_CHARS),
        "policy": seen.policy_version,
        "trust": seen.trust_version,
    }


def _write_rows(args: argparse.Namespace, titles: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if args.json:
        write_json(rows)
    else:
        write_table(titles, (["" if row[title] is None else row[title] for title in titles] for row in rows))
