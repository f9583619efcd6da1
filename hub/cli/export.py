"""Stored check-ins -> CSV or JSON lines, audited, in bounded memory."""

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

from hub.cli.output import time_text
from hub.model import StoredCheckIn
from hub.registry.changes import Operator
from hub.registry.checks import RegistryError
from hub.store.ports import RegistryStore, ReportStore

FORMATS: Final = ("csv", "jsonl")

_COLUMNS: Final = (
    *("device", "epoch", "seq", "hash", "at", "received", "place", "gate"),
    *("direction", "colour", "verdict", "reason", "clock", "code"),
)
_PERSONAL_COLUMNS: Final = ("subject", "masked")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class _ExportStore(ReportStore, RegistryStore, Protocol):
    """An export reads reports and writes to the audit log."""


async def export_to(
    path: Path | None,
    *,
    store: _ExportStore,
    operator: Operator,
    layout: str,
    place_id: str | None,
    from_ms: int,
    to_ms: int,
    personal: bool,
) -> int:
    """Write check-ins with `from_ms <= at < to_ms` to a new file, or to stdout; returns how many.

    Raises:
        RegistryError: the file is there already or cannot be made.
    """
    file = sys.stdout if path is None else _create(path)
    try:
        # Audited before the first row leaves, so that an export that is stopped half way is known too.
        detail = (
            f"{place_id or 'all places'} from {time_text(from_ms)} to {time_text(to_ms)}"
            f" as {layout}{' with personal fields' if personal else ''}"
        )
        await store.audit(operator.entry("export", detail))
        columns = _COLUMNS + _PERSONAL_COLUMNS if personal else _COLUMNS
        write = _csv_writer(file, columns) if layout == "csv" else _jsonl_writer(file)
        written = 0
        async for row in store.export(place_id=place_id, from_ms=from_ms, to_ms=to_ms, personal=personal):
            write(_record(row, personal=personal))
            written += 1
        return written
    finally:
        if path is not None:
            file.close()


def _create(path: Path) -> TextIO:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _record(row: StoredCheckIn, *, personal: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "device": row.device_id.hex(),
        "epoch": row.epoch.hex(),
        "seq": row.seq,
        "hash": row.hash.hex(),
        "at": time_text(row.at_ms),
        "received": time_text(row.received_ms),
        "place": row.place_id,
        "gate": row.gate_id,
        "direction": row.direction.wire_name,
        "colour": row.colour.wire_name,
        "verdict": row.verdict.wire_name,
        "reason": row.reason.wire_name,
        "clock": row.clock.name.lower(),
        "code": row.code.hex(),
    }
    if personal:
        record["subject"] = None if row.subject is None else row.subject.hex()
        record["masked"] = None if row.masked is None else list(row.masked)
    return record


def _csv_writer(file: TextIO, columns: tuple[str, ...]) -> Callable[[dict[str, Any]], None]:
    writer = csv.DictWriter(file, columns)
    writer.writeheader()

    def write(record: dict[str, Any]) -> None:
        masked = record.get("masked")
        if masked:
            text = " ".join(masked)
            # A spreadsheet would run what begins like a formula.
            record["masked"] = f"'{text}" if text.startswith(_FORMULA_STARTS) else text
        writer.writerow(record)

    return write


def _jsonl_writer(file: TextIO) -> Callable[[dict[str, Any]], None]:
    def write(record: dict[str, Any]) -> None:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")

    return write
