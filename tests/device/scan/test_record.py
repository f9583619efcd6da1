import pytest

from device.model import Decision, Refusal, StorageError, grey
from device.scan.record import Lane, Recorded, draft, record
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Verdict

LANE = Lane(place="mall", gate="g1", direction=Direction.IN, keep_masked=False, policy_version=4)


def drafted(world, *, lane=LANE, shown=None, **claims):
    shown = shown or world.verified(**claims)
    decision = Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK)
    return draft(shown, decision, lane=lane, at_ms=world.now_ms, clock_trusted=True)


def test_a_draft_says_who_signed_when_and_under_which_rule_and_policy(world):
    made = drafted(world, rule="R7")
    assert made.evidence.issuer_kid == world.issuer.public.kid
    assert made.evidence.code_issued_s == world.now_s - 10
    assert (made.evidence.rule, made.evidence.policy_version) == ("R7", 4)
    assert (made.place, made.gate, made.clock) == ("mall", "g1", Clock.TRUSTED)
    assert made.subject == b"subject-of-16-by"


@pytest.mark.parametrize("keep", [True, False])
def test_masked_fields_are_kept_only_where_the_policy_says_so(world, keep):
    lane = Lane(place="mall", gate="g1", direction=Direction.IN, keep_masked=keep, policy_version=1)
    made = drafted(world, lane=lane, masked=("张", "11", "23"))
    assert made.masked == (("张", "11", "23") if keep else None)


def test_a_refused_code_leaves_no_subject(world):
    made = drafted(world, shown=Refusal(reason=Reason.BAD_SIGNATURE, code_hash=bytes(16), issuer_kid=bytes(8)))
    assert made.subject == b""
    assert made.masked is None
    assert made.evidence.code_issued_s is None


def fail(*_):
    raise StorageError("disk full")


def test_what_cannot_be_stored_admits_nobody_and_is_recorded_from_the_reserve(world):
    kept = []
    recorded = record(drafted(world), until_ms=5, commit=fail, commit_failure=lambda made: kept.append(made) or 9)
    assert recorded == Recorded(decision=grey(Reason.STORAGE_FAILED), seq=9, stored=False)
    assert (kept[0].colour, kept[0].verdict, kept[0].reason) == (Colour.GREY, Verdict.HOLD, Reason.STORAGE_FAILED)


def test_when_the_reserve_is_gone_too_it_is_grey_without_a_number(world):
    recorded = record(drafted(world), until_ms=5, commit=fail, commit_failure=fail)
    assert recorded == Recorded(decision=grey(Reason.STORAGE_FAILED), seq=None, stored=False)


def test_a_committed_draft_keeps_its_decision(world):
    made = drafted(world)
    recorded = record(
        made, until_ms=5, commit=lambda given, until: 3 if (given, until) == (made, 5) else 0, commit_failure=fail
    )
    assert recorded.seq == 3
    assert recorded.decision.verdict is Verdict.ADMIT
