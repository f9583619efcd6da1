"""The order of things at the gate, told with real stages and a scripted decoder and disk."""

import numpy as np
import pytest

from device.model import Frame, ListEntry, Resolution
from device.scan.capture import Mailbox
from device.scan.decide import longest_use_ms
from device.scan.memory import Memory
from device.send.seal import seal
from device.send.spool import Spool
from protocol.checkin import GENESIS, hash_of, parse_checkin
from protocol.codes import StatusRef
from protocol.limits import TIME_MAX_MS
from protocol.reasons import Reason
from protocol.terms import Colour, Kind, Scheme, Verdict
from protocol.verdict import Rules


def test_green_is_lit_only_after_the_commit(gate, world):
    gate.frames(world.text())
    assert [what for what, _ in gate.happened] == ["commit", "light", "announce"]
    assert gate.happened[:2] == [("commit", Reason.OK), ("light", Colour.GREEN)]
    assert (gate.scans[0].seq, gate.scans[0].scheme) == (1, Scheme.GATELIGHT)
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
    assert gate.reasons == [Reason.CLOCK_UNTRUSTED, Reason.CLOCK_UNTRUSTED]
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


def test_a_jump_back_after_its_end_does_not_admit_a_live_code_again(gate, world):
    """By the wall clock it is valid once more; on the monotonic clock its time has long passed."""
    text, began_s = world.text(), world.now_s
    gate.frames(text)
    gate.leave()
    gate.time_ms += 3_600_000
    for jump_s in (3600, 0, 20, -30):
        world.now_s = began_s + jump_s
        gate.frames(text)
        gate.leave()
    assert [scan.seq for scan in gate.scans if scan.decision.verdict is Verdict.ADMIT] == [1]


@pytest.mark.parametrize("jump_s", [-900, -300, 300, 86_400])
def test_a_card_counts_as_used_for_its_while_whatever_the_clock_says(gate, world, jump_s):
    text = listed_card(gate, world)
    gate.frames(text)
    gate.leave()
    world.now_s += jump_s
    gate.time_ms += 290_000
    gate.frames(text)
    gate.leave()
    gate.time_ms += 10_000
    gate.frames(text)
    assert gate.reasons == [Reason.OK, Reason.ALREADY_USED, Reason.OK]


def listed_card(gate, world, *, colour=Colour.GREEN, version=7):
    gate.lists["u", world.issuer.public.kid] = ListEntry(colour=colour, version=version)
    lasts = {"issued_s": world.now_s - 10**6, "expires_s": world.now_s + 10**6}
    return world.text(kind=Kind.CARD, status=StatusRef(index=1, uri="u"), colour=None, **lasts)


class OnDisk:
    """The scripted gate with a real spool."""

    def __init__(self, gate, world, path):
        self.gate, self.world, self.path = gate, world, path
        self.start()

    def start(self):
        self.spool = Spool.open(self.path, new_epoch=bytes(8), now_ms=self.world.now_ms)
        memory = Memory.loaded(
            self.spool.used_since(self.world.now_ms),
            now_ms=self.world.now_ms,
            mono_ms=self.gate.time_ms,
            longest_ms=longest_use_ms(Rules()),
        )
        self.gate.loop = self.gate.started(memory=memory, commit=self.commit)

    def restart(self):
        """The monotonic clock begins anew."""
        self.spool.close()
        self.gate.time_ms = 0
        self.start()

    def commit(self, draft, until_ms):
        return self.spool.append(
            lambda epoch, seq, prev: seal(draft, device=bytes(8), epoch=epoch, seq=seq, prev=prev, key=self.gate.key),
            used=None if until_ms is None else (draft.code, until_ms),
        ).seq

    def show(self, text):
        self.gate.frames(text)
        self.gate.leave()
        return self.gate.reasons[-1]


@pytest.fixture
def on_disk(gate, world, tmp_path):
    made = OnDisk(gate, world, tmp_path / "spool.db")
    yield made
    made.spool.close()


def test_jumps_of_the_clock_and_restarts_neither_double_an_admission_nor_reorder_the_chain(gate, world, on_disk):
    live, card, began_s = world.text(), listed_card(gate, world), world.now_s
    assert [on_disk.show(text) for text in (live, card)] == [Reason.OK, Reason.OK]
    for jump_s in (-20, 5, -30, 45):
        world.now_s = began_s + jump_s
        on_disk.restart()
        assert [on_disk.show(text) for text in (live, card)] == [Reason.ALREADY_USED] * 2, jump_s
    sealed = [parse_checkin(data) for data in on_disk.spool.read(1, 100)]
    assert [one.checkin.seq for one in sealed] == list(range(1, 11)), "in the order of the showings"
    assert [one.checkin.at_ms for one in sealed[::2]] == [1000 * (began_s + jump_s) for jump_s in (0, -20, 5, -30, 45)]
    assert [one.checkin.prev for one in sealed] == [GENESIS, *(hash_of(one.data) for one in sealed[:-1])]


