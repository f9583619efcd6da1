"""`gatelight-update`: brings releases about, and takes them back. Always the installed one's, never a slot's."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import IO

import msgspec

from device.config import ConfigError, load, load_machine
from device.logs import Log, stdout_log
from device.machinefile import UpdateConfig
from device.update import notes
from device.update.errors import UpdateError
from device.update.notes import Status
from device.update.slots import Label, Slots
from device.update.start import before_start
from device.update.state import Store
from protocol.errors import ProtocolError
from protocol.health import UpdateFailure
from protocol.release import release_of

FAILED, UNUSABLE = 1, 2
"""Exit codes: what was asked failed; what was given cannot be used."""

RESTART = "systemctl restart gatelight-device"
_RESTART_S = 180.0
"""`systemctl` waits until a start has succeeded or failed, which takes 90 s at most."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 failed, 2 what was given cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except ConfigError as error:
        print(f"gatelight-update: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"gatelight-update: {type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gatelight-update", description="Brings a gate's releases about.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=does)
        added.add_argument("--config", type=Path, default=Path("/etc/gatelight/device.toml"), help="device.toml")
        return added

    run = command("run", _run, "Bring about the release that is wanted, and end when nothing is left to do.")
    run.add_argument("--restart", metavar="COMMAND", default=RESTART, help=f"starts the gate anew (default: {RESTART})")
    command("before-start", _before_start, "For ExecStartPre=: count a trial's starts, and end one that had too many.")
    status = command("status", _status, "Show which release is in force, which one is on trial, and which one failed.")
    status.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # What python-tuf takes is only needed here.
    from device.update.updater import Updater, World

    machine = load_machine(arguments.config)
    update, log = machine.update, stdout_log()
    if update is None:
        print("gatelight-update: there is no [update] in the configuration", file=sys.stderr)
        return UNUSABLE
    if Path(__file__).resolve().is_relative_to(update.firmware_dir.resolve()):
        print("gatelight-update: this one lies in a slot; run the installed one", file=sys.stderr)
        return UNUSABLE
    # The gate, another user, runs what is written here.
    os.umask(0o022)
    update.firmware_dir.mkdir(parents=True, exist_ok=True)
    # What a signature must speak for first may be larger than /tmp.
    tempfile.tempdir = str(update.firmware_dir)
    world = World(
        firmware_dir=update.firmware_dir,
        state_dir=machine.state_dir,
        factory=installed_release(),
        bundle=lambda release: _bundle(arguments.config, update, release),
        unpack=lambda bundle, into, release: _unpack(bundle, into, release, platform=update.platform),
        restart=lambda: _restart(arguments.restart, log),
        trial_s=update.trial_s,
        fetch_s=update.fetch_s,
        now_s=lambda: int(time.time()),
        mono_s=time.monotonic,
        sleep=time.sleep,
        log=log,
    )
    Updater(world).run()
    return 0


def _bundle(path: Path, update: UpdateConfig, release: int) -> AbstractContextManager[IO[bytes]]:
    """From the hub of the site that this device belongs to now.

    Raises:
        UpdateError: it belongs to none.
    """
    from device.update.repository import Repository

    try:
        hub = load(path).hub
    except ConfigError as error:
        raise UpdateError(UpdateFailure.UNREACHABLE, str(error)) from error
    if hub is None:
        raise UpdateError(UpdateFailure.UNREACHABLE, "[hub] is not configured")
    repository = Repository(
        hub=hub.url,
        ca=hub.ca,
        root=update.root,
        folder=update.firmware_dir,
        platform=update.platform,
        get_s=update.fetch_s,
    )
    return repository.bundle(release)


def _unpack(bundle: IO[bytes], into: Path, release: int, *, platform: str) -> Label:
    """Ready to be started.

    Raises:
        UpdateError, OSError: as `unpack`.
    """
    from device.update.compiled import compile_release
    from device.update.unpack import unpack

    label = unpack(bundle, into, release=release, platform=platform)
    compile_release(into)
    return label


def _restart(command: str, log: Log) -> None:
    """A restart that fails is told, and no more: the trial's time decides."""
    try:
        done = subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, timeout=_RESTART_S, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        log.event("restart_failed", error=str(error))
        return
    if done.returncode:
        log.event("restart_failed", code=done.returncode)


def _before_start(arguments: argparse.Namespace) -> int:
    """Always 0: a gate that starts with the wrong release is better than one that does not."""
    try:
        machine = load_machine(arguments.config)
        update = machine.update
        if update is not None and update.firmware_dir.is_dir():
            log = stdout_log()
            store, slots = Store(update.firmware_dir), Slots(update.firmware_dir)
            before_start(store, slots, factory=installed_release(), log=log)
    except Exception as error:  # noqa: BLE001 - whatever it is, the gate must start
        print(f"gatelight-update: {type(error).__name__}: {error}", file=sys.stderr)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    machine = load_machine(arguments.config)
    update, factory = machine.update, installed_release()
    about: dict[str, object] = {"installed": factory}
    if update is not None:
        state = Store(update.firmware_dir).load()
        there = Slots(update.firmware_dir).look(state, factory=factory)
        told = notes.read(notes.status_file(update.firmware_dir), Status) or Status(release=factory)
        about |= {
            "in_force": there.in_force,
            "slot": there.linked,
            "floor": there.floor,
            "trial": None if state.trial is None else msgspec.to_builtins(state.trial),
            "failed": None if told.failed is None else msgspec.to_builtins(told.failed),
        }
    if arguments.json:
        print(json.dumps(about))
        return 0
    for key, value in about.items():
        print(f"{key:16} {value}")
    return 0


def installed_release() -> int:
    """The release that was installed; 0 for one that is none, such as a developer's."""
    try:
        return release_of(version("gatelight"))
    except ProtocolError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
