"""A gate of real stages, whose decoder, disk and face are scripted and write down what happened in which order."""

import numpy as np
import pytest

from device.model import Decoded, Frame, StorageError
from device.scan.capture import Mailbox
from device.scan.decide import Memory, Rules
from device.scan.loop import ScanLoop
from device.scan.record import Lane
from device.scan.sight import Sight
from device.send.seal import seal
from protocol.keys import Ed25519SigningKey
from protocol.terms import Direction


class Script:
    """What is committed is sealed first, as on a real gate."""

    def __init__(self, world):
        self.world = world
        self.key = Ed25519SigningKey(bytes(32))
        self.texts = ()
        self.happened = []
        self.scans = []
        self.drafts = []
        self.sealed_bytes = []
        self.disk = "ok"
        self.lost = False
        self.trusted = True
        self.time_ms = 0
        bundle = world.bundle()
        self.loop = ScanLoop(
            mailbox=Mailbox(),
            decoder=self,
            sight=Sight(),
            trust=lambda: bundle,
            rules=Rules(),
            memory=Memory({}),
            lane=Lane(place="p", gate="g", direction=Direction.IN, keep_masked=False, policy_version=0),
            now_ms=lambda: world.now_ms,
            clock_trusted=lambda: self.trusted,
            commit=self.commit,
            commit_failure=self.commit_failure,
            indicator=self,
            on_scan=self.scans.append,
            mono_ns=lambda: self.time_ms * 1_000_000 + 7_000_000,
        )

    def decode(self, frame):
        return Decoded(texts=self.texts, frame_seq=0, at_mono_ns=frame.at_mono_ns, decode_ms=2.0, lost=self.lost)

    def show(self, decision):
        self.happened.append(("light", decision.colour))

    def commit(self, draft, until_ms):
        if self.disk != "ok":
            raise StorageError("full")
        seq = len(self.drafts) + 1
        self.seal(draft, seq)
        self.drafts.append(draft)
        self.happened.append(("commit", draft.reason))
        return seq

    def commit_failure(self, draft):
        if self.disk == "dead":
            raise StorageError("full")
        self.seal(draft, 99)
        self.happened.append(("reserve", draft.reason))
        return 99

    def seal(self, draft, seq):
        made = seal(draft, device=bytes(8), epoch=bytes(8), seq=seq, prev=bytes(32), key=self.key)
        self.sealed_bytes.append(len(made))

    def frames(self, *texts, count=1):
        self.texts = texts
        for _ in range(count):
            self.time_ms += 50
            self.loop.step(Frame(luma=np.zeros((4, 4), np.uint8), seq=0, at_mono_ns=self.time_ms * 1_000_000))

    def leave(self):
        self.frames(count=40)

    def leave_at_once(self):
        """As `leave`, in as few frames as a look away takes."""
        for _ in range(3):
            self.time_ms += 200
            self.frames()

    def place_and_gate(self, place, gate, *, policy_version):
        """The longest names there may be, and a policy that keeps the masked fields."""
        self.loop._lane = Lane(
            place=place, gate=gate, direction=Direction.IN, keep_masked=True, policy_version=policy_version
        )


@pytest.fixture
def gate(world):
    return Script(world)
