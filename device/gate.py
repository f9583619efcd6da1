"""An enrolled device: builds the gate from its configuration, starts its threads, and watches them.

    camera thread    frames -> mailbox
    scan thread      mailbox -> light (`scan/loop.py`)
    uplink thread    spool -> hub, and what the hub says -> beliefs (`send/uplink.py`, `trust/downlink.py`)
    command thread   what an operator asks for (`trust/inbox.py`)
    renewal thread   certificate and keys, in time (`enrol/renewal.py`)
    this thread      looks whether the others live, and feeds the watchdog while frames are being decoded

A thread that ends though nobody asked ends the process; systemd starts it again, and `gatelight-device safe` has
the relay off in between. This file is longer than most: who knows whom is best read on one page.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import version

from device import durable, parts
from device.beliefs import believe, mono_ms
from device.config import DeviceConfig
from device.enrol.errors import EnrolmentError
from device.enrol.renewal import Renewal
from device.hardware.board import Board
from device.hardware.ports import EndOfFramesError, Watchdog
from device.health import Progress
from device.identity import Identity
from device.keystore.ports import KeyStore, KeyStoreError
from device.logs import Log
from device.model import Draft, StorageError
from device.operate.selftest import ScanFigures
from device.operate.switch import Switch
from device.operations import Asked, operate
from device.scan.capture import Capture, Mailbox
from device.scan.decode import DecoderProcess
from device.scan.decoder.process import Begun
from device.scan.indicate import Indicator, is_quiet
from device.scan.loop import Scan, ScanLoop
from device.scan.memory import Memory
from device.scan.online import PEPPER_BYTES
from device.scan.record import Lane
from device.scan.sight import Sight
from device.send.outbox import Outbox
from device.send.seal import seal
from device.send.spool import Appended, Spool
from device.send.status import Versions
from device.send.uplink import Uplink
from device.send.wire import Broker, Wire
from device.stop import Stop, Why
from device.trust.ledger import Ledger
from device.update.notes import StatusReader, status_file
from device.update.wellness import Wellness
from device.vitals import Vitals
from protocol.health import State
from protocol.slip import slip_number

WATCH_S = 0.2
"""How often the threads are looked at: a dead one leaves the gate dark for at most this long."""

WATCH_START_S = 0.01
"""The same until the gate is ready: nobody is let in before."""

RENEWAL_FIRST_S = 5.0
"""Not while the gate starts: what reading a certificate takes is imported then, and the first people come first."""

RENEWAL_S = 600.0
"""How often the certificate's end is looked at; it lies weeks ahead."""


