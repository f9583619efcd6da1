"""`believed list`: what the platform has signed and the gates believe."""

import argparse
import time
from typing import Any

from hub.cli.output import (
    Commands,
    add_json,
    config_of,
    on_store,
    time_text,
    write_json,
    write_line,
    write_table,
)
from hub.registry.checks import RegistryError
from hub.registry.keyfiles import read_key_file
from hub.store.ports import Store
from hub.store.trust_ports import Believed, BelievedKind
from hub.trust.words import one_line
from protocol.errors import ProtocolError
from protocol.keys import decode_key
from protocol.limits import URI_CHARS
from protocol.statuslist import list_id
from protocol.trust import days_left, open_trust


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    believed = commands.add_parser("believed", help="what gates believe").add_subparsers(
        required=True, metavar="ACTION"
    )
    add_json(on_store(believed, "list", _list, "the trust bundle and the status lists that gates get"))


async def _list(store: Store, args: argparse.Namespace) -> None:
    now_s = int(time.time())
    fresh = {entry.name: entry for entry in await store.freshness()}
    trust, lists = None, []
    for believed in await store.believed():
        if believed.kind is BelievedKind.TRUST:
            trust = _trust_row(believed, args, now_s=now_s)
            continue
        newest = fresh.get(believed.name)
        issued_s = believed.issued_s if newest is None else max(believed.issued_s, newest.issued_s)
        lists.append(
            {
                "list": list_id(believed.name),
                "version": believed.version if newest is None else max(believed.version, newest.version),
                "confirmed": time_text(issued_s * 1000),
                "age_s": now_s - issued_s,
                "bytes": len(believed.data),
                "address": one_line(believed.name, URI_CHARS),
            }
        )
    if args.json:
        write_json({"trust": trust, "lists": lists})
        return
    if trust is None:
        write_line("trust: the bundle of the configuration; the platform has sent none yet")
    else:
        write_line(f"trust: version {trust['version']}, {trust['days_left']} days left")
    titles = ("list", "version", "confirmed", "age_s", "bytes", "address")
    write_table(titles, ([row[title] for title in titles] for row in lists))


def _trust_row(believed: Believed, args: argparse.Namespace, *, now_s: int) -> dict[str, Any]:
    try:
        bundle = open_trust(believed.data, root=decode_key(read_key_file(config_of(args).keys.root)))
    except ProtocolError as error:
        raise RegistryError(f"the kept trust bundle does not fit the root key: {error}") from error
    return {
        "version": bundle.version,
        "issued": time_text(bundle.issued_s * 1000),
        "expires": time_text(bundle.expires_s * 1000),
        "days_left": days_left(bundle, now_s),
        "issuers": [issuer.name for issuer in bundle.issuers],
    }
