"""`broker-security`: what Mosquitto's dynamic security begins with, before the hub adds devices."""

import argparse

from hub.broker.access import initial_security
from hub.cli.output import Commands, write_json


def add_commands(commands: Commands) -> None:
    """Enter this command."""
    about = "the first file of Mosquitto's dynamic security plugin: the hub may do everything of ours, nobody else"
    parser = commands.add_parser("broker-security", help=about, description=about)
    parser.set_defaults(act=_print)


def _print(_: argparse.Namespace) -> int:
    write_json(initial_security())
    return 0
