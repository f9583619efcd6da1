"""Builds the gate from its configuration, starts its threads, and watches them.

    camera thread   frames -> mailbox
    scan thread     mailbox -> light (`scan/loop.py`)
    uplink thread   spool -> hub (`send/uplink.py`)
    this thread     looks whether the others live, and feeds the watchdog while frames are being decoded

A thread that ends though nobody asked ends the process; systemd starts it again, and `gatelight-device safe` has
the relay off in between.
"""

import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from functools import partial
from importlib.metadata import version

from device import parts
from device.config import DeviceConfig
from device.hardware.pi.watchdog import SystemdWatchdog
from device.hardware.ports import EndOfFramesError, Watchdog
from device.health import Figures, Progress, health_of
from device.identity import Identity, load_identity
from device.logs import Log
from device.model import Draft
from device.scan.capture import Capture, Mailbox
from device.scan.decide import Memory, Rules
from device.scan.decode import DecoderProcess
from device.scan.indicate import Indicator
from device.scan.loop import Scan, ScanLoop
from device.scan.record import Lane
from device.scan.sight import Sight
from device.send.seal import seal
from device.send.spool import Spool
from device.send.status import Versions
from device.send.uplink import Uplink
from device.send.wire import Broker, Wire
from device.trust.clock import GateClock, kernel_synchronised
from device.trust.issuers import load_bundle
from protocol.health import encode_health
from protocol.terms import Direction
from protocol.trust import TrustBundle

WATCH_S = 0.2
"""How often the threads are looked at: a dead one leaves the gate dark for at most this long."""


def run(config: DeviceConfig, log: Log) -> int:
    """The gate, until a signal (0), the end of the pictures (0), or a failure (1).

    Raises:
        IdentityError, OSError, ProtocolError, StorageError, HardwareError: it cannot start.
    """
    stopping = Stop()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stopping.ask)
    identity = load_identity(
        device=config.device, signing=config.keys.signing, hub=config.keys.hub, root=config.keys.root
    )
    bundle = load_bundle(config.trust.bundle, root=identity.root)
    clock = GateClock(synchronised=kernel_synchronised if config.clock.source == "kernel" else lambda: True)
    clock.seen_signed_s(bundle.issued_s)
    config.state_dir.mkdir(parents=True, exist_ok=True)
    spool = Spool.open(config.spool, new_epoch=secrets.token_bytes(8), now_ms=clock.now_ms())
    with closing(spool), parts.hardware(config.hardware) as hardware:
        if spool.damage is not None:
            log.event("spool_damaged", damage=spool.damage)
        gate = _Running(config, log=log, identity=identity, bundle=bundle, clock=clock, spool=spool, hardware=hardware)
        watchdog = SystemdWatchdog.from_environment()
        gate.start()
        try:
            return gate.watch(stopping, watchdog)
        finally:
            hardware.gate.close()
            gate.stop()


class Stop:
    """Whether a signal asked for the end.

    It has no lock: a handler runs between any two steps of the thread that waits here, and the lock of a
    `threading.Event` would then be waited for by its own holder, for ever.
    """

    def __init__(self) -> None:
        self._asked = False

    def ask(self, *_: object) -> None:
        """Ask for the end; a signal handler."""
        self._asked = True

    def wait(self, timeout_s: float) -> bool:
        """Whether it was asked, after `timeout_s` or at once."""
        if not self._asked:
            time.sleep(timeout_s)
        return self._asked


