"""Arguments -> one command -> exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from hub.cli import audit, believed, broker, ca, command, enrol, places, policy, reports, service, slip
from hub.config import ConfigError
from hub.registry.checks import RegistryError
from hub.store.errors import StoreError

EXIT_FAILED = 1
EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (or the process's arguments) names; returns the exit code."""
    args = _parser().parse_args(argv)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gatelight-hub", description="Receives check-ins and forwards them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    service.add_commands(commands)
    places.add_commands(commands)
    ca.add_commands(commands)
    broker.add_commands(commands)
    enrol.add_commands(commands)
    policy.add_commands(commands)
    command.add_commands(commands)
    believed.add_commands(commands)
    reports.add_commands(commands)
    audit.add_commands(commands)
    slip.add_commands(commands)
    return parser


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"gatelight-hub: {error}\n")
    return code
