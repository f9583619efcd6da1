"""`enrol --show`: the code on the terminal, then each device that asks, with its words, for the operator's yes."""

import argparse
import asyncio
import io
import os
import sys
from pathlib import Path
from typing import Final

import segno

from hub.cli.ca import authority_of
from hub.cli.enrol_rows import DIRECTIONS, enrolment_row
from hub.cli.output import config_of, operator, store_of, time_text, write_line
from hub.config import ConfigError
from hub.config import Enrolment as EnrolmentTable
from hub.registry import decisions
from hub.registry.authority import Authority
from hub.registry.checks import RegistryError
from hub.registry.enrolments import make_token
from hub.store.enrol_ports import Enrolment, EnrolToken
from hub.store.errors import StoreError
from hub.store.ports import Store
from protocol.enrolment import TOKEN_BYTES, EnrolmentState, ProvisioningCode, provisioning_text
from protocol.errors import ProtocolError

_POLL_S: Final = 0.5
_LISTED_MAX: Final = 1000
_PSK_FILE_BYTES: Final = 128
_WHITE_ON_BLACK: Final = "\x1b[97;40m"
_PLAIN: Final = "\x1b[0m"


async def show(args: argparse.Namespace) -> int:
    """Make the code, show it, and stay until every device that it is good for is decided, or it has ended.

    Returns 0 when as many devices were approved as it is good for, else 1; with `--print`, 0 at once.
    """
    config = config_of(args)
    if config.enrolment is None:
        raise ConfigError("the configuration has no [enrolment]: say there how devices reach the hub")
    authority = authority_of(config)
    wifi = None if args.wifi is None else (args.wifi, _read_psk(args.psk_file))
    lines = _Lines()
    if args.approve_all and not args.text_only:
        await _confirm(lines, count=args.count)
    async with store_of(args) as store:
        # What does not fit into a code is said before a token is made for it.
        _text(args, config.enrolment, authority=authority, wifi=wifi, token=bytes(TOKEN_BYTES), expires_s=1 << 31)
        secret, token = await make_token(
            store,
            operator=operator(),
            place_id=args.place,
            gate_id=args.gate,
            direction=DIRECTIONS[args.direction],
            devices=args.count,
            minutes=args.minutes,
        )
        text = _text(
            args,
            config.enrolment,
            authority=authority,
            wifi=wifi,
            token=secret,
            expires_s=token.expires_ms // 1000,
        )
        if args.text_only:
            write_line(text)
            return 0
        _write_code(text, token)
        watch = _Watch(store=store, authority=authority, token=token, lines=lines, approve_all=args.approve_all)
        return 0 if await watch.run() == token.devices else 1


class _Watch:
    """The devices that ask with one token."""

    def __init__(
        self, *, store: Store, authority: Authority, token: EnrolToken, lines: "_Lines", approve_all: bool
    ) -> None:
        self._store, self._authority, self._token = store, authority, token
        self._lines, self._approve_all = lines, approve_all
        self._shown: set[bytes] = set()

    async def run(self) -> int:
        """Ask about one device after another; returns how many are approved when it ends."""
        while True:
            asked = [
                enrolment
                for enrolment in await self._store.enrolments(limit=_LISTED_MAX)
                if enrolment.asked.token_hash == self._token.hash
            ]
            approved = sum(enrolment.state is EnrolmentState.APPROVED for enrolment in asked)
            if approved == self._token.devices:
                write_line(f"{approved} of {self._token.devices} approved")
                return approved
            unseen = [
                enrolment
                for enrolment in asked
                if enrolment.state is EnrolmentState.WAITING and enrolment.asked.enrolment_id not in self._shown
            ]
            for enrolment in unseen:
                self._shown.add(enrolment.asked.enrolment_id)
                self._write(enrolment)
                await self._decide(enrolment)
            if not unseen and operator().now_ms >= self._token.expires_ms:
                write_line(f"the code has ended; {approved} of {self._token.devices} approved")
                return approved
            if not unseen:
                await asyncio.sleep(_POLL_S)

    def _write(self, enrolment: Enrolment) -> None:
        row = enrolment_row(enrolment)
        write_line(f"\na device asks from {row['address']}: {row['model']}, serial {row['serial']}, {row['firmware']}")
        write_line(f"  words  {row['words']}   {row['characters']}")
        write_line(f"  id     {row['id']}")

    async def _decide(self, enrolment: Enrolment) -> None:
        words = ["y"]
        if not self._approve_all:
            said = await self._lines.ask("does it show these words? y, y GATE, r (refuse), Enter (later): ")
            words = (said or "").split()
        try:
            await self._act(enrolment, words)
        except (RegistryError, StoreError) as error:
            write_line(f"  {error}")

    async def _act(self, enrolment: Enrolment, words: list[str]) -> None:
        enrolment_id = enrolment.asked.enrolment_id
        match words:
            case ["y"] | ["y", _]:
                device = await decisions.approve(
                    self._store,
                    operator=operator(),
                    authority=self._authority,
                    enrolment_id=enrolment_id,
                    gate_id=words[1] if len(words) > 1 else None,
                )
                write_line(f"  device {device.device_id.hex()} is registered at {device.place_id}/{device.gate_id}")
            case ["r"]:
                await decisions.refuse(
                    self._store, operator=operator(), enrolment_id=enrolment_id, reason="refused at the screen"
                )
                write_line("  refused")
            case _:
                write_line(f"  it waits: `enrol approve {enrolment_id.hex()[:12]}`")


