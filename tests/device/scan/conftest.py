"""A gate of real stages, whose decoder, disk, face and platform are scripted and write down what happened in which order."""

from dataclasses import replace

import numpy as np
import pytest

from device.model import Decoded, Frame, StorageError
from device.scan.capture import Mailbox
from device.scan.loop import ScanLoop
from device.scan.memory import Memory
from device.scan.record import Lane
from device.scan.sight import Sight
from device.send.seal import seal
from protocol.keys import Ed25519SigningKey
from protocol.policy import GatePolicy

POLICY = GatePolicy(device=bytes(8), version=5, issued_s=0, place="p", gate="g")


class Platform:
    """What is known to whoever is asked online. `answers` maps a text to its resolution; `quick` answers at once."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.quick = False
        self.reachable = True
        self.arrived = {}

    def ask(self, text, scheme):
        if not self.reachable:
            return None
        self.asked.append((text, scheme))
        query = len(self.asked).to_bytes(16)
        if self.quick:
            self.arrived[query] = self.answers[text]
        return query

    def answer(self, query):
        return self.arrived.get(query)

    def answers_now(self):
        """The answer to the last question arrives."""
        self.arrived[len(self.asked).to_bytes(16)] = self.answers[self.asked[-1][0]]


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
        self.policy = POLICY
        self.operator_opens = True
        self.lists = {}
        self.consulted, self.fresh_at = [], []
        self.elsewhere = set()
        self.announced = []
        self.platform = Platform()
        self.temperature_cc = None
        self.measured = 0
        self.provisioning = 0
        self.memory = Memory()
        self.loop = self.started()

    def started(self, **changes):
        """A loop as after a start, with what the gate remembers."""
        world, bundle = self.world, self.world.bundle()
        given = {"memory": self.memory, "resolver": self.platform, "commit": self.commit} | changes
        return ScanLoop(
            mailbox=Mailbox(),
            decoder=self,
            sight=Sight(),
            policy=lambda: self.policy,
            open_for_people=lambda: self.operator_opens,
            trust=lambda: bundle,
            look_up=self.look_up,
            used_elsewhere=self.elsewhere.__contains__,
            announce_used=self.announce,
            pepper=bytes(32),
            temperature=self.measure,
            lane=Lane(place="p", gate="g"),
            now_ms=lambda: world.now_ms,
            clock_trusted=lambda: self.trusted,
            commit_failure=self.commit_failure,
            indicator=self,
            on_scan=self.scans.append,
            on_provisioning=self.report,
            mono_ns=lambda: self.time_ms * 1_000_000 + 7_000_000,
            **given,
        )

    def look_up(self, status, issuer_kid, /, *, now_s, stale_s):
        self.consulted.append((status, issuer_kid))
        self.fresh_at.append((now_s, stale_s))
        return self.lists.get((status.uri, issuer_kid))

    def announce(self, code_hash, until_ms):
        self.happened.append(("announce", code_hash))
        self.announced.append((code_hash, until_ms))

    def measure(self):
        self.measured += 1
        return self.temperature_cc

    def report(self):
        self.provisioning += 1

    def set_policy(self, **changes):
        self.policy = replace(self.policy, **changes)

    @property
    def reasons(self):
        return [scan.decision.reason for scan in self.scans]

    def decode(self, frame):
        return Decoded(texts=self.texts, frame_seq=0, at_mono_ns=frame.at_mono_ns, decode_ms=2.0, lost=self.lost)

    def show(self, decision, *, policy, now_ms):
        assert (policy, now_ms) == (self.policy, self.world.now_ms)
        self.happened.append(("light", decision.colour))

    def waiting(self):
        self.happened.append(("light", "waiting"))

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

    def at_the_longest_name(self):
        """The longest names there may be, and a policy that keeps the masked fields."""
        self.loop._judge._lane = Lane(place="p" * 32, gate="g" * 32)
        self.set_policy(version=2**63 - 1, keep_masked=True)


@pytest.fixture
def gate(world):
    return Script(world)
