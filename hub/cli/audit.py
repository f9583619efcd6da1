"""`audit`: who changed what, and what was refused."""

import argparse

from hub.cli.output import Commands, add_json, on_store, time_text, write_json, write_table
from hub.store.ports import Store

_LIMIT_MAX = 10_000


def add_commands(commands: Commands) -> None:
    """Enter this command."""
    parser = on_store(commands, "audit", _audit, "the newest changes and refusals, newest first")
    parser.add_argument("--limit", type=_limit, default=50, help=f"how many, at most {_LIMIT_MAX} (default 50)")
    parser.add_argument("--action", default="", help="only those that begin so, such as `device.`")
    add_json(parser)


def _limit(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _LIMIT_MAX:
        raise argparse.ArgumentTypeError(f"not 1 to {_LIMIT_MAX}")
    return value


async def _audit(store: Store, args: argparse.Namespace) -> None:
    # Of one sort of action, as many are shown as were asked for, if the newest entries hold so many.
    newest = await store.audit_log(limit=_LIMIT_MAX if args.action else args.limit)
    found = [entry for entry in newest if entry.action.startswith(args.action)][: args.limit]
    if args.json:
        write_json(
            [
                {"at": time_text(entry.at_ms), "who": entry.who, "action": entry.action, "detail": entry.detail}
                for entry in found
            ]
        )
        return
    write_table(
        ("at", "who", "action", "detail"),
        [(time_text(entry.at_ms), entry.who, entry.action, entry.detail) for entry in found],
    )