def test_a_card_is_not_shut_out_by_a_clock_that_was_far_ahead_when_it_was_admitted(gate, world, on_disk):
    card = listed_card(gate, world)
    world.now_s += 86_400
    assert on_disk.show(card) is Reason.OK
    world.now_s -= 86_400
    on_disk.restart()
    assert on_disk.show(card) is Reason.ALREADY_USED
    gate.time_ms += longest_use_ms(Rules())
    assert on_disk.show(card) is Reason.OK, "not after a day, as its end on disk says"


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


def test_a_card_is_decided_by_its_issuers_list_and_the_record_names_its_version(gate, world):
    status = StatusRef(index=1, uri="u")
    for colour, reason in [(Colour.GREEN, Reason.OK), (Colour.RED, Reason.COLOUR_RED)]:
        gate.frames(listed_card(gate, world, colour=colour, version=41))
        gate.leave()
        assert gate.reasons[-1] is reason
        assert gate.drafts[-1].evidence.status_version == 41
        assert gate.drafts[-1].evidence.policy_version == 5
    assert gate.consulted == [(status, world.issuer.public.kid)] * 2
    judged_at = [(draft.at_ms // 1000, gate.loop._policy().stale_s) for draft in gate.drafts]
    assert gate.fresh_at == judged_at, "fresh at the moment that stands in the record"


def test_a_list_of_another_issuer_says_nothing_about_this_ones_cards(gate, world):
    listed_card(gate, world)
    made = world.text(key=world.second_issuer, kind=Kind.CARD, status=StatusRef(index=1, uri="u"))
    gate.frames(made)
    assert gate.reasons == [Reason.STATUS_STALE]
    assert gate.consulted == [(StatusRef(index=1, uri="u"), world.second_issuer.public.kid)]
    assert gate.drafts[0].evidence.status_version is None


def test_without_a_clock_to_believe_no_list_is_fresh(gate, world):
    card = listed_card(gate, world)
    gate.trusted = False
    gate.frames(card)
    assert gate.reasons == [Reason.CLOCK_UNTRUSTED]
    assert gate.consulted == []


def test_a_live_code_is_as_bad_as_the_worse_of_its_colour_and_its_list(gate, world):
    listed_card(gate, world, colour=Colour.YELLOW)
    gate.frames(world.text(status=StatusRef(index=1, uri="u")))
    assert gate.reasons == [Reason.COLOUR_YELLOW]


def test_no_list_is_asked_about_a_code_that_nobody_vouches_for(gate, world):
    gate.frames(listed_card(gate, world)[:-1])
    gate.leave()
    gate.frames(world.text())
    assert gate.consulted == []


def test_the_policy_in_force_decides_from_the_next_code_on(gate, world):
    for changes, reason in [
        ({}, Reason.OK),
        ({"closed": True}, Reason.PLACE_CLOSED),
        ({"enabled": False}, Reason.GATE_DISABLED),
        ({"enabled": True, "closed": False}, Reason.OK),
    ]:
        gate.set_policy(**changes)
        gate.frames(world.text(subject=len(gate.scans).to_bytes(16)))
        gate.leave()
        assert gate.reasons[-1] is reason


def test_an_operator_takes_the_gate_out_of_service_though_the_policy_opens_it(gate, world):
    gate.operator_opens = False
    gate.frames(world.text())
    assert gate.reasons == [Reason.GATE_DISABLED]


def test_a_green_that_policy_holds_is_recorded_before_its_light_and_not_used_up(gate, world):
    gate.set_policy(green=Verdict.HOLD)
    gate.frames(world.text())
    gate.leave()
    gate.frames(world.text())
    assert gate.happened == [("commit", Reason.OK), ("light", Colour.GREEN)] * 2
    assert gate.drafts[0].verdict is Verdict.HOLD


def test_a_notice_that_policy_admits_is_used_up_and_announced(gate, world):
    gate.set_policy(notice=Verdict.ADMIT)
    text = world.text(colour=Colour.NOTICE)
    gate.frames(text)
    gate.leave()
    gate.frames(text)
    assert gate.reasons == [Reason.NOTICE, Reason.ALREADY_USED]
    assert [what for what, _ in gate.happened] == ["commit", "light", "announce", "light", "commit"]


def test_an_admission_is_announced_to_the_place_and_nothing_else_is(gate, world):
    gate.frames(world.text())
    gate.leave()
    gate.frames(world.text(colour=Colour.RED))
    gate.leave()
    gate.disk = "full"
    gate.frames(world.text(subject=bytes(16)))
    (code_hash, until_ms) = gate.announced[0]
    assert code_hash == gate.drafts[0].code
    assert until_ms > world.now_ms
    assert len(gate.announced) == 1


def test_a_code_that_passed_at_another_gate_of_the_place_does_not_pass_here(gate, world):
    text = world.text()
    gate.elsewhere.add(world.verified().code_hash)
    gate.frames(text)
    assert gate.reasons == [Reason.ALREADY_USED]
    assert gate.announced == []


def test_a_temperature_is_taken_of_whoever_would_pass_and_stands_in_the_record(gate, world):
    gate.set_policy(temperature_max_cc=3730)
    for temperature_cc, reason, recorded in [
        (3650, Reason.OK, 3650),
        (3800, Reason.TEMPERATURE_HIGH, 3800),
        (None, Reason.THERMOMETER_FAILED, None),
        (2300, Reason.THERMOMETER_FAILED, None),
        (-27_000, Reason.THERMOMETER_FAILED, None),
        (38_000, Reason.THERMOMETER_FAILED, None),
    ]:
        gate.temperature_cc = temperature_cc
        gate.frames(world.text(subject=len(gate.scans).to_bytes(16)))
        gate.leave()
        assert (gate.reasons[-1], gate.drafts[-1].temperature_cc) == (reason, recorded)
    assert gate.measured == 6
    gate.frames(world.text(colour=Colour.RED))
    gate.leave()
    gate.set_policy(temperature_max_cc=None)
    gate.frames(world.text(subject=bytes(20)))
    assert gate.measured == 6
    assert gate.drafts[-1].temperature_cc is None


def test_a_code_for_setting_up_shows_nothing_and_is_reported_without_drowning_anybody(gate):
    for _ in range(3):
        gate.frames("GLE1:SECRET", count=20)
        gate.leave()
    assert gate.happened == []
    assert (gate.loop.counts.provisioning, gate.loop.counts.foreign, gate.provisioning) == (3, 3, 1)
    gate.time_ms += 10_000
    gate.frames("GLE1:SECRET")
    assert gate.provisioning == 2


NUMBER = "11010519491231002X"


@pytest.fixture
def online(gate):
    """A gate that looks up card numbers and codes that begin with JKM."""
    gate.set_policy(resolve_cards=True, resolve_prefixes=("JKM",))
    gate.platform.answers = {text: known() for text in (NUMBER, "JKM1")}
    return gate


def known(colour=Colour.GREEN, **changes):
    base = {
        "found": True,
        "subject": b"sealed by the platform",
        "colour": colour,
        "issued_s": 1000,
        "expires_s": 1060,
        "issuer_kid": b"platform",
    }
    return Resolution(**(base | changes))


def test_a_number_is_looked_up_while_the_frames_go_on(online):
    online.frames(NUMBER, count=5)
    assert online.happened == [("light", "waiting")]
    assert online.platform.asked == [(NUMBER, Scheme.CARD_NUMBER)]
    assert online.loop.counts.frames == 5, "the watchdog is fed"
    online.platform.answers_now()
    online.frames(NUMBER)
    assert online.happened[1:] == [("commit", Reason.OK), ("light", Colour.GREEN)]
    (made,) = online.drafts
    assert (made.scheme, made.subject, made.verdict) == (Scheme.CARD_NUMBER, b"sealed by the platform", Verdict.ADMIT)
    (scan,) = online.scans
    assert (scan.scheme, scan.frame_to_light_ms) == (Scheme.CARD_NUMBER, 257.0)
    online.frames(NUMBER, count=30)
    assert len(online.scans) == 1


def test_an_answer_comes_to_whoever_took_the_phone_away_already(online):
    online.frames("JKM1")
    online.frames(count=5)
    online.platform.answers_now()
    online.frames()
    assert online.reasons == [Reason.OK]
    assert online.drafts[0].scheme is Scheme.OPAQUE


@pytest.mark.parametrize(
    ("answer", "light", "reason"),
    [
        (known(Colour.RED), Colour.RED, Reason.COLOUR_RED),
        (known(Colour.YELLOW), Colour.YELLOW, Reason.COLOUR_YELLOW),
        (known(Colour.NOTICE), Colour.NOTICE, Reason.NOTICE),
        (known(found=False, colour=None, subject=b""), Colour.GREY, Reason.NOT_FOUND),
    ],
)
def test_whatever_the_platform_says_is_shown_and_recorded(online, answer, light, reason):
    online.platform.answers["JKM1"] = answer
    online.frames("JKM1")
    online.platform.answers_now()
    online.frames("JKM1")
    assert online.happened[0] == ("light", "waiting")
    assert set(online.happened[1:]) == {("light", light), ("commit", reason)}
    assert online.drafts[0].scheme is Scheme.OPAQUE


def test_no_answer_in_time_is_grey_and_a_late_one_is_nobodys(online):
    online.frames(NUMBER, count=16)
    assert online.scans == []
    online.frames(NUMBER)
    assert online.reasons == [Reason.RESOLVER_TIMEOUT]
    assert online.drafts[0].scheme is Scheme.CARD_NUMBER
    online.platform.answers_now()
    online.frames(NUMBER, count=10)
    online.leave()
    assert online.reasons == [Reason.RESOLVER_TIMEOUT]
    assert online.announced == []


def test_where_nobody_can_be_asked_it_is_grey_at_once(online):
    online.platform.reachable = False
    online.frames(NUMBER)
    assert online.happened == [("light", Colour.GREY), ("commit", Reason.RESOLVER_TIMEOUT)]
    online.leave()
    online.loop = online.started(resolver=None)
    online.frames("JKM1")
    assert online.reasons == [Reason.RESOLVER_TIMEOUT] * 2


def test_an_online_look_up_needs_no_trusted_clock(online, world):
    online.trusted, world.now_s = False, 0
    online.frames(NUMBER)
    online.platform.answers_now()
    online.frames(NUMBER)
    assert online.reasons == [Reason.OK]


@pytest.mark.parametrize("gone", [0, 10])
def test_whoever_shows_another_code_meanwhile_makes_it_several(online, world, gone):
    """The light that is about to come would be taken for the wrong person's."""
    online.frames(NUMBER)
    online.frames(count=gone)
    online.frames(world.text())
    online.platform.answers_now()
    online.frames(world.text(), count=10)
    assert online.reasons == [Reason.SEVERAL_CODES]
    assert online.drafts == []
    online.leave()
    online.frames(world.text())
    assert online.reasons[1:] == [Reason.OK], "shown again, alone"


def test_where_nobody_passes_nobodys_number_leaves_the_gate(online):
    for changes, reason in [({"closed": True}, Reason.PLACE_CLOSED), ({"enabled": False}, Reason.GATE_DISABLED)]:
        online.set_policy(**changes)
        online.frames(NUMBER)
        online.leave()
        assert online.reasons[-1] is reason
        assert online.drafts[-1].scheme is Scheme.CARD_NUMBER
    assert online.platform.asked == []


def test_a_gate_that_closes_while_somebody_waits_is_closed_for_them_too(online):
    online.frames(NUMBER)
    online.operator_opens = False
    online.platform.answers_now()
    online.frames(NUMBER)
    assert online.reasons == [Reason.GATE_DISABLED]


def test_one_number_one_person_at_this_gate_and_at_no_other(online):
    for _ in range(2):
        online.frames(NUMBER)
        online.platform.answers_now()
        online.frames(NUMBER)
        online.leave()
    assert online.reasons == [Reason.OK, Reason.ALREADY_USED]
    assert online.announced == [], "another gate could not find its keyed hash"
    online.time_ms += 300_000
    online.frames(NUMBER)
    online.platform.answers_now()
    online.frames(NUMBER)
    assert online.reasons[-1] is Reason.OK


def test_a_kept_answer_needs_no_waiting(online):
    online.set_policy(resolve_cache_s=60, reuse_s=1)
    online.frames("JKM1")
    online.platform.answers_now()
    online.frames("JKM1")
    online.leave()
    del online.happened[:]
    online.frames("JKM1")
    assert online.happened == [("commit", Reason.OK), ("light", Colour.GREEN)]
    assert len(online.platform.asked) == 1


def test_a_policy_that_looks_nothing_up_asks_nobody(gate):
    gate.frames(NUMBER, "JKM1", count=3)
    assert gate.happened == []
    assert gate.platform.asked == []
    assert gate.loop.counts.foreign == 2


def test_a_lost_frame_does_not_hold_up_the_answer(online):
    online.frames(NUMBER)
    online.lost = True
    online.platform.answers_now()
    online.frames()
    assert online.reasons == [Reason.OK]


def test_the_last_frame_is_answered_too_when_its_answer_takes_a_while(online):
    """The camera is at its end; somebody still waits."""
    mailbox = Mailbox()
    online.loop = online.started()
    online.loop._mailbox = mailbox
    online.texts = (NUMBER,)
    online.start = online.close = lambda: None
    online.platform.quick = True
    mailbox.put(Frame(luma=np.zeros((4, 4), np.uint8), seq=0, at_mono_ns=0))
    mailbox.fail(ValueError("the end"))
    online.loop.start()
    online.loop._thread.join(5)
    assert online.reasons == [Reason.OK]
    assert isinstance(online.loop.failure, ValueError)
