"""The order of things at the gate, told with real stages and a scripted decoder and disk."""

import numpy as np
import pytest

from device.model import Frame
from protocol.codes import StatusRef
from protocol.limits import TIME_MAX_MS
from protocol.reasons import Reason
from protocol.terms import Colour, Kind, Verdict


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


def test_a_notice_shows_green_too_so_it_is_recorded_first(gate, world):
    gate.frames(world.text(colour=Colour.NOTICE))
    assert gate.happened == [("commit", Reason.NOTICE), ("light", Colour.NOTICE)]
    gate.leave()
    gate.disk = "full"
    gate.frames(world.text(colour=Colour.NOTICE))
    assert gate.happened[2:] == [("reserve", Reason.STORAGE_FAILED), ("light", Colour.GREY)]


def test_what_was_lit_before_the_disk_failed_is_recorded_as_it_was_lit(gate, world):
    gate.disk = "full"
    gate.frames(world.text(colour=Colour.RED))
    assert gate.happened == [("light", Colour.RED), ("reserve", Reason.COLOUR_RED)]
    assert (gate.scans[0].seq, gate.scans[0].decision.colour) == (99, Colour.RED)
    assert gate.loop.counts.storage_failed


def test_a_lost_frame_is_no_progress_and_does_not_feed_the_watchdog(gate):
    gate.frames(count=2)
    gate.lost = True
    gate.frames(count=3)
    assert gate.loop.counts.frames == 2


def test_a_clock_that_woke_up_in_1970_is_at_fault_and_not_the_issuer(gate, world):
    live, card = world.text(), world.text(kind=Kind.CARD, status=StatusRef(index=1, uri="u"))
    gate.trusted, world.now_s = False, 0
    for text in (live, card):
        gate.frames(text)
        gate.leave()
    assert [scan.decision.reason for scan in gate.scans] == [Reason.CLOCK_UNTRUSTED, Reason.STATUS_STALE]
    assert [draft.at_ms for draft in gate.drafts] == [0, 0], "the record says what the clock said"


def test_a_clock_that_jumps_between_frames_admits_no_code_twice(gate, world):
    text, began_s = world.text(), world.now_s
    for jump_s, reason in [
        (0, Reason.OK),
        (40, Reason.ALREADY_USED),
        (-600, Reason.NOT_YET_VALID),
        (-30, Reason.ALREADY_USED),
        (86_400, Reason.EXPIRED),
        (0, Reason.ALREADY_USED),
    ]:
        world.now_s = began_s + jump_s
        gate.frames(text)
        gate.leave()
        assert gate.scans[-1].decision.reason is reason, jump_s
        assert gate.drafts[-1].at_ms == world.now_ms


@pytest.mark.parametrize("now_s", [0, TIME_MAX_MS // 1000])
def test_at_either_end_of_time_the_gate_still_answers(gate, world, now_s):
    text, world.now_s = world.text(), now_s
    gate.frames(text, text + "A")
    gate.leave()
    gate.frames(text)
    assert [scan.decision.colour for scan in gate.scans] == [Colour.GREY, Colour.GREY]
    assert gate.drafts[-1].at_ms == world.now_ms


class Panic(BaseException):
    """As a panic of a Rust library comes out."""


@pytest.mark.parametrize("fault", [ValueError("fault"), Panic("fault")])
def test_whatever_ends_the_thread_is_kept_for_main(gate, fault):
    def fail(frame):
        raise fault

    gate.decode = fail
    gate.start = gate.close = lambda: None
    gate.loop._mailbox.put(Frame(luma=np.zeros((4, 4), np.uint8), seq=0, at_mono_ns=0))
    gate.loop.start()
    gate.loop._thread.join(5)
    assert gate.loop.failure is fault
    assert not gate.happened
