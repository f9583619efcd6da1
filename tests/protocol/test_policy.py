from dataclasses import replace

import pytest

from protocol.envelope import AAD_POLICY
from protocol.errors import LimitError, MalformedError, RollbackError, SignatureError, UnknownKeyError
from protocol.limits import INT64_MAX, NAME_CHARS, POLICY_BYTES, RESOLVE_PREFIX_CHARS, RESOLVE_PREFIXES
from protocol.policy import QuietHours, open_policy, seal_policy
from protocol.terms import Verdict
from protocol.vectors.faults import payload_of
from protocol.vectors.make_gate import DEVICE, FULL_POLICY, GATE, OTHER_DEVICE, PLACE, POLICY
from protocol.vectors.raw import flip_s, sign1, with_pairs


@pytest.fixture
def read(keys):
    def opened(data, *, device=DEVICE, place=PLACE, gate=GATE, current_version=0):
        trusted = {key.public.kid: key.public for key in (keys.hub, keys.hub_p256)}
        return open_policy(
            data, hub_keys=trusted, device=device, place=place, gate=gate, current_version=current_version
        )

    return opened


@pytest.mark.parametrize("policy", [POLICY, FULL_POLICY, replace(POLICY, version=INT64_MAX, place="p" * NAME_CHARS)])
@pytest.mark.parametrize("by", ["hub", "hub_p256"])
def test_a_policy_comes_back_as_it_was_sealed(keys, read, policy, by):
    data = seal_policy(policy, key=getattr(keys, by))
    assert read(data, place=policy.place) == policy


def test_the_default_is_to_admit_green_and_hold_the_rest_for_3_seconds():
    assert (POLICY.green, POLICY.notice, POLICY.yellow) == (Verdict.ADMIT, Verdict.HOLD, Verdict.HOLD)
    assert (POLICY.enabled, POLICY.closed, POLICY.keep_masked) == (True, False, False)
    assert (POLICY.leeway_s, POLICY.reuse_s, POLICY.stale_s, POLICY.light_ms, POLICY.open_ms) == (
        30, 300, 14_400, 3000, 3000,
    )  # fmt: skip


def test_none_is_in_force_at_another_device_place_or_gate(keys, read):
    data = seal_policy(POLICY, key=keys.hub)
    for elsewhere, where in (
        ({"device": OTHER_DEVICE}, "policy.device"),
        ({"place": "mall-2"}, "policy.gate"),
        ({"gate": "south"}, "policy.gate"),
        ({"place": GATE, "gate": PLACE}, "policy.gate"),
    ):
        with pytest.raises(MalformedError, match="made for") as caught:
            read(data, **elsewhere)
        assert caught.value.where == where


def test_a_version_never_goes_back_and_the_same_may_come_again(keys, read):
    data = seal_policy(POLICY, key=keys.hub)
    assert read(data, current_version=POLICY.version) == POLICY
    with pytest.raises(RollbackError, match="version 7 is older than 8"):
        read(data, current_version=8)


def test_only_a_key_of_the_hub_opens_it(keys, read):
    for stranger in (keys.device, keys.root, keys.stranger):
        with pytest.raises(UnknownKeyError, match=stranger.public.kid.hex()):
            read(seal_policy(POLICY, key=stranger))
    data = seal_policy(POLICY, key=keys.hub)
    with pytest.raises(SignatureError):
        read(data[:-1] + bytes([data[-1] ^ 1]))
    es256 = seal_policy(POLICY, key=keys.hub_p256)
    with pytest.raises(SignatureError, match="high-s"):
        read(es256[:-64] + flip_s(es256[-64:]))


def test_a_key_under_another_s_id_opens_nothing(keys):
    """A caller's mapping may be wrong: the id in the header is compared with the key once more."""
    data = seal_policy(POLICY, key=keys.stranger)
    wrong = {keys.stranger.public.kid: keys.hub.public}
    with pytest.raises(SignatureError, match="another key"):
        open_policy(data, hub_keys=wrong, device=DEVICE, place=PLACE, gate=GATE)


