"""Arguments -> a bundle, or a change of what is published."""

import argparse
import datetime as dt
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from deploy.firmware.bundle import PLATFORMS, build
from deploy.firmware.errors import FirmwareError
from deploy.firmware.keys import ROLES, Keys
from deploy.firmware.repository import Repository

CHECKOUT = Path(__file__).parents[2]
REQUIREMENTS = CHECKOUT / "deploy" / "device" / "requirements.lock"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it was done, 1 with a sentence when it was not."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.does(chosen)
    except (FirmwareError, OSError) as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.firmware", description="Makes and publishes releases.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    building = commands.add_parser("build", help="make the bundle of this checkout")
    building.set_defaults(does=_build)
    building.add_argument("--platform", choices=sorted(PLATFORMS), required=True)
    building.add_argument("--version", help="such as 0.2.0; by default that of pyproject.toml")
    building.add_argument("--checkout", type=Path, default=CHECKOUT)
    building.add_argument("--out", type=Path, default=Path("dist"), help="the folder that gets it (default: dist)")

    def on_repository(name: str, does: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(does=does)
        added.add_argument("--repository", type=Path, required=True, help="the folder that is published")
        added.add_argument("--keys", type=Path, required=True, help="the folder of keys")
        added.add_argument("--passphrase-file", type=Path, help="of the root's key, where it has one")
        return added

    on_repository("init", _init, "make keys and an empty repository, and say where its root.json lies")
    adding = on_repository("add", _add, "publish bundles")
    adding.add_argument("bundle", type=Path, nargs="+")
    removing = on_repository("remove", _remove, "take bundles back")
    removing.add_argument("name", nargs="+")
    on_repository("renew", _renew, "sign anew what ends soon; once a week")
    rotating = on_repository("rotate", _rotate, "give a role a new key, vouched for by the root's")
    rotating.add_argument("role", choices=ROLES)
    return parser


def _build(chosen: argparse.Namespace) -> None:
    version = chosen.version or _version_of(chosen.checkout)
    made = build(chosen.checkout, platform=chosen.platform, version=version, into=chosen.out, requirements=REQUIREMENTS)
    print(f"{made} ({made.stat().st_size} bytes)")


def _version_of(checkout: Path) -> str:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _repository(chosen: argparse.Namespace) -> Repository:
    passphrase = None if chosen.passphrase_file is None else chosen.passphrase_file.read_bytes().strip()
    return Repository(chosen.repository, keys=Keys(chosen.keys, passphrase=passphrase), now=dt.datetime.now(dt.UTC))


def _init(chosen: argparse.Namespace) -> None:
    root = _repository(chosen).begin()
    print(f"{root}: give it to every hub (firmware import --root) and every device ([update] root)")


def _add(chosen: argparse.Namespace) -> None:
    _repository(chosen).add(chosen.bundle)


def _remove(chosen: argparse.Namespace) -> None:
    _repository(chosen).remove(chosen.name)


def _renew(chosen: argparse.Namespace) -> None:
    _repository(chosen).renew()


def _rotate(chosen: argparse.Namespace) -> None:
    _repository(chosen).rotate(chosen.role)
