"""What commands write to stdout: lines, tables, JSON; and how they reach configuration and store."""

import argparse
import asyncio
import json
import os
import pwd
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from hub.config import HubConfig, load
from hub.registry.changes import Operator
from hub.store.ports import Store
from hub.store.sqlite import SqliteStore, open_store

DEFAULT_CONFIG: Final = Path("/etc/gatelight/hub.toml")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 -- it has no public name.


def add_config(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """The option that every command has. `inner`: the command above has it too, and what was said there stays."""
    default = argparse.SUPPRESS if inner else DEFAULT_CONFIG
    parser.add_argument("--config", type=Path, default=default, help=f"default: {DEFAULT_CONFIG}")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option of commands whose answer a machine may read."""
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def config_of(args: argparse.Namespace) -> HubConfig:
    """The configuration that `--config` names. Raises ConfigError."""
    return load(args.config)


@asynccontextmanager
async def store_of(args: argparse.Namespace) -> AsyncIterator[SqliteStore]:
    """The configured store. It is not checked for damage: a running hub has done that. Raises StoreError."""
    store = await open_store(config_of(args).database, check=False)
    try:
        yield store
    finally:
        await store.close()


def on_store(
    actions: Commands,
    name: str,
    act: Callable[[Store, argparse.Namespace], Awaitable[None]],
    about: str,
    *,
    inner: bool = False,
) -> argparse.ArgumentParser:
    """A command that works on the store, with the option that every command has."""

    async def with_store(args: argparse.Namespace) -> None:
        async with store_of(args) as store:
            await act(store, args)

    def run(args: argparse.Namespace) -> int:
        asyncio.run(with_store(args))
        return 0

    parser = actions.add_parser(name, help=about, description=about)
    add_config(parser, inner=inner)
    parser.set_defaults(act=run)
    return parser


def operator() -> Operator:
    """Who runs this command: the person behind sudo, if there is one."""
    who = os.environ.get("SUDO_USER")
    if not who:
        try:
            who = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            who = f"uid {os.getuid()}"
    return Operator(who=who, now_ms=time.time_ns() // 1_000_000)


def write_line(text: str = "") -> None:
    """One line to stdout, at once: a command may wait for people after it, and whoever reads may be a program."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_json(value: Any) -> None:
    """One indented JSON document to stdout."""
    write_line(json.dumps(value, ensure_ascii=False, indent=2))


def write_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; titles alone when there is no row."""
    lines = [tuple(titles), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        write_line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def time_text(at_ms: int) -> str:
    """A moment up to the year 9999 as ISO 8601 in UTC."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
