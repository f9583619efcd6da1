"""A gate's scan loop in which everything is real but the camera and the lamp, and what its people show."""

import hashlib
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import zxingcpp

from device.hardware.ports import LightSignal
from device.hardware.sim.buzzer import SimBuzzer
from device.hardware.sim.gate import SimGate
from device.hardware.sim.journal import Journal
from device.hardware.sim.lights import SimLights
from device.hardware.sim.looks import TYPICAL, Look
from device.hardware.sim.render import render_code
from device.model import Draft
from device.scan.capture import Mailbox
from device.scan.decode import DecoderProcess
from device.scan.indicate import Indicator
from device.scan.loop import Scan, ScanLoop
from device.scan.memory import Memory
from device.scan.record import Lane
from device.scan.sight import Sight
from device.send.seal import seal
from device.send.spool import Spool
from protocol.codes import Claims, seal_code, to_text
from protocol.keys import Ed25519SigningKey
from protocol.policy import GatePolicy
from protocol.terms import Colour
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey
from protocol.verdict import Decision

NOW_S = int(time.time())
KEY = Ed25519SigningKey(hashlib.sha256(b"bench").digest())
BUNDLE = TrustBundle(
    version=1,
    issued_s=0,
    expires_s=NOW_S + 10**6,
    issuers=(
        Issuer(
            name="bench",
            region="bench",
            keys=(
                TrustedKey(key=KEY.public, uses=frozenset({KeyUse.CODE}), not_before_s=0, not_after_s=NOW_S + 10**6),
            ),
        ),
    ),
)
POLICY = GatePolicy(
    device=bytes(8), version=1, issued_s=0, place="p", gate="g", resolve_cards=True, resolve_prefixes=("https://a/",)
)
SIZE = (640, 480)


def code_text(number: int = 0) -> str:
    """A live green code of one person."""
    subject = hashlib.sha256(number.to_bytes(8)).digest()[:16]
    claims = Claims(subject=subject, issued_s=NOW_S, expires_s=NOW_S + 120, colour=Colour.GREEN)
    return to_text(seal_code(claims, key=KEY))


def frames(texts: list[str], *, look: Look = TYPICAL, seed: int = 1) -> list[np.ndarray]:
    """One frame a text, the same in every run."""
    rng = np.random.default_rng(seed)
    return [np.ascontiguousarray(render_code(text, size=SIZE, rng=rng, look=look)) for text in texts]


def read_bare(luma: np.ndarray) -> list[zxingcpp.Barcode]:
    """The decoder call alone, as whoever writes it in an afternoon would: defaults, QR codes only."""
    return zxingcpp.read_barcodes(luma, formats=zxingcpp.BarcodeFormat.QRCode)


def opened_spool(folder: Path, name: str, at_end: ExitStack) -> Spool:
    spool = Spool.open(folder / name, new_epoch=bytes(8), now_ms=0)
    at_end.callback(spool.close)
    return spool


def append(spool: Spool, made: Draft, used: tuple[bytes, int] | None = None) -> int:
    return spool.append(
        lambda epoch, seq, prev: seal(made, device=bytes(8), epoch=epoch, seq=seq, prev=prev, key=KEY), used=used
    ).seq


def cpu_s(pid: int) -> float:
    """CPU time of another process, all its threads, to the ns: clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


class TimedLights(SimLights):
    """Keeps the moments at which an answer's light was lit."""

    def __init__(self, *, journal: Journal) -> None:
        super().__init__(journal=journal)
        self.lit_ns: list[int] = []

    def show(self, signal: LightSignal) -> None:
        super().show(signal)
        self.lit_ns.append(time.monotonic_ns())


class NoFace:
    """Nothing to see or hear: where the simulated lamp, buzzer and relay, and their threads, are not to be counted."""

    def show(self, decision: Decision, *, policy: GatePolicy, now_ms: int) -> None:
        pass

    def waiting(self) -> None:
        pass


class Rig:
    """Loop, decoder in its cage, spool with fsync, simulated light. `scans` are its answers, in order."""

    def __init__(self, folder: Path, at_end: ExitStack, *, name: str = "rig.db", face: bool = True) -> None:
        self.spool = opened_spool(folder, name, at_end)
        journal = Journal()
        self.lights, buzzer, gate = TimedLights(journal=journal), SimBuzzer(journal=journal), SimGate(journal=journal)
        for part in (self.lights, buzzer, gate):
            at_end.callback(part.shutdown)
        self.decoder = DecoderProcess(engine="zxing", frame_px_max=SIZE[0] * SIZE[1])
        self.mailbox = Mailbox()
        self.scans: list[Scan] = []
        self.loop = ScanLoop(
            mailbox=self.mailbox,
            decoder=self.decoder,
            sight=Sight(),
            policy=lambda: POLICY,
            open_for_people=lambda: True,
            trust=lambda: BUNDLE,
            look_up=lambda _status, _kid, **_by: None,
            memory=Memory(),
            used_elsewhere=lambda _code: False,
            announce_used=lambda _code, _until_ms: None,
            resolver=None,
            pepper=bytes(32),
            temperature=lambda: None,
            lane=Lane(place="p", gate="g"),
            now_ms=lambda: NOW_S * 1000,
            clock_trusted=lambda: True,
            commit=lambda made, until_ms: append(self.spool, made, (made.code, until_ms or 0)),
            commit_failure=lambda made: append(self.spool, made),
            indicator=Indicator(lights=self.lights, buzzer=buzzer, gate=gate) if face else NoFace(),
            on_scan=self.scans.append,
            on_provisioning=lambda: None,
        )

    def new_person(self) -> None:
        """As after a second without a code, on the frames' clock alone."""
        self.loop._sight = Sight()

    def cpu_s(self) -> float:
        """CPU of this process and of the decoder's child."""
        return time.process_time() + cpu_s(self.decoder._child.pid)
