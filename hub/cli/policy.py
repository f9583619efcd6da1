"""`policy`, `place close`, `place open`: what the gates of a place do."""

import argparse
from typing import Any, Final

from hub.cli.output import Commands, add_json, on_store, operator, time_text, write_json, write_line, write_table
from hub.registry.checks import RegistryError
from hub.store.ports import Store
from hub.store.trust_ports import PolicyVersion
from hub.trust import changes
from hub.trust.rules import KEYS, Rules

_HISTORY: Final = 50


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    policy = commands.add_parser("policy", help="what gates do").add_subparsers(required=True, metavar="ACTION")
    show = on_store(policy, "show", _show, "the rules in force at a venue")
    show.add_argument("--place", required=True)
    add_json(show)
    setting = on_store(policy, "set", _set, "change some rules of a venue; in force at its gates within a second")
    setting.add_argument("--place", required=True)
    setting.add_argument("--note", default="", help="why, for the history")
    defaults = Rules.defaults().texts()
    for key in KEYS:
        setting.add_argument(f"--{key.replace('_', '-')}", metavar="VALUE", help=f"default: {defaults[key]}")
    history = on_store(policy, "history", _history, "the versions of a venue's rules, newest first")
    history.add_argument("--place", required=True)
    add_json(history)
    revert = on_store(policy, "revert", _revert, "a new version with the rules of an older one")
    revert.add_argument("--place", required=True)
    revert.add_argument("--to", required=True, type=int, metavar="VERSION")
    revert.add_argument("--note", default="", help="why, for the history")


def add_place_actions(place: Commands) -> None:
    """Enter those under `place`."""
    closing = on_store(place, "close", _close, "every gate of a venue shows grey and admits nobody")
    closing.add_argument("--id", required=True)
    closing.add_argument("--reason", required=True)
    opening = on_store(place, "open", _open, "end an operator's closing; the platform's own stays")
    opening.add_argument("--id", required=True)


async def _show(store: Store, args: argparse.Namespace) -> None:
    await _require_place(store, args.place)
    policy = await changes.policy_of(store, args.place)
    closings = [closing for closing in await store.closings() if closing.place_id == args.place]
    rules = Rules.from_json(policy.rules).texts()
    if args.json:
        closed = [{"by": closing.by, "why": closing.why, "since": time_text(closing.since_ms)} for closing in closings]
        write_json({"place": args.place, "version": policy.version, "rules": rules, "closed": closed})
        return
    write_line(f"place {args.place}, version {policy.version}")
    for closing in closings:
        write_line(f"closed by {closing.by} since {time_text(closing.since_ms)}: {closing.why}")
    write_table(("rule", "value"), rules.items())


async def _set(store: Store, args: argparse.Namespace) -> None:
    wanted = {key: value for key in KEYS if (value := getattr(args, key)) is not None}
    policy = await changes.set_policy(store, operator=operator(), place_id=args.place, changes=wanted, note=args.note)
    write_line(f"policy of {args.place} is version {policy.version}")


async def _history(store: Store, args: argparse.Namespace) -> None:
    await _require_place(store, args.place)
    found = await store.policy_history(args.place, limit=_HISTORY)
    # With each version, only what it changed: the one before it is needed too.
    rows = [_row(policy, older) for policy, older in zip(found, [*found[1:], None], strict=False)]
    if args.json:
        write_json(rows)
    else:
        titles = ("version", "at", "who", "changed", "note")
        write_table(titles, ([row[title] for title in titles] for row in rows))


def _row(policy: PolicyVersion, older: PolicyVersion | None) -> dict[str, Any]:
    rules = Rules.from_json(policy.rules).texts()
    before = (Rules.defaults() if older is None else Rules.from_json(older.rules)).texts()
    return {
        "version": policy.version,
        "at": time_text(policy.at_ms),
        "who": policy.who,
        "changed": ", ".join(f"{key} {rules[key]}" for key in KEYS if rules[key] != before[key]),
        "note": policy.note,
    }


async def _revert(store: Store, args: argparse.Namespace) -> None:
    policy = await changes.revert_policy(
        store, operator=operator(), place_id=args.place, to_version=args.to, note=args.note
    )
    write_line(f"policy of {args.place} is version {policy.version}, with the rules of version {args.to}")


async def _close(store: Store, args: argparse.Namespace) -> None:
    if await changes.close_place(store, operator=operator(), place_id=args.id, reason=args.reason):
        write_line(f"place {args.id} is closed")
    else:
        write_line(f"place {args.id} was closed for this reason already")


async def _open(store: Store, args: argparse.Namespace) -> None:
    await _require_place(store, args.id)
    if not await changes.open_place(store, operator=operator(), place_id=args.id):
        raise RegistryError(f"no operator has closed place {args.id}")
    kept = [closing for closing in await store.closings() if closing.place_id == args.id]
    for closing in kept:
        write_line(f"place {args.id} stays closed by the {closing.by}: {closing.why}")
    if not kept:
        write_line(f"place {args.id} is open")


async def _require_place(store: Store, place_id: str) -> None:
    if place_id not in {place.place_id for place in await store.places()}:
        raise RegistryError(f"place {place_id} is not registered")