class _Running:
    """The object graph of one running gate."""

    def __init__(
        self,
        config: DeviceConfig,
        *,
        log: Log,
        identity: Identity,
        bundle: TrustBundle,
        clock: GateClock,
        spool: Spool,
        hardware: parts.Parts,
    ) -> None:
        self._config = config
        self._log = log
        self._identity = identity
        self._clock = clock
        self._spool = spool
        self._hardware = hardware
        policy = config.policy
        self._mailbox = Mailbox()
        self._capture = Capture(camera=parts.camera(config.camera), mailbox=self._mailbox)
        self._decoder = DecoderProcess(engine=config.decoder.engine, frame_px_max=config.decoder.frame_px_max)
        self._loop = ScanLoop(
            mailbox=self._mailbox,
            decoder=self._decoder,
            sight=Sight(),
            trust=lambda: bundle,
            rules=Rules(enabled=policy.enabled, closed=policy.closed, leeway_s=policy.leeway_s, reuse_s=policy.reuse_s),
            memory=Memory(dict(spool.used_since(clock.now_ms()))),
            lane=Lane(
                place=config.place,
                gate=config.gate,
                direction=Direction[config.direction.upper()],
                keep_masked=policy.keep_masked,
                policy_version=policy.version,
            ),
            now_ms=clock.now_ms,
            clock_trusted=lambda: clock.trusted,
            commit=self._commit,
            commit_failure=partial(self._commit, until_ms=None, from_reserve=True),
            indicator=Indicator(
                lights=hardware.lights,
                buzzer=hardware.buzzer,
                gate=hardware.gate,
                light_ms=policy.light_ms,
                open_ms=policy.open_ms,
            ),
            on_scan=self._log_scan,
        )
        broker = Broker(
            host=config.broker.host,
            port=config.broker.port,
            ca=config.broker.ca,
            cert=config.broker.cert,
            key=config.broker.key,
        )
        self._uplink = Uplink(
            device=identity.device,
            spool=spool,
            hub_keys=[identity.hub],
            open_wire=partial(Wire.open, broker=broker, client_id=config.device_id),
            firmware=version("gatelight"),
            versions=lambda: Versions(trust=bundle.version, policy=policy.version),
            health=self._health,
            now_ms=clock.now_ms,
            mono_ms=lambda: time.monotonic_ns() // 1_000_000,
            random=secrets.SystemRandom().random,
            random_bytes=secrets.token_bytes,
        )

    def start(self) -> None:
        """Start every thread."""
        self._capture.start()
        self._loop.start()
        self._uplink.start()
        self._log.event("started", device=self._config.device_id, place=self._config.place, gate=self._config.gate)

    def watch(self, stopping: Stop, watchdog: Watchdog) -> int:
        """Look after the threads until the end; the exit code."""
        progress = Progress(lambda: self._loop.counts.frames)
        ready = False
        while not stopping.wait(WATCH_S):
            for name, failure in self._failures():
                if isinstance(failure, EndOfFramesError):
                    self._log.event("end_of_frames", scans=self._loop.counts.scans)
                    return 0
                self._log.event("failed", part=name, error=f"{type(failure).__name__}: {failure}")
                return 1
            if progress.made():
                if not ready:
                    watchdog.ready()
                    self._log.event("ready")
                    ready = True
                watchdog.feed()
        self._log.event("stopping")
        return 0

    def stop(self) -> None:
        """End every thread: no more frames, then no more answers, then no more messages."""
        self._capture.stop()
        self._loop.stop()
        self._uplink.stop()
        self._log.event("uplink", **asdict(self._uplink.status))

    def _failures(self) -> Iterator[tuple[str, BaseException]]:
        camera = self._capture.failure
        if isinstance(camera, EndOfFramesError):
            # The scan thread tells, when it has answered the last frame.
            camera = None
        for name, failure in (("scan", self._loop.failure), ("camera", camera), ("uplink", self._uplink.failure)):
            if failure is not None:
                yield name, failure
        yield from self._hardware.failures()

    def _commit(self, draft: Draft, until_ms: int | None, *, from_reserve: bool = False) -> int:
        appended = self._spool.append(
            lambda epoch, seq, prev: seal(
                draft, device=self._identity.device, epoch=epoch, seq=seq, prev=prev, key=self._identity.signing
            ),
            used=None if until_ms is None else (draft.code, until_ms),
            from_reserve=from_reserve,
        )
        self._uplink.appended()
        return appended.seq

    def _log_scan(self, scan: Scan) -> None:
        self._log.event(
            "scan",
            seq=scan.seq,
            colour=scan.decision.colour.wire_name,
            verdict=scan.decision.verdict.wire_name,
            reason=scan.decision.reason.wire_name,
            frame_to_light_ms=round(scan.frame_to_light_ms, 2),
            decode_ms=round(scan.decode_ms, 2),
            spool=self._spool.depth,
            at_ms=scan.at_ms,
        )

    def _health(self) -> bytes:
        counts, decoder = self._loop.counts, self._decoder.counts
        figures = Figures(
            spool=self._spool.depth,
            frames=self._capture.frames,
            frames_dropped=self._mailbox.dropped,
            decoded=counts.frames,
            decode_us=counts.decode_us,
            scans=counts.scans,
            foreign=counts.foreign,
            decoder_restarts=decoder.restarts,
            camera_restarts=self._capture.restarts,
            storage_failed=counts.storage_failed,
            reserve_held=self._spool.reserve_held,
            in_service=self._config.policy.enabled and not self._config.policy.closed,
        )
        return encode_health(health_of(figures, now_ms=self._clock.now_ms(), clock_trusted=self._clock.trusted))
