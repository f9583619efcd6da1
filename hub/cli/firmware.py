"""`firmware`: what the publisher has signed, and its way through the fleet."""

import argparse
from pathlib import Path
from typing import Any, Final

from hub.cli.output import Commands, add_json, config_of, on_store, operator, time_text, write_json, write_line
from hub.cli.output import write_table as table
from hub.config import ConfigError
from hub.firmware import changes
from hub.firmware.mirror import Mirror
from hub.firmware.units import RingCount, counts_of
from hub.registry.checks import RegistryError
from hub.store.firmware_ports import Outcome, Rollout, RolloutState, Told
from hub.store.fleet_ports import SLOT_MS
from hub.store.ports import Store
from protocol.release import version_of

_ROOT_BYTES: Final = 512_000
"""python-tuf takes no longer one."""


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    about = "the mirror of what the publisher has signed, and its way through the fleet"
    actions = commands.add_parser("firmware", help=about, description=about).add_subparsers(
        required=True, metavar="ACTION"
    )
    take = on_store(actions, "import", _import, "take over a published repository: a folder, or an https address")
    take.add_argument("source", metavar="SOURCE")
    take.add_argument("--root", type=Path, help="the publisher's root.json; needed once")
    take.add_argument("--ca", type=Path, help="the server's authority, PEM, where it is none of the system's")
    add_json(on_store(actions, "list", _list, "the releases in the mirror"))
    ring = on_store(actions, "ring", _ring, "put a scanner into a ring; 0 gets a release first")
    ring.add_argument("--device", required=True, help="16 hex digits")
    ring.add_argument("--ring", required=True, type=int, help="0 to 9; 1 where nobody has said otherwise")
    add_json(on_store(actions, "rings", _rings, "every ring, and what its scanners run"))
    stage = on_store(actions, "stage", _stage, "send a release on its way, ring by ring")
    stage.add_argument("--version", required=True, help="such as 0.2.0")
    stage.add_argument("--soak-min", type=int, default=changes.SOAK_MIN, help="how long each ring is watched")
    stage.add_argument("--failures-max", type=int, default=changes.FAILURES_MAX, help="more of them halt it")
    stage.add_argument(
        "--patience-min", type=int, default=changes.PATIENCE_MIN, help="how long one that was told may be silent"
    )
    stage.add_argument("--place", default="", help="only there")
    halt = on_store(actions, "halt", _halt, "tell nobody further")
    halt.add_argument("--reason", default="")
    resume = on_store(actions, "resume", _resume, "let a halted rollout go on")
    resume.add_argument("--retry", action="store_true", help="tell those that failed once more")
    resume.add_argument("--failures-max", type=int, default=None)
    on_store(actions, "cancel", _cancel, "end a rollout for good; nobody goes back")
    add_json(on_store(actions, "status", _status, "the newest rollout, ring by ring"))


def _mirror(args: argparse.Namespace) -> Mirror:
    config = config_of(args)
    if config.firmware is None:
        raise ConfigError(f"{args.config}: there is no [firmware]: name the mirror's folder there, as `dir`")
    return Mirror(config.firmware.dir)


async def _import(store: Store, args: argparse.Namespace) -> None:
    # python-tuf takes a moment to load, and no other command needs it.
    from hub.firmware.imports import import_repository

    who = operator()
    root = None if args.root is None else _read_root(args.root)
    done = import_repository(args.source, mirror=_mirror(args), root=root, ca=args.ca, now_ms=who.now_ms)
    has = done.contents
    new = ", ".join(bundle.path for bundle in done.new) or "nothing new"
    detail = f"{args.source}: root {has.root_version}, targets {has.targets_version}: {new}"
    await store.audit(who.entry("firmware.import", detail[:2000]))
    for bundle in done.new:
        write_line(f"new          {bundle.path} ({bundle.size_bytes} bytes)")
    for path in done.passed_over:
        write_line(f"passed over  {path}")
    write_line(f"mirror       {len(has.bundles)} bundles, good until {time_text(has.expires_ms)}")


def _read_root(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_ROOT_BYTES)
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error


async def _list(_store: Store, args: argparse.Namespace) -> None:
    contents = _mirror(args).contents()
    bundles = () if contents is None else contents.bundles
    rows = [
        {
            "version": bundle.version,
            "release": bundle.release,
            "platform": bundle.platform,
            "bytes": bundle.size_bytes,
            "sha256": bundle.sha256,
        }
        for bundle in bundles
    ]
    until = None if contents is None else time_text(contents.expires_ms)
    if args.json:
        write_json({"bundles": rows, "expires": until})
        return
    titles = ("version", "release", "platform", "bytes", "sha256")
    table(titles, ([row[title] for title in titles] for row in rows))
    if until is not None:
        write_line(f"good until {until}")


