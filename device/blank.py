"""A device that belongs to no site: its camera looks for a provisioning code, and for nothing else."""

import secrets
import time
from collections.abc import Iterable
from contextlib import closing
from importlib.metadata import version

from device import parts
from device.config import MachineConfig
from device.enrol.machine import describe
from device.enrol.mode import Mode
from device.enrol.ports import Network, Signals
from device.enrol.surroundings import Surroundings
from device.hardware.ports import Watchdog
from device.keystore.ports import KeyStore
from device.logs import Log
from device.scan.capture import Capture, Mailbox
from device.scan.decode import DecoderProcess
from device.scan.decoder.process import Begun
from device.scan.indicate import Indicator
from device.send.spool import Spool
from device.stop import Stop
from device.trust.believed import Believed
from device.trust.clock import GateClock, kernel_synchronised

ARMED_S = 600.0
"""A gate whose button was held goes back to being a gate after this long without a code."""

_FRAME_S = 0.05


def run(
    machine: MachineConfig,
    *,
    hardware: parts.Parts,
    keys: KeyStore,
    network: Network | None,
    watchdog: Watchdog,
    stop: Stop,
    log: Log,
    for_s: float | None = None,
    begun: Begun | None = None,
) -> bool:
    """Until it is enrolled (True), or asked to end or out of time (False).

    Raises:
        HardwareError, CameraLostError, DecoderFailedError: it cannot see.
        SiteError: another process is at work here.
    """
    mailbox = Mailbox()
    capture = Capture(camera=parts.camera(machine.camera, around=hardware), mailbox=mailbox)
    decoder = DecoderProcess(engine=machine.decoder.engine, frame_px_max=machine.decoder.frame_px_max, begun=begun)
    indicator = Indicator(
        lights=hardware.lights, buzzer=hardware.buzzer, gate=hardware.gate, prompters=hardware.prompters
    )
    end_s = None if for_s is None else time.monotonic() + for_s

    def texts() -> Iterable[str]:
        frame = mailbox.take(_FRAME_S)
        if frame is None:
            return ()
        watchdog.feed()
        return decoder.decode(frame).texts

    def wait(wait_s: float) -> bool:
        return stop.wait(wait_s) or (end_s is not None and time.monotonic() >= end_s)

    mode = Mode(
        surroundings(machine, keys=keys, network=network, log=log),
        signals=Signals(
            waiting=indicator.unenrolled,
            working=indicator.waiting,
            fingerprint=indicator.fingerprint,
            failed=indicator.refused,
            done=indicator.enrolled,
        ),
        wait=wait,
        random=secrets.SystemRandom().random,
        boot_file=machine.enrolment.boot_file,
    )
    decoder.start()
    capture.start()
    watchdog.ready()
    try:
        return mode.run(texts)
    finally:
        capture.stop()
        decoder.close()


def surroundings(machine: MachineConfig, *, keys: KeyStore, network: Network | None, log: Log) -> Surroundings:
    """What an enrolment of this machine needs."""
    assume = machine.clock.source == "assume"
    clock = GateClock(
        synchronised=(lambda: True) if assume else kernel_synchronised,
        assume=assume,
        believed=Believed(machine.state_dir / "believed"),
    )
    return Surroundings(
        state_dir=machine.state_dir,
        keys=keys,
        network=network,
        machine=describe(serial=machine.serial, model=machine.model, firmware=version("gatelight")),
        log=log,
        now_s=lambda: clock.now_ms() // 1000 if clock.trusted else None,
        random_bytes=secrets.token_bytes,
        unsent=lambda: _unsent(machine),
    )


def _unsent(machine: MachineConfig) -> int:
    """How many check-ins an earlier life of this device has left without a receipt."""
    if not machine.spool.exists():
        return 0
    spool = Spool.open(machine.spool, new_epoch=secrets.token_bytes(8), now_ms=time.time_ns() // 1_000_000)
    with closing(spool):
        return spool.depth
