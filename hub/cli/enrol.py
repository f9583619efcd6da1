"""`enrol`: show a provisioning code, and decide about the devices that ask with it."""

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import Final

from hub.cli.ca import authority_of
from hub.cli.enrol_rows import DIRECTIONS, enrolment_row
from hub.cli.output import (
    Commands,
    add_config,
    add_json,
    config_of,
    on_store,
    operator,
    write_json,
    write_line,
    write_table,
)
from hub.registry import decisions
from hub.registry.checks import RegistryError
from hub.store.ports import Store

_LISTED_MAX: Final = 1000
_PREFIX_CHARS: Final = 6
_COLUMNS: Final = (
    "id",
    "state",
    "words",
    "characters",
    "serial",
    "model",
    "place",
    "gate",
    "asked",
    "device",
    "reason",
)


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    about = "show a provisioning code, and decide about the devices that ask with it"
    parser = commands.add_parser("enrol", help=about, description=about)
    add_config(parser)
    parser.set_defaults(act=_show, parser=parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", action="store_true", help="as a QR in this terminal; then ask about each device")
    what.add_argument("--print", action="store_true", dest="text_only", help="the code's text alone, and no question")
    parser.add_argument("--place")
    parser.add_argument("--gate", help="default: the first of G1, G2, ... where no device stands")
    parser.add_argument("--direction", choices=sorted(DIRECTIONS), default="in")
    parser.add_argument("--count", type=int, default=1, help="how many devices may ask with it")
    parser.add_argument("--minutes", type=int, default=10, help="how long they may")
    parser.add_argument("--wifi", metavar="SSID", help="a network to join; its password will stand in the code")
    parser.add_argument("--psk-file", type=Path, help="file with that network's password")
    parser.add_argument("--approve-all", action="store_true", help="without looking; the count must be typed once more")

    actions = parser.add_subparsers(metavar="ACTION")
    add_json(on_store(actions, "list", _list, "who waits, and whom it was decided about", inner=True))
    approve = on_store(
        actions, "approve", _approve, "register a waiting device and give it its configuration", inner=True
    )
    approve.add_argument("id", help=f"the enrolment's id, or its first {_PREFIX_CHARS} digits or more")
    approve.add_argument("--place", default=None)
    approve.add_argument("--gate", default=None)
    approve.add_argument("--direction", choices=sorted(DIRECTIONS), default=None)
    approve.add_argument("--name", default="")
    approve.add_argument("--words", help="the four words that the device shows: it must be these")
    refuse = on_store(actions, "refuse", _refuse, "turn a waiting device away", inner=True)
    refuse.add_argument("id")
    refuse.add_argument("--reason", required=True)


def _show(args: argparse.Namespace) -> int:
    # The QR's library is needed by this command only.
    from hub.cli.enrol_show import show

    if not (args.show or args.text_only):
        args.parser.error("--show, --print or an action is needed")
    if args.place is None:
        args.parser.error("--place is needed")
    if (args.wifi is None) != (args.psk_file is None):
        args.parser.error("--wifi and --psk-file go together")
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(show(args))
    write_line("\nthe code stays good until its end; `enrol list` shows who waits")
    return 1


async def _list(store: Store, args: argparse.Namespace) -> None:
    rows = [enrolment_row(enrolment) for enrolment in await store.enrolments(limit=_LISTED_MAX)]
    if args.json:
        write_json(rows)
    else:
        write_table(_COLUMNS, ([row[column] or "" for column in _COLUMNS] for row in rows))


async def _approve(store: Store, args: argparse.Namespace) -> None:
    device = await decisions.approve(
        store,
        operator=operator(),
        authority=authority_of(config_of(args)),
        enrolment_id=await enrolment_id_of(store, args.id),
        place_id=args.place,
        gate_id=args.gate,
        direction=None if args.direction is None else DIRECTIONS[args.direction],
        name=args.name,
        words=args.words,
    )
    write_line(f"device {device.device_id.hex()} is registered at {device.place_id}/{device.gate_id}")


async def _refuse(store: Store, args: argparse.Namespace) -> None:
    enrolment_id = await enrolment_id_of(store, args.id)
    await decisions.refuse(store, operator=operator(), enrolment_id=enrolment_id, reason=args.reason)
    write_line(f"enrolment {enrolment_id.hex()} is refused")


async def enrolment_id_of(store: Store, text: str) -> bytes:
    """What an operator typed -> the id of the one enrolment that begins so.

    Raises:
        RegistryError: there is none, or more than one.
    """
    begin = text.lower()
    found = [
        enrolment.asked.enrolment_id
        for enrolment in await store.enrolments(limit=_LISTED_MAX)
        if enrolment.asked.enrolment_id.hex().startswith(begin)
    ]
    if len(begin) < _PREFIX_CHARS or len(found) != 1:
        many = "no" if not found else "more than one"
        raise RegistryError(f"enrolment {text!r}: {many} such, or fewer than {_PREFIX_CHARS} digits")
    return found[0]