async def _ring(store: Store, args: argparse.Namespace) -> None:
    await changes.set_ring(store, operator=operator(), device_id=args.device, ring=args.ring)
    write_line(f"{args.device} is in ring {args.ring}")


async def _rings(store: Store, args: argparse.Namespace) -> None:
    rows = [_ring_row(count) for count in await _counts(store, None, ())]
    if args.json:
        write_json(rows)
        return
    table(("ring", "devices", "versions"), ((row["ring"], row["devices"], _versions(row["versions"])) for row in rows))


async def _stage(store: Store, args: argparse.Namespace) -> None:
    rollout = await changes.stage(
        store,
        operator=operator(),
        contents=_mirror(args).contents(),
        version=args.version,
        soak_min=args.soak_min,
        failures_max=args.failures_max,
        patience_min=args.patience_min,
        place_id=args.place,
    )
    write_line(f"rollout {rollout.rollout_id}: {args.version} is staged")


async def _halt(store: Store, args: argparse.Namespace) -> None:
    _say(await changes.halt(store, operator=operator(), reason=args.reason))


async def _resume(store: Store, args: argparse.Namespace) -> None:
    _say(await changes.resume(store, operator=operator(), retry=args.retry, failures_max=args.failures_max))


async def _cancel(store: Store, _args: argparse.Namespace) -> None:
    _say(await changes.cancel(store, operator=operator()))


def _say(rollout: Rollout) -> None:
    write_line(f"rollout {rollout.rollout_id}, {version_of(rollout.release)}: {rollout.state}")


async def _status(store: Store, args: argparse.Namespace) -> None:
    rollout = await store.newest_rollout()
    if rollout is None:
        if args.json:
            write_json(None)
        else:
            write_line("nothing was ever staged")
        return
    told = await store.told_devices(rollout.rollout_id)
    rows = [_ring_row(count) | _fares(count) for count in await _counts(store, rollout, told)]
    troubled = [each for each in told if each.outcome in {Outcome.FAILED, Outcome.UNABLE}]
    if args.json:
        devices = [
            {"device": each.device_id.hex(), "outcome": each.outcome, "reason": each.reason, "tries": each.tries}
            for each in told
        ]
        write_json(_rollout_row(rollout) | {"rings": rows, "devices": devices})
        return
    halted = f" ({rollout.reason})" if rollout.state is RolloutState.HALTED and rollout.reason else ""
    write_line(
        f"rollout {rollout.rollout_id}, {version_of(rollout.release)}: {rollout.state}{halted}, ring {rollout.ring}"
    )
    titles = ("ring", "devices", "running", "under_way", "waiting", "away", "failed", "unable")
    table(titles, ([row[title] for title in titles] for row in rows))
    for each in troubled:
        write_line(f"{each.device_id.hex()}  {each.outcome}: {each.reason}")


async def _counts(store: Store, rollout: Rollout | None, told: tuple[Told, ...]) -> tuple[RingCount, ...]:
    """From the database, which is up to a minute behind the running hub."""
    now_ms = operator().now_ms
    return counts_of(await store.fleet(slot=now_ms // SLOT_MS), rollout=rollout, told=told, now_ms=now_ms)


def _rollout_row(rollout: Rollout) -> dict[str, Any]:
    return {
        "rollout": rollout.rollout_id,
        "version": version_of(rollout.release),
        "state": rollout.state,
        "reason": rollout.reason,
        "place": rollout.place_id,
        "ring": rollout.ring,
        "soak_min": rollout.soak_min,
        "soak_from": None if rollout.soak_from_ms is None else time_text(rollout.soak_from_ms),
        "failures_max": rollout.failures_max,
        "patience_min": rollout.patience_min,
        "who": rollout.who,
        "made": time_text(rollout.made_ms),
    }


def _ring_row(count: RingCount) -> dict[str, Any]:
    return {"ring": count.ring, "devices": count.devices, "versions": dict(count.versions)}


def _fares(count: RingCount) -> dict[str, int]:
    names = ("running", "under_way", "waiting", "away", "failed", "unable")
    return {name: getattr(count, name) for name in names}


def _versions(versions: dict[str, int]) -> str:
    return ", ".join(f"{version or 'never heard'}: {n}" for version, n in versions.items())
