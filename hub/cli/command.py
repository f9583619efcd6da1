"""`command`: tell a scanner to do something, and see what became of it."""

import argparse
import asyncio
import secrets
import time
from typing import Any, Final

from hub.cli.output import Commands, add_json, on_store, operator, time_text, write_json, write_line, write_table
from hub.registry.checks import RegistryError
from hub.store.ports import Store
from hub.store.trust_ports import CommandRow, CommandState
from hub.trust import changes
from hub.trust.words import lines, one_line
from protocol.command import ARGUMENTS, COMMAND_ID_BYTES, CommandName
from protocol.errors import MalformedError
from protocol.release import release_of

_LIST: Final = 50
_POLL_S: Final = 0.1
_DETAIL_CHARS: Final = 80
_PLAIN_ARGS: Final = {"seconds": 10, "minutes": 5, "lines": 200, "even_unsent": False}
"""What an argument is when nobody names it."""
_FLAGS: Final = {"release": "version"}
_OVER: Final = frozenset({CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED})


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    command = commands.add_parser("command", help="orders to scanners").add_subparsers(required=True, metavar="ACTION")
    send = on_store(command, "send", _send, "tell a scanner to do something")
    send.add_argument("--device", required=True, help="16 hex digits")
    send.add_argument("name", metavar="NAME", choices=[str(name) for name in CommandName], help=", ".join(CommandName))
    send.add_argument("--seconds", type=int, help="locate: how long")
    send.add_argument("--minutes", type=int, help="hold_open: how long")
    send.add_argument("--lines", type=int, help="send_logs: how many")
    send.add_argument("--version", help="update: of the release, such as 0.2.0")
    send.add_argument("--even-unsent", action="store_true", default=None, help="wipe: also check-ins not yet received")
    send.add_argument("--life", type=int, metavar="S", help="how long it may wait for the scanner, in seconds")
    send.add_argument("--wait", type=float, default=0.0, metavar="S", help="wait so long for the answer")
    listing = on_store(command, "list", _list, "the newest orders and what became of them")
    add_json(listing)


async def _send(store: Store, args: argparse.Namespace) -> None:
    taken = ARGUMENTS.get(CommandName(args.name), {})
    typed: dict[str, Any] = {key: getattr(args, key) for key in _PLAIN_ARGS} | {"release": _release_of(args.version)}
    for key, value in typed.items():
        if value is not None and key not in taken:
            raise RegistryError(f"{args.name} does not take --{_FLAGS.get(key, key).replace('_', '-')}")
    if "release" in taken and typed["release"] is None:
        raise RegistryError(f"{args.name}: name the --version")
    values = {key: _PLAIN_ARGS[key] if typed[key] is None else typed[key] for key in taken}
    row = await changes.queue_command(
        store,
        operator=operator(),
        command_id=secrets.token_bytes(COMMAND_ID_BYTES),
        device_id=args.device,
        name=args.name,
        args=values,
        life_s=args.life,
    )
    if args.wait <= 0:
        write_line(f"command {row.command_id.hex()} is queued")
        return
    ended = await _answer(store, row.command_id, wait_s=args.wait)
    if ended.detail:
        write_line(lines(ended.detail))
    if ended.state is not CommandState.DONE:
        raise RegistryError(f"command {row.command_id.hex()} is {ended.state}")
    write_line(f"command {row.command_id.hex()} is done")


def _release_of(version: str | None) -> int | None:
    try:
        return None if version is None else release_of(version)
    except MalformedError as error:
        raise RegistryError(str(error)) from error


async def _answer(store: Store, command_id: bytes, *, wait_s: float) -> CommandRow:
    """The command once it is over, or as it stands after so long."""
    end_s = time.monotonic() + wait_s
    while True:
        row = await store.find_command(command_id)
        if row is None:
            raise RegistryError(f"command {command_id.hex()} is gone")
        if row.state in _OVER or time.monotonic() >= end_s:
            return row
        await asyncio.sleep(_POLL_S)


async def _list(store: Store, args: argparse.Namespace) -> None:
    found = await store.command_list(limit=_LIST)
    if args.json:
        write_json([_row(row) | {"detail": lines(row.detail)} for row in found])
        return
    titles = ("id", "device", "name", "args", "state", "issued", "expires", "who", "detail")
    write_table(titles, ([_row(row)[title] for title in titles] for row in found))


def _row(row: CommandRow) -> dict[str, Any]:
    return {
        "id": row.command_id.hex(),
        "device": row.device_id.hex(),
        "name": row.name,
        "args": row.args,
        "state": row.state,
        "issued": time_text(row.issued_s * 1000),
        "expires": time_text(row.expires_s * 1000),
        "finished": None if row.finished_ms is None else time_text(row.finished_ms),
        "who": row.who,
        "proof": None if row.proof is None else row.proof.hex(),
        "detail": one_line(row.detail, _DETAIL_CHARS),
    }
