"""`console`: the operators' pages alone, and the link by which the first administrator comes in."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hub.cli.output import Commands, add_config, config_of, on_store, operator, write_line
from hub.config import Console, HubConfig
from hub.model import Role
from hub.registry.checks import RegistryError
from hub.registry.keyfiles import read_key_file
from hub.store.ports import Store
from hub.store.sqlite import open_store
from protocol.errors import ProtocolError
from protocol.keys import decode_key

if TYPE_CHECKING:
    from hub.console.site import Enrolling


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    about = "the operators' pages; `run` starts them by itself where [console] is set"
    parser = commands.add_parser("console", help=about, description=about)
    add_config(parser)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    serve = actions.add_parser("run", help="serve the pages until stopped")
    add_config(serve, inner=True)
    serve.add_argument("--watched", action="store_true", help="until standard input ends, too")
    serve.set_defaults(act=_run)
    link = on_store(
        actions, "link", _link, "a link, good once and for a day, by which somebody sets a password", inner=True
    )
    link.add_argument("--account", help="whose; left out: the first administrator's, while there is none")


def _run(args: argparse.Namespace) -> int:
    # It brings its web libraries; no other command should wait for them.
    from hub.console.serve import serve
    from hub.firmware.mirror import Mirror
    from hub.logs import log_as_json

    config = config_of(args)
    console = _console_of(config, args.config)
    enrolling = _enrolling_of(config)
    log_as_json()
    try:
        return asyncio.run(
            serve(
                console,
                open_store=lambda: open_store(config.database, check=False),
                enrolling=enrolling,
                root=decode_key(read_key_file(config.keys.root)),
                mirror=None if config.firmware is None else Mirror(config.firmware.dir),
                watched=args.watched,
            )
        )
    except (OSError, ProtocolError) as error:
        sys.stderr.write(f"gatelight-hub: {error}\n")
        return 1


async def _link(store: Store, args: argparse.Namespace) -> None:
    from hub.console.serve import site_of

    who = operator()
    accounts = {account.name: account for account in await store.accounts()}
    if args.account is None and any(each.role is Role.ADMINISTRATOR and each.enabled for each in accounts.values()):
        raise RegistryError("there is an administrator already: name the --account that the link is for")
    if args.account is not None and args.account not in accounts:
        raise RegistryError(f"account {args.account!r} is not there")
    site = site_of(_console_of(config_of(args), args.config), store=store)
    token = await site.door.invite(args.account, who=who.who)
    write_line(f"{site.url}/welcome/{token}")


def _enrolling_of(config: HubConfig) -> "Enrolling | None":
    """What provisioning codes say; of the authority only its certificate is read. Raises RegistryError."""
    from hub.console.site import Enrolling
    from hub.registry.authority import key_hash_of

    if config.ca is None or config.enrolment is None:
        return None
    return Enrolling(url=config.enrolment.url, ca_hash=key_hash_of(config.ca.cert))


def _console_of(config: HubConfig, path: Path) -> Console:
    if config.console is None:
        raise RegistryError(f"{path}: there is no [console]")
    return config.console
