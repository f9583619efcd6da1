from dataclasses import replace

import pytest

from device.model import Refusal, ResolvedCode, StorageError
from device.scan.record import Lane, Recorded, draft, record
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict
from protocol.verdict import Decision, grey

LANE = Lane(place="mall", gate="g1")
POLICY = GatePolicy(device=bytes(8), version=4, issued_s=0, place="mall", gate="g1", direction=Direction.OUT)


def drafted(world, *, policy=POLICY, shown=None, status_version=None, temperature_cc=None, **claims):
    return draft(
        shown or world.verified(**claims),
        Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK),
        lane=LANE,
        policy=policy,
        at_ms=world.now_ms,
        clock_trusted=True,
        status_version=status_version,
        temperature_cc=temperature_cc,
    )


def test_a_draft_says_who_signed_when_and_under_which_rule_and_policy(world):
    made = drafted(world, rule="R7", status_version=9, temperature_cc=3651)
    assert made.evidence.issuer_kid == world.issuer.public.kid
    assert made.evidence.code_issued_s == world.now_s - 10
    assert (made.evidence.rule, made.evidence.policy_version) == ("R7", 4)
    assert (made.evidence.status_version, made.temperature_cc) == (9, 3651)
    assert (made.place, made.gate, made.direction) == ("mall", "g1", Direction.OUT)
    assert (made.clock, made.scheme) == (Clock.TRUSTED, Scheme.GATELIGHT)
    assert made.subject == b"subject-of-16-by"


@pytest.mark.parametrize("keep", [True, False])
def test_masked_fields_are_kept_only_where_the_policy_says_so(world, keep):
    policy = replace(POLICY, keep_masked=keep)
    for shown in (world.verified(masked=("张", "11", "23")), NUMBER):
        assert drafted(world, policy=policy, shown=shown).masked == (("张", "11", "23") if keep else None)


NUMBER = ResolvedCode(
    scheme=Scheme.CARD_NUMBER,
    code_hash=b"keyed-hash-16-by",
    colour=Colour.GREEN,
    subject=b"sealed by the platform",
    issued_s=77,
    masked=("张", "11", "23"),
    rule="R8",
    issuer_kid=b"platform",
)


def test_what_was_looked_up_is_recorded_as_the_platform_said_it(world):
    made = drafted(world, shown=NUMBER)
    assert (made.scheme, made.code, made.subject) == (NUMBER.scheme, NUMBER.code_hash, NUMBER.subject)
    evidence = made.evidence
    assert (evidence.issuer_kid, evidence.code_issued_s, evidence.rule) == (b"platform", 77, "R8")
    assert evidence.status_version is None


def test_a_refused_code_leaves_no_subject(world):
    made = drafted(world, shown=Refusal(reason=Reason.BAD_SIGNATURE, code_hash=bytes(16), issuer_kid=bytes(8)))
    assert (made.subject, made.scheme) == (b"", Scheme.GATELIGHT)
    assert made.masked is None
    assert made.evidence.code_issued_s is None


def test_what_was_not_found_keeps_its_scheme_and_nothing_of_a_person(world):
    made = drafted(world, shown=Refusal(reason=Reason.NOT_FOUND, code_hash=bytes(16), scheme=Scheme.OPAQUE))
    assert (made.subject, made.scheme, made.evidence.rule) == (b"", Scheme.OPAQUE, None)


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
