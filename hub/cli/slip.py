"""`slip`: the record behind the number that a person was told at the gate, and the evidence in it."""

import argparse
import time
from typing import Any

from hub.cli.output import Commands, add_json, on_store, operator, time_text, write_json, write_table
from hub.model import StoredCheckIn
from hub.registry.checks import RegistryError
from hub.store.ports import Store
from hub.trust.words import one_line
from protocol.checkin import parse_checkin
from protocol.errors import ProtocolError
from protocol.limits import RULE_CHARS
from protocol.slip import read_slip

_DAY_MS = 86_400_000
_DAYS_MAX = 3660


def add_commands(commands: Commands) -> None:
    """Enter this command."""
    parser = on_store(commands, "slip", _slip, "the record behind a slip number; each look is audited")
    parser.add_argument("number", help="such as 7K3M-9QXA")
    parser.add_argument("--days", type=_days, default=30, help="how far to look back (default 30)")
    add_json(parser)


def _days(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _DAYS_MAX:
        raise argparse.ArgumentTypeError(f"not 1 to {_DAYS_MAX}")
    return value


async def _slip(store: Store, args: argparse.Namespace) -> None:
    try:
        prefix = read_slip(args.number)
    except ProtocolError as error:
        raise RegistryError(str(error)) from error
    who = operator()
    await store.audit(who.entry("slip.look", args.number))
    now_ms = time.time_ns() // 1_000_000
    # A gate's clock may be ahead of ours.
    span = {"from_ms": now_ms - args.days * _DAY_MS, "to_ms": now_ms + _DAY_MS}
    found = [row async for row in store.export(place_id=None, personal=False, **span) if row.hash.startswith(prefix)]
    if not found:
        raise RegistryError(f"no record of the last {args.days} days has the number {args.number}")
    rows = [_row(row, await store.find_sealed(row.device_id, row.epoch, row.seq)) for row in found]
    if args.json:
        write_json(rows)
        return
    for row in rows:
        write_table(("field", "value"), row.items())


def _row(row: StoredCheckIn, sealed: bytes | None) -> dict[str, Any]:
    """Nothing that says who it was; the evidence goes with the sealed bytes when their retention is over."""
    told: dict[str, Any] = {
        "at": time_text(row.at_ms),
        "place": row.place_id,
        "gate": row.gate_id,
        "device": row.device_id.hex(),
        "colour": row.colour.wire_name,
        "verdict": row.verdict.wire_name,
        "reason": row.reason.wire_name,
        "hash": row.hash.hex(),
    }
    if sealed is None:
        return told | {"evidence": "erased with the personal fields; the platform has it"}
    evidence = parse_checkin(sealed).checkin.evidence
    return told | {
        "signed_by": None if evidence.issuer_kid is None else evidence.issuer_kid.hex(),
        "code_issued": None if evidence.code_issued_s is None else time_text(evidence.code_issued_s * 1000),
        "list_version": evidence.status_version,
        "policy_version": evidence.policy_version,
        "rule": None if evidence.rule is None else one_line(evidence.rule, RULE_CHARS),
    }
