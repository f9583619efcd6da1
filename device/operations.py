"""Builds what an operator can have this gate do: commands from the hub, each done once, and what follows them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device import durable
from device.beliefs import mono_ms
from device.config import ConfigError, DeviceConfig
from device.enrol.renewal import Renewal
from device.hardware.ports import Gate
from device.identity import Identity
from device.logs import Log
from device.model import Frame
from device.operate.handlers import handlers
from device.operate.hold import HoldOpen
from device.operate.selftest import ScanFigures, SelfTest
from device.operate.switch import Switch
from device.operate.wipe import Wipe
from device.scan.decode import DecoderProcess
from device.send.outbox import Outbox
from device.send.spool import Spool
from device.trust.inbox import Inbox
from device.trust.ledger import Ledger
from device.update import notes
from device.update.notes import Wanted
from protocol.command import CommandName
from protocol.policy import GatePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the gate lends to its operator.

    Args:
        policy: the policy in force.
        locate: shows where it is, for so many seconds.
        figures: what the scan has counted.
        renewal: looks after certificate and keys; None where nothing is renewed.
        end: ends the process, for it to start again.
        wipe: everything is to be erased; ends the process.
    """

    policy: Callable[[], GatePolicy]
    locate: Callable[[int], None]
    figures: Callable[[], ScanFigures]
    renewal: Renewal | None
    end: Callable[[], None]
    wipe: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The inbox of commands, with what outlives a command."""

    inbox: Inbox
    hold: HoldOpen

    def start(self) -> None:
        """Take commands."""
        self.inbox.start()

    def stop(self) -> None:
        """Take no more, and hold nothing open any more."""
        self.inbox.stop()
        self.hold.stop()


def operate(
    config: DeviceConfig,
    asked: Asked,
    *,
    identity: Identity,
    ledger: Ledger | None,
    switch: Switch,
    spool: Spool,
    outbox: Outbox,
    gate: Gate,
    now_ms: Callable[[], int],
    log: Log,
) -> Operations:
    """The commands of this gate."""

    def serves() -> bool:
        policy = asked.policy()
        return switch.on and policy.enabled and not policy.closed

    hold = HoldOpen(open_gate=gate.open, shut_gate=gate.close, allowed=serves, mono_ms=mono_ms)

    def rotate_keys() -> str:
        if asked.renewal is None:
            raise ConfigError("[hub] is not configured: nobody would certify new keys")
        asked.renewal.renew(rotate=True)
        return "new keys are in force after the restart"

    def want_release(release: int, wanted_by: str) -> None:
        path = notes.wanted_file(config.state_dir)
        durable.make_folder(path.parent)
        notes.write(path, Wanted(release=release, id=wanted_by))

    wipe = Wipe(
        device=identity.device,
        key=identity.signing,
        unsent=lambda: spool.depth,
        freeze=spool.freeze,
        thaw=spool.thaw,
        shut=hold.stop,
        now_ms=now_ms,
    )
    self_test = SelfTest(figures=asked.figures, decode=lambda luma: decode_once(config, luma), wait=time.sleep)
    inbox = Inbox(
        device=identity.device,
        hub_keys={key.kid: key for key in identity.hub_keys},
        ledger=ledger,
        handlers=handlers(
            locate=asked.locate,
            self_test=self_test,
            open_gate=gate.open,
            open_ms=lambda: asked.policy().open_ms,
            hold=hold,
            switch=switch,
            rotate_keys=rotate_keys,
            log_lines=log.last,
            wipe=wipe,
            want_release=None if config.update is None else want_release,
        ),
        afterwards={
            CommandName.RESTART: asked.end,
            CommandName.ROTATE_KEYS: asked.end,
            CommandName.WIPE: asked.wipe,
        },
        put=outbox.put,
        now_s=lambda: now_ms() // 1000,
        mono_ms=mono_ms,
        log=log,
    )
    return Operations(inbox=inbox, hold=hold)


def decode_once(config: DeviceConfig, luma: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    """The texts in a picture, by a decoder like the gate's own, which is not disturbed."""
    decoder = DecoderProcess(engine=config.decoder.engine, frame_px_max=int(luma.size), scene_gate=False)
    decoder.start()
    try:
        return decoder.decode(Frame(luma=luma, seq=1, at_mono_ns=time.monotonic_ns())).texts
    finally:
        decoder.close()
