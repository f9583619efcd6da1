"""`run`, `check-config`, `init`."""

import argparse
import asyncio
import sys

from hub.cli.output import Commands, add_config, config_of, write_line
from hub.config import in_force
from hub.registry.keyfiles import create_signing_key
from hub.store.sqlite import open_store


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    for name, act, about in (
        ("run", _run, "serve until stopped"),
        ("check-config", _check_config, "print every setting in force, and which files are missing"),
        ("init", _init, "create the database, and the hub's signing key if there is none"),
    ):
        parser = commands.add_parser(name, help=about, description=about)
        add_config(parser)
        parser.set_defaults(act=act)


def _run(args: argparse.Namespace) -> int:
    # The service brings its network libraries; no other command should wait for them.
    from hub.main import run

    console = (sys.executable, "-m", "hub.cli", "console", "run", "--watched", "--config", str(args.config))
    return run(config_of(args), console=console)


def _check_config(args: argparse.Namespace) -> int:
    config = config_of(args)
    write_line(in_force(config))
    missing = [path for path in (*config.files, config.database) if not path.is_file()]
    for path in missing:
        sys.stderr.write(f"gatelight-hub: {path}: no such file\n")
    return 1 if missing else 0


def _init(args: argparse.Namespace) -> int:
    config = config_of(args)
    asyncio.run(_create(args))
    write_line(f"database     {config.database}")
    if not config.keys.signing.exists():
        create_signing_key(config.keys.signing)
        write_line(f"signing key  {config.keys.signing} (new)")
        write_line(f"public key   {config.keys.signing}.pub: gates need it, and the platform")
    return 0


async def _create(args: argparse.Namespace) -> None:
    store = await open_store(config_of(args).database, create=True)
    await store.close()
