"""`status`, `quarantine list`, `export`: what the hub holds."""

import argparse
import asyncio
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.cli.export import FORMATS, export_to
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
from hub.cli.places import device_row
from hub.model import Device, Head, MinuteCount

_LIST_ROWS = 100


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    about = "rows, spools, outbox, quarantine, and the last minutes' counts"
    status = commands.add_parser("status", help=about, description=about)
    status.add_argument("--minutes", type=int, default=10, help="how many minutes of counts; default 10")
    add_config(status)
    add_json(status)
    status.set_defaults(act=lambda args: asyncio.run(_status(args)))

    quarantine = commands.add_parser("quarantine", help="what could not be stored")
    about = f"the newest {_LIST_ROWS} entries"
    listing = quarantine.add_subparsers(required=True, metavar="ACTION").add_parser("list", help=about)
    add_config(listing)
    add_json(listing)
    listing.set_defaults(act=lambda args: asyncio.run(_quarantine_list(args)))

    about = "check-ins of a time, as CSV or JSON lines; each export is audited"
    export = commands.add_parser("export", help=about, description=about)
    export.add_argument("--place", help="default: all places")
    export.add_argument("--from", dest="from_ms", type=_moment_ms, required=True, metavar="TIME")
    export.add_argument("--to", dest="to_ms", type=_moment_ms, required=True, metavar="TIME")
    export.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    export.add_argument("--output", type=Path, help="a new file, readable by its owner only; default: stdout")
    export.add_argument("--personal", action="store_true", help="with sealed subject and masked name")
    add_config(export)
    export.set_defaults(act=lambda args: asyncio.run(_export(args)))


def _moment_ms(text: str) -> int:
    """ISO 8601 -> ms since 1970; without an offset it is this machine's local time.

    Raises:
        ArgumentTypeError: no such moment.
    """
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time, such as 2026-01-31T18:00+08:00") from error


async def _status(args: argparse.Namespace) -> int:
    now_ms = time.time_ns() // 1_000_000
    minute = now_ms // 60_000 + 1
    async with store_of(args) as store:
        status = await store.status()
        heads = await store.heads()
        devices = await store.devices()
        counts = await store.minute_counts(from_minute=minute - args.minutes, to_minute=minute)
        gaps = await store.gap_list(limit=_LIST_ROWS)
    report: dict[str, Any] = asdict(status)
    oldest_ms = status.outbox_oldest_ms
    report["outbox_age_ms"] = None if oldest_ms is None else max(0, now_ms - oldest_ms)
    report["heads"] = [_head_row(head) for head in heads]
    seen_ms: dict[bytes, int] = {}
    for head in heads:
        seen_ms[head.device_id] = max(head.updated_ms, seen_ms.get(head.device_id, 0))
    report["devices"] = [_device_status(device, seen_ms.get(device.device_id)) for device in devices]
    report["gap_list"] = [
        {
            "device": gap.device_id.hex(),
            "epoch": gap.epoch.hex(),
            "from_seq": gap.from_seq,
            "to_seq": gap.to_seq,
            "why": gap.why,
        }
        for gap in gaps
    ]
    report["minutes"] = [_count_row(count) for count in counts]
    if args.json:
        write_json(report)
    else:
        _write_status(report)
    return 0


def _head_row(head: Head) -> dict[str, Any]:
    return {
        "device": head.device_id.hex(),
        "epoch": head.epoch.hex(),
        "seq": head.seq,
        "hash": None if head.hash is None else head.hash.hex(),
        "updated": time_text(head.updated_ms),
    }


def _device_status(device: Device, seen_ms: int | None) -> dict[str, Any]:
    return device_row(device) | {"last_seen": None if seen_ms is None else time_text(seen_ms)}


def _count_row(count: MinuteCount) -> dict[str, Any]:
    return {
        "minute": time_text(count.minute * 60_000),
        "place": count.place_id,
        "gate": count.gate_id,
        "colour": count.colour.wire_name,
        "verdict": count.verdict.wire_name,
        "direction": count.direction.wire_name,
        "n": count.n,
    }


def _write_status(report: dict[str, Any]) -> None:
    age = "" if report["outbox_age_ms"] is None else f", the oldest for {report['outbox_age_ms'] / 1000:.1f} s"
    write_line(f"stored      {report['rows']} check-ins")
    write_line(
        f"outbox      {report['outbox_rows']} without a receipt{age};"
        f" batches: {report['batches_open']} open, {report['batches_refused']} refused"
    )
    write_line(f"quarantine  {report['quarantined']} entries")
    write_line(f"gaps        {report['gaps']}")
    for name, titles in (
        ("devices", ("id", "place", "gate", "name", "state", "reason", "last_seen")),
        ("heads", ("device", "epoch", "seq", "hash", "updated")),
        ("minutes", ("minute", "place", "gate", "colour", "verdict", "direction", "n")),
        ("gap_list", ("device", "epoch", "from_seq", "to_seq", "why")),
    ):
        if report[name]:
            write_line()
            rows = ([row[title] for title in titles] for row in report[name])
            write_table(titles, (["-" if cell is None else cell for cell in row] for row in rows))


async def _quarantine_list(args: argparse.Namespace) -> int:
    async with store_of(args) as store:
        entries = await store.quarantine_list(limit=_LIST_ROWS)
    rows = [
        {
            "id": entry.row_id,
            "device": entry.device_id.hex() if entry.device_id else None,
            "epoch": entry.epoch.hex() if entry.epoch else None,
            "seq": entry.seq,
            "received": time_text(entry.received_ms),
            "reason": entry.reason,
            "detail": entry.detail,
        }
        for entry in entries
    ]
    if args.json:
        write_json(rows)
    else:
        titles = ("id", "received", "device", "epoch", "seq", "reason", "detail")
        write_table(titles, (["-" if row[title] is None else row[title] for title in titles] for row in rows))
    return 0


async def _export(args: argparse.Namespace) -> int:
    async with store_of(args) as store:
        written = await export_to(
            args.output,
            store=store,
            operator=operator(),
            layout=args.format,
            place_id=args.place,
            from_ms=args.from_ms,
            to_ms=args.to_ms,
            personal=args.personal,
        )
    if args.output is not None:
        write_line(f"{written} check-ins in {args.output}")
    return 0
