"""Arguments -> one command -> exit code."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from hub.config import ConfigError
from hub.registry.checks import RegistryError
from hub.store.errors import StoreError

EXIT_FAILED = 1
EXIT_USAGE = 2

_SERVICE = "service"
_MODULES = (
    _SERVICE, "places", "ca", "broker", "enrol", "policy", "command", "console", "believed", "reports", "audit", "slip",
    "backup", "firmware",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (or the process's arguments) names; returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = _parser(given).parse_args(given)
    try:
        code: int = args.act(args)
        # A reader that went away shows here, and not while Python shuts down.
        sys.stdout.flush()
    except ConfigError as error:
        return _complain(error, EXIT_USAGE)
    except (RegistryError, StoreError) as error:
        return _complain(error, EXIT_FAILED)
    except BrokenPipeError:
        # `export | head`: whoever reads has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return code


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Every command; for the service its own alone, which should not wait for what operators need."""
    parser = argparse.ArgumentParser(prog="gatelight-hub", description="Receives check-ins and forwards them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in (_SERVICE,) if given[:1] == ["run"] else _MODULES:
        importlib.import_module(f"hub.cli.{name}").add_commands(commands)
    return parser


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"gatelight-hub: {error}\n")
    return code
