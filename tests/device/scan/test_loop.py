"""The order of things at the gate, told with real stages and a scripted decoder and disk."""

import numpy as np
import pytest

from device.model import Decoded, Frame, StorageError
from device.scan.capture import Mailbox
from device.scan.decide import Memory, Rules
from device.scan.loop import ScanLoop
from device.scan.record import Lane
from device.scan.sight import Sight
from protocol.reasons import Reason
from protocol.terms import Colour, Direction, Verdict


class Script:
    """Decoder, disk and face of a gate, which write down what happened in which order."""

    def __init__(self, world):
        self.world = world
        self.texts = ()
        self.happened = []
        self.scans = []
        self.drafts = []
        self.disk = "ok"
        self.lost = False
        self.trusted = True
        self.time_ms = 0
        self.loop = ScanLoop(
            mailbox=Mailbox(),
            decoder=self,
            sight=Sight(),
            trust=world.bundle,
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
        self.drafts.append(draft)
        self.happened.append(("commit", draft.reason))
        return len(self.drafts)

    def commit_failure(self, draft):
        if self.disk == "dead":
            raise StorageError("full")
        self.happened.append(("reserve", draft.reason))
        return 99

    def frames(self, *texts, count=1):
        self.texts = texts
        for _ in range(count):
            self.time_ms += 50
            self.loop.step(Frame(luma=np.zeros((4, 4), np.uint8), seq=0, at_mono_ns=self.time_ms * 1_000_000))

    def leave(self):
        self.frames(count=40)


@pytest.fixture
def gate(world):
    return Script(world)


def test_green_is_lit_only_after_the_commit(gate, world):
    gate.frames(world.text())
    assert gate.happened == [("commit", Reason.OK), ("light", Colour.GREEN)]
    assert gate.scans[0].seq == 1
    assert gate.scans[0].frame_to_light_ms == 7.0


def test_red_is_lit_first_and_recorded_too(gate, world):
    gate.frames(world.text(colour=Colour.RED))
    assert gate.happened == [("light", Colour.RED), ("commit", Reason.COLOUR_RED)]


def test_one_code_in_view_answers_once(gate, world):
    gate.frames(world.text(), count=30)
    assert len(gate.scans) == 1


def test_one_code_one_person(gate, world):
    text = world.text()
    gate.frames(text)
    gate.leave()
    gate.frames(text)
    assert [scan.decision.reason for scan in gate.scans] == [Reason.OK, Reason.ALREADY_USED]
    assert len(gate.drafts) == 2, "the second showing is a record as well"


def test_a_code_that_was_held_is_not_used_up(gate, world):
    text = world.text()
    gate.trusted = False
    gate.frames(text)
    gate.leave()
    gate.trusted = True
    gate.frames(text)
    assert [scan.decision.reason for scan in gate.scans] == [Reason.CLOCK_UNTRUSTED, Reason.OK]


def test_several_codes_are_not_guessed_and_make_no_record(gate, world):
    gate.frames(world.text(), world.text(subject=bytes(20)), count=5)
    assert [scan.decision.reason for scan in gate.scans] == [Reason.SEVERAL_CODES]
    assert gate.happened == [("light", Colour.GREY)]
    assert gate.scans[0].seq is None


def test_an_advert_makes_neither_light_nor_record(gate):
    gate.frames("https://example.com/buy", count=3)
    assert gate.happened == []
    assert gate.loop.counts.foreign == 1


def test_a_full_disk_admits_nobody_and_says_so(gate, world):
    gate.disk = "full"
    gate.frames(world.text())
    assert gate.happened == [("reserve", Reason.STORAGE_FAILED), ("light", Colour.GREY)]
    assert gate.scans[0].decision.verdict is Verdict.HOLD
    assert gate.loop.counts.storage_failed


def test_a_dead_disk_is_grey_without_a_record_and_red_stays_red(gate, world):
    gate.disk = "dead"
    gate.frames(world.text())
    gate.leave()
    gate.frames(world.text(colour=Colour.RED))
    assert gate.happened == [("light", Colour.GREY), ("light", Colour.RED)]
    assert [scan.seq for scan in gate.scans] == [None, None]


def test_a_person_turned_away_by_the_disk_may_come_again(gate, world):
    text = world.text()
    gate.disk = "dead"
    gate.frames(text)
    gate.leave()
    gate.disk = "ok"
    gate.frames(text)
    assert [scan.decision.reason for scan in gate.scans] == [Reason.STORAGE_FAILED, Reason.OK]
    assert not gate.loop.counts.storage_failed


def test_a_lost_frame_is_not_a_look_away(gate, world):
    text = world.text()
    gate.frames(text)
    gate.lost = True
    gate.frames(count=3)
    gate.lost = False
    gate.frames(text)
    assert len(gate.scans) == 1