BOUNDS = [
    ("version", 1, INT64_MAX, 2),
    ("leeway_s", 0, 300, 10),
    ("reuse_s", 1, 86_400, 11),
    ("stale_s", 60, 604_800, 12),
    ("light_ms", 1, 60_000, 13),
    ("open_ms", 1, 60_000, 14),
    ("temperature_max_cc", 3000, 4500, 16),
    ("resolve_cache_s", 0, 3600, 20),
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=lambda bounds: bounds[0])
def test_each_number_at_its_bounds_and_one_beyond(keys, read, bounds):
    name, least, most, key = bounds
    for value in (least, most):
        policy = replace(POLICY, **{name: value})
        assert read(seal_policy(policy, key=keys.hub)) == policy
    payload = payload_of(seal_policy(POLICY, key=keys.hub))
    for value in (least - 1, most + 1, True, str(least), None if name != "temperature_max_cc" else b""):
        if type(value) is int:
            with pytest.raises(MalformedError):
                seal_policy(replace(POLICY, **{name: value}), key=keys.hub)
        with pytest.raises(MalformedError) as caught:
            read(sign1(with_pairs(payload, {key: value}), key=keys.hub, aad=AAD_POLICY))
        assert caught.value.where.startswith(f"policy.{name.rsplit('_', 1)[0]}"), value


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"version": 0}, "policy.version"),
        ({"green": Verdict.REFUSE}, "policy.verdicts"),
        ({"notice": Verdict.REFUSE}, "policy.verdicts"),
        ({"yellow": Verdict.ADMIT}, "policy.verdicts"),
        ({"place": "a/b"}, "policy.place"),
        ({"gate": ""}, "policy.gate"),
        ({"device": bytes(7)}, "policy.device"),
        ({"quiet": QuietHours(from_min=0, to_min=0, utc_offset_min=0)}, "policy.quiet"),
        ({"quiet": QuietHours(from_min=-1, to_min=0, utc_offset_min=0)}, "policy.quiet.from"),
        ({"quiet": QuietHours(from_min=0, to_min=1440, utc_offset_min=0)}, "policy.quiet.to"),
        ({"quiet": QuietHours(from_min=0, to_min=1, utc_offset_min=-721)}, "policy.quiet.utc_offset"),
        ({"quiet": QuietHours(from_min=0, to_min=True, utc_offset_min=0)}, "policy.quiet.to"),
        ({"resolve_prefixes": ("p",) * (RESOLVE_PREFIXES + 1)}, "policy.resolve_prefixes"),
        ({"resolve_prefixes": ("ok", "")}, "policy.resolve_prefixes[1]"),
        ({"resolve_prefixes": ("p" * (RESOLVE_PREFIX_CHARS + 1),)}, "policy.resolve_prefixes[0]"),
        ({"enabled": 1}, "policy.enabled"),
        ({"closed": 0}, "policy.closed"),
        ({"keep_masked": 1}, "policy.keep_masked"),
        ({"resolve_cards": 0}, "policy.resolve_cards"),
        ({"direction": True}, "policy.direction"),
    ],
)
def test_what_a_gate_would_refuse_cannot_be_sealed(keys, changes, where):
    with pytest.raises(MalformedError) as caught:
        seal_policy(replace(POLICY, **changes), key=keys.hub)
    assert caught.value.where == where


def test_length_at_the_limit_and_one_above(keys, read):
    payload = payload_of(seal_policy(POLICY, key=keys.hub))

    def padded(length):
        return sign1(with_pairs(payload, {65: bytes(length)}), key=keys.hub, aad=AAD_POLICY)

    exact = 16_000 + POLICY_BYTES - len(padded(16_000))
    assert len(padded(exact)) == POLICY_BYTES
    assert read(padded(exact)) == POLICY
    with pytest.raises(LimitError, match=f"policy: {POLICY_BYTES + 1} bytes"):
        read(padded(exact + 1))


def test_the_largest_policy_is_far_below_the_limit(keys):
    """Later versions have room to add to it."""
    most = replace(
        FULL_POLICY, place="p" * NAME_CHARS, gate="g" * NAME_CHARS,
        resolve_prefixes=("😀" * RESOLVE_PREFIX_CHARS,) * RESOLVE_PREFIXES,
    )  # fmt: skip
    assert len(seal_policy(most, key=keys.hub)) < POLICY_BYTES // 4


@pytest.mark.parametrize(
    ("quiet", "silent", "loud"),
    [
        # 22:00 to 07:00 in a place eight hours ahead of UTC: 14:00 to 23:00 UTC.
        ((1320, 420, 480), (14 * 60, 16 * 60, 23 * 60 - 1), (14 * 60 - 1, 23 * 60, 0, 12 * 60)),
        ((60, 120, 0), (60, 119), (59, 120, 0, 1439)),
        # 01:00 to 02:00 in a place 12 hours behind: 13:00 to 14:00 UTC.
        ((60, 120, -720), (780, 839), (779, 840)),
        ((1439, 0, 0), (1439,), (1438, 0)),
    ],
)
def test_quiet_hours_are_those_of_the_local_day_and_may_pass_midnight(quiet, silent, loud):
    hours = QuietHours(from_min=quiet[0], to_min=quiet[1], utc_offset_min=quiet[2])
    midnight_s = 20_000 * 86_400
    assert all(hours.covers(midnight_s + minute * 60 + second) for minute in silent for second in (0, 59))
    assert not any(hours.covers(midnight_s + minute * 60 + second) for minute in loud for second in (0, 59))