def wall_ms() -> int:
    """The kernel's wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


class Gate:
    """The object graph of one running gate.

    Args:
        config: the machine and its site.
        log: told of everything that happens, and of nobody's code.
        identity: who it is, and whom it trusts.
        keys: where new signing keys are made.
        spool: open, for this process alone.
        hardware: switched off; used until `stop`.
        stop: asked for the end by whatever needs one.
        begun: a decoder's child that was started ahead, if there is one.

    Raises:
        OSError, ProtocolError: there is no trust bundle that can be believed.
        SiteError: the certificate cannot be read.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        log: Log,
        identity: Identity,
        keys: KeyStore,
        spool: Spool,
        hardware: parts.Parts,
        stop: Stop,
        begun: Begun | None = None,
    ) -> None:
        self._config, self._log, self._identity = config, log, identity
        self._spool, self._hardware, self._stop = spool, hardware, stop
        self._switch = Switch(config.state_dir / "disabled")
        self._newest: Appended | None = None
        self._renewal_failure: Exception | None = None
        outbox = Outbox(mono_ms=mono_ms)
        self._beliefs = beliefs = believe(
            config,
            identity=identity,
            log=log,
            put=outbox.put,
            connected=lambda: self._uplink.status.hub_online,
            on_command=self._take_command,
        )
        clock = self._clock = beliefs.clock
        self._renewal = self._make_renewal(keys)
        self._indicator = Indicator(
            lights=hardware.lights, buzzer=hardware.buzzer, gate=hardware.gate, prompters=hardware.prompters
        )
        self._operations = operate(
            config,
            Asked(
                policy=lambda: beliefs.policy,
                locate=self._locate,
                figures=self._figures,
                renewal=self._renewal,
                end=lambda: stop.ask(Why.RESTART),
                wipe=lambda: stop.ask(Why.WIPE),
            ),
            identity=identity,
            ledger=self._open_ledger(),
            switch=self._switch,
            spool=spool,
            outbox=outbox,
            gate=hardware.gate,
            # A clock that lies before what was signed must not run commands that have ended.
            now_ms=lambda: max(clock.now_ms(), clock.floor_s * 1000),
            log=log,
        )
        self._mailbox = Mailbox()
        self._capture = Capture(camera=parts.camera(config.camera, around=hardware), mailbox=self._mailbox)
        self._decoder = DecoderProcess(
            engine=config.decoder.engine, frame_px_max=config.decoder.frame_px_max, begun=begun
        )
        self._loop = self._make_loop()
        self._vitals = Vitals(
            beliefs=beliefs,
            switch=self._switch,
            spool=spool,
            hardware=hardware,
            mailbox=self._mailbox,
            capture=self._capture,
            decoder=self._decoder,
            loop=self._loop,
            inbox=self._operations.inbox,
            board=Board(disk=config.state_dir),
            updates=None if config.update is None else StatusReader(status_file(config.update.firmware_dir)),
        )
        self._wellness = self._begin_wellness()
        self._uplink = self._make_uplink(outbox)
        self._renewing = threading.Thread(target=self._look_after_certificate, name="renewal", daemon=True)

    def start(self, *, can_be_armed: bool = True) -> None:
        """Start every thread; with `can_be_armed`, a button that is held ends this gate, to be enrolled anew."""
        self._operations.start()
        if self._operations.inbox.wiping:
            # It was proved where the chain ends: nothing may follow.
            self._spool.freeze()
        self._capture.start()
        self._loop.start()
        self._uplink.start()
        if self._renewal is not None:
            self._renewing.start()
        if can_be_armed and self._hardware.button is not None:
            self._hardware.button.listen(on_press=lambda: None, on_hold=lambda: self._stop.ask(Why.ARMED))
        config = self._config
        self._log.event("started", device=self._identity.device.hex(), place=config.place, gate=config.gate)

    def watch(self, watchdog: Watchdog) -> int:
        """Look after the threads until the end; the exit code."""
        progress = Progress(lambda: self._loop.counts.frames)
        ready = connected = False
        while not self._stop.wait(WATCH_S if ready else WATCH_START_S):
            for name, failure in self._failures():
                if isinstance(failure, EndOfFramesError):
                    self._log.event("end_of_frames", scans=self._loop.counts.scans)
                    return 0
                self._log.event("failed", part=name, error=f"{type(failure).__name__}: {failure}")
                return 1
            self._beliefs.issuers.warn()
            if self._operations.inbox.wiping:
                self._stop.ask(Why.WIPE)
            if self._uplink.status.connected is not connected:
                connected = not connected
                self._log.event("link_up" if connected else "link_down", at_ms=self._clock.now_ms())
            if self._wellness is not None:
                self._wellness.look(
                    decoded=ready,
                    recording=self._vitals.state is not State.STORAGE_FAILED,
                    hub_online=self._uplink.status.hub_online,
                )
            if progress.made():
                if not ready:
                    watchdog.ready()
                    self._log.event("ready")
                    ready = True
                watchdog.feed()
        why = self._stop.why
        self._log.event("stopping", reason=why.value if why is not None else "")
        return 0

    def stop(self) -> None:
        """End every thread: no more frames, then no more answers, commands and messages."""
        self._capture.stop()
        self._loop.stop()
        self._operations.stop()
        self._uplink.stop()
        self._log.event("uplink", **asdict(self._uplink.status))

    def _figures(self) -> ScanFigures:
        """Whoever may be asked for a self-test is built before what is tested."""
        return self._vitals.scan_figures()

    def _take_command(self, payload: bytes) -> None:
        """Beliefs are built before what acts on them."""
        self._operations.inbox.take(payload)

    def _make_loop(self) -> ScanLoop:
        config, beliefs, clock = self._config, self._beliefs, self._clock
        return ScanLoop(
            mailbox=self._mailbox,
            decoder=self._decoder,
            sight=Sight(),
            policy=lambda: beliefs.policy,
            open_for_people=lambda: self._switch.on and not self._operations.inbox.wiping,
            trust=lambda: beliefs.issuers.current,
            look_up=beliefs.lists.look_up,
            memory=Memory.loaded(
                self._spool.used_since(clock.now_ms()),
                now_ms=clock.now_ms(),
                mono_ms=mono_ms(),
                longest_ms=beliefs.longest_use_ms,
            ),
            used_elsewhere=beliefs.used.used,
            announce_used=beliefs.used.announce,
            resolver=beliefs.resolver,
            pepper=self._pepper(),
            temperature=self._hardware.temperature_cc,
            lane=Lane(place=config.place, gate=config.gate),
            now_ms=clock.now_ms,
            clock_trusted=lambda: clock.trusted,
            commit=self._commit,
            commit_failure=partial(self._commit, until_ms=None, from_reserve=True),
            indicator=self._indicator,
            on_scan=self._log_scan,
            on_provisioning=lambda: self._log.event("provisioning_code_shown", at_ms=clock.now_ms()),
        )

    def _make_uplink(self, outbox: Outbox) -> Uplink:
        config, beliefs, clock = self._config, self._beliefs, self._clock
        broker = Broker(
            host=config.broker.host,
            port=config.broker.port,
            ca=config.broker.ca,
            cert=config.broker.cert,
            key=config.broker.key,
        )
        return Uplink(
            device=self._identity.device,
            spool=self._spool,
            hub_keys=self._identity.hub_keys,
            open_wire=partial(Wire.open, broker=broker, client_id=self._identity.device.hex()),
            firmware=version("gatelight"),
            versions=lambda: Versions(
                trust=beliefs.issuers.current.version, policy=beliefs.policy.version, lists=beliefs.lists.versions
            ),
            health=self._vitals.health,
            now_ms=clock.now_ms,
            mono_ms=mono_ms,
            random=secrets.SystemRandom().random,
            random_bytes=secrets.token_bytes,
            downlink=beliefs.downlink,
            outbox=outbox,
            condition=self._vitals.condition,
            wants_time=lambda: clock.wants_hint,
            asked=clock.asked,
        )

    def _begin_wellness(self) -> Wellness | None:
        """By what a release on trial is confirmed, where releases come by themselves."""
        if self._config.update is None:
            return None
        wellness = Wellness(
            self._config.state_dir,
            version=version("gatelight"),
            complain=lambda what: self._log.event("wellness_not_kept", error=what),
        )
        wellness.begin()
        return wellness

    def _make_renewal(self, keys: KeyStore) -> Renewal | None:
        if self._config.hub is None:
            return None
        clock = self._clock
        return Renewal(
            self._config.site,
            state_dir=self._config.state_dir,
            signing=self._identity.signing,
            keys=keys,
            log=self._log,
            now_s=lambda: clock.now_ms() // 1000 if clock.trusted else None,
            mono_s=time.monotonic,
            random=secrets.SystemRandom().random,
            random_bytes=secrets.token_bytes,
        )

    def _look_after_certificate(self) -> None:
        """What goes wrong here costs a retry; the gate serves people meanwhile."""
        time.sleep(RENEWAL_FIRST_S)
        while self._renewal is not None:
            try:
                if self._renewal.renew_if_due():
                    self._stop.ask(Why.RESTART)
                    return
            except EnrolmentError as error:
                self._log.event("renewal_failed", reason=error.reason, what=str(error))
            except Exception as error:  # noqa: BLE001 - the thread's border: main sees the failure and ends the process
                self._renewal_failure = error
                return
            time.sleep(RENEWAL_S)

    def _open_ledger(self) -> Ledger | None:
        try:
            now_s = max(self._clock.now_ms() // 1000, self._clock.floor_s)
            return Ledger.open(self._config.state_dir / "commands.db", now_s=now_s)
        except StorageError as error:
            # A gate that serves people and takes no commands is better than none.
            self._log.event("commands_unavailable", error=str(error))
            return None

    def _pepper(self) -> bytes:
        """What keys the hashes of foreign codes; made once, kept here, erased by a wipe."""
        path = self._config.state_dir / "pepper"
        if path.is_file():
            kept = path.read_bytes()
            if len(kept) == PEPPER_BYTES:
                return kept
        fresh = secrets.token_bytes(PEPPER_BYTES)
        durable.write_atomic(path, fresh)
        return fresh

    def _failures(self) -> Iterator[tuple[str, BaseException]]:
        camera = self._capture.failure
        if isinstance(camera, EndOfFramesError):
            # The scan thread tells, when it has answered the last frame.
            camera = None
        for name, failure in (
            ("scan", self._loop.failure),
            ("camera", camera),
            ("uplink", self._uplink.failure),
            ("commands", self._operations.inbox.failure),
            ("renewal", self._renewal_failure),
        ):
            if failure is not None:
                yield name, failure
        yield from self._hardware.failures()

    def _commit(self, draft: Draft, until_ms: int | None, *, from_reserve: bool = False) -> int:
        try:
            appended = self._spool.append(
                lambda epoch, seq, prev: seal(
                    draft, device=self._identity.device, epoch=epoch, seq=seq, prev=prev, key=self._identity.signing
                ),
                used=None if until_ms is None else (draft.code, until_ms),
                from_reserve=from_reserve,
            )
        except KeyStoreError as error:
            # A token that does not sign is a check-in that cannot be kept: nobody is admitted, the gate goes on.
            raise StorageError(f"not sealed: {error}") from error
        self._uplink.appended()
        self._newest = appended
        return appended.seq

    def _locate(self, seconds: int) -> None:
        policy, now_ms = self._beliefs.policy, self._clock.now_ms()
        self._indicator.locate(seconds, quiet=is_quiet(policy, now_ms))

    def _log_scan(self, scan: Scan) -> None:
        newest = self._newest
        self._log.event(
            "scan",
            seq=scan.seq,
            # What an attendant tells whoever was not admitted, to appeal with.
            slip=slip_number(newest.hash) if newest is not None and newest.seq == scan.seq else None,
            scheme=None if scan.scheme is None else scan.scheme.name.lower(),
            colour=scan.decision.colour.wire_name,
            verdict=scan.decision.verdict.wire_name,
            reason=scan.decision.reason.wire_name,
            frame_to_light_ms=round(scan.frame_to_light_ms, 2),
            decode_ms=round(scan.decode_ms, 2),
            spool=self._spool.depth,
            at_ms=scan.at_ms,
        )