class _Lines:
    """What is typed, line by line, without a thread that would outlive an interrupt."""

    def __init__(self) -> None:
        self._held = b""
        self._ended = False

    async def ask(self, question: str) -> str | None:
        """The next line; None when nobody types any more."""
        if not self._ended:
            sys.stdout.write(question)
            sys.stdout.flush()
        while b"\n" not in self._held and not self._ended:
            await self._fill()
        if not self._held:
            return None
        line, _, self._held = self._held.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    async def _fill(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            descriptor = sys.stdin.fileno()
            loop.add_reader(descriptor, ready.set)
        except (OSError, ValueError):  # A file or nothing at all: there is nobody to wait for.
            self._ended = True
            return
        try:
            await ready.wait()
            data = os.read(descriptor, 1024)
        finally:
            loop.remove_reader(descriptor)
        self._held += data
        self._ended = not data


async def _confirm(lines: _Lines, *, count: int) -> None:
    said = await lines.ask(f"every device that asks will be approved unseen. Type how many that may be ({count}): ")
    if said != str(count):
        raise RegistryError("--approve-all: the count was not typed, so nothing was done")


def _text(
    args: argparse.Namespace,
    table: EnrolmentTable,
    *,
    authority: Authority,
    wifi: tuple[str, str] | None,
    token: bytes,
    expires_s: int,
) -> str:
    code = ProvisioningCode(
        url=table.url,
        token=token,
        ca_hash=authority.key_hash,
        expires_s=expires_s,
        wifi=wifi,
        place=args.place,
        gate=args.gate,
    )
    try:
        return provisioning_text(code)
    except ProtocolError as error:
        raise RegistryError(str(error)) from error


def _write_code(text: str, token: EnrolToken) -> None:
    drawn = io.StringIO()
    segno.make(text, error="m", boost_error=False, micro=False, mode="alphanumeric").terminal(drawn, compact=True)
    for line in drawn.getvalue().splitlines():
        # Light on dark, whatever the terminal's own colours are: a scanner must not see it reversed.
        write_line(f"{_WHITE_ON_BLACK}{line}{_PLAIN}" if sys.stdout.isatty() else line)
    where = token.place_id if token.gate_id is None else f"{token.place_id}/{token.gate_id}"
    devices = "one device" if token.devices == 1 else f"{token.devices} devices"
    write_line(text)
    write_line(f"{where}, for {devices}, until {time_text(token.expires_ms)}. Hold it before the scanner.")


def _read_psk(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_PSK_FILE_BYTES + 1)
        text = data.decode("ascii").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RegistryError(f"{path}: a network's password is ASCII") from error
    if len(data) > _PSK_FILE_BYTES:
        raise RegistryError(f"{path}: over {_PSK_FILE_BYTES} bytes, no network's password is that long")
    return text
