"""Vectors of what hub and gate say beside check-ins: policies, used codes, time."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from protocol.envelope import AAD_POLICY, AAD_TIME
from protocol.policy import GatePolicy, QuietHours, seal_policy
from protocol.terms import Direction, Verdict
from protocol.timehint import TimeHint, seal_time
from protocol.used import Used, encode_used
from protocol.vectors.faults import Bad, Changes, all_bad, faults, good, missing, payload_of, plain_good
from protocol.vectors.make_checkins import AT_MS, DEVICE
from protocol.vectors.raw import Vector, filler, flip_s, sign1, signer, with_pairs

AT_S = AT_MS // 1000
PLACE, GATE = "mall-1", "north.2"
OTHER_DEVICE = filler("other device", 8)
SESSION = filler("device session", 8)
POLICY = GatePolicy(device=DEVICE, version=7, issued_s=AT_S, place=PLACE, gate=GATE)
FULL_POLICY = replace(
    POLICY, version=2**63 - 1, direction=Direction.OUT, enabled=False, closed=True, green=Verdict.HOLD,
    notice=Verdict.ADMIT, yellow=Verdict.REFUSE, leeway_s=300, reuse_s=86_400, stale_s=604_800, light_ms=60_000,
    open_ms=1, keep_masked=True, temperature_max_cc=3730,
    quiet=QuietHours(from_min=1320, to_min=420, utc_offset_min=480),
    resolve_prefixes=("https://codes.example/", "健康码:"), resolve_cards=True, resolve_cache_s=3600,
)  # fmt: skip
HINT = TimeHint(device=DEVICE, session=SESSION, at_ms=AT_MS)
USED = Used(code=filler("code", 16), until_ms=AT_MS + 300_000, device=DEVICE)


def make_policies() -> list[Vector]:
    """Gate policies, opened for one device, place and gate."""
    opener: dict[str, Any] = {
        "hub_keys": ["hub", "hub-p256"], "device": DEVICE.hex(), "place": PLACE, "gate": GATE, "current_version": 7
    }  # fmt: skip
    sealed = seal_policy(POLICY, key=signer("hub"))
    es256 = seal_policy(POLICY, key=signer("hub-p256"))
    names = ["device", "version", "issued", "place", "gate", "direction", "enabled", "closed", "verdicts", "leeway"]
    names += ["reuse", "stale", "light", "open", "keep_masked"]
    required = dict(enumerate(names, 1)) | {18: "prefixes", 19: "cards", 20: "cache"}
    changes: Changes = [
        *missing(required),
        ("version-zero", "versions count from 1", {2: 0}),
        ("enabled-one", "1 is not true", {7: 1}),
        ("leeway-true", "true is not 1", {10: True}),
        ("direction-two", "a direction that does not exist", {6: 2}),
        ("green-refused", "green is refused", {9: [2, 1, 1]}),
        ("notice-refused", "notice is refused", {9: [0, 2, 1]}),
        ("yellow-admitted", "yellow is admitted", {9: [0, 1, 0]}),
        ("verdicts-four", "a verdict for red", {9: [0, 1, 1, 2]}),
        ("leeway-301", "more leeway than 300 s", {10: 301}),
        ("reuse-zero", "no reuse window", {11: 0}),
        ("stale-59", "lists that are stale after 59 s", {12: 59}),
        ("light-60001", "a light of more than a minute", {13: 60_001}),
        ("open-zero", "a gate that opens for no time", {14: 0}),
        ("temperature-2999", "a threshold below 30.00 °C", {16: 2999}),
        ("temperature-4501", "a threshold above 45.00 °C", {16: 4501}),
        ("quiet-two", "quiet hours without an offset", {17: [1320, 420]}),
        ("quiet-1440", "a minute after the day's last", {17: [1320, 1440, 480]}),
        ("quiet-equal", "quiet hours that end when they begin", {17: [420, 420, 480]}),
        ("quiet-offset-841", "an offset that no place has", {17: [1320, 420, 841]}),
        ("prefix-empty", "an empty prefix would ask about every text", {18: [""]}),
        ("prefix-long", "a prefix of 33 characters", {18: ["p" * 33]}),
        ("prefixes-17", "17 prefixes", {18: ["p"] * 17}),
        ("cache-3601", "answers kept for more than an hour", {20: 3601}),
        ("other-device", "for another device", {1: OTHER_DEVICE}),
        ("other-place", "for another place", {4: "mall-2"}),
        ("other-gate", "for another gate", {5: "south"}),
    ]
    older = seal_policy(replace(POLICY, version=6), key=signer("hub"))
    later = sign1(with_pairs(payload_of(sealed), {65: "later"}), key=signer("hub"), aad=AAD_POLICY)
    return [
        good("usual", "a policy as it usually is", sealed, POLICY, AAD_POLICY, **opener),
        good("usual-es256", "the same by a P-256 key", es256, POLICY, AAD_POLICY, **opener),
        good("full", "every field, most at a bound", seal_policy(FULL_POLICY, key=signer("hub")), FULL_POLICY,
             AAD_POLICY, **opener),
        good("unknown-keys-ignored", "an unknown key above 64", later, POLICY, AAD_POLICY, **opener),
        *all_bad(
            [
                *faults(sealed, AAD_POLICY, by="hub", other_signer="unknown_key", changes=changes),
                ("older", "version 6 where 7 is in force", older, "rollback"),
                ("es256-high-s", "the high-s form of usual-es256", es256[:-64] + flip_s(es256[-64:]), "bad_signature"),
                ("too-long", "more than 16,384 bytes", sealed + bytes(16_384), "limit"),
            ],
            **opener,
        ),
    ]  # fmt: skip


def make_used() -> list[Vector]:
    """A code was used at another gate of the place; not signed."""
    data = encode_used(USED)
    bad: Bad = [
        ("code-short", "a hash of 15 bytes", with_pairs(data, {1: bytes(15)}), "malformed"),
        ("until-missing", "no end", with_pairs(data, {2: None}), "malformed"),
        ("until-year-10000", "a time beyond the year 9999", with_pairs(data, {2: 253_402_300_800_000}), "malformed"),
        ("device-text", "a device id that is a text", with_pairs(data, {3: DEVICE.hex()}), "malformed"),
        ("unknown-low-key", "unknown key 4", with_pairs(data, {4: 0}), "malformed"),
        ("trailing-byte", "a byte after the end", data + b"\x00", "malformed"),
        ("too-long", "more than 128 bytes", with_pairs(data, {65: bytes(128)}), "limit"),
    ]
    return [*plain_good([("used", "used until then", USED)], encode_used), *all_bad(bad)]


def make_time_hints() -> list[Vector]:
    """The hub's clock, for one session of one device."""
    opener: dict[str, Any] = {"hub_keys": ["hub", "hub-p256"], "device": DEVICE.hex(), "session": SESSION.hex()}
    sealed = seal_time(HINT, key=signer("hub"))
    changes: Changes = [
        *missing({1: "device", 2: "session", 3: "at"}),
        ("at-true", "true is not 1", {3: True}),
        ("other-device", "for another device", {1: OTHER_DEVICE}),
    ]
    replayed = seal_time(replace(HINT, session=filler("older session", 8)), key=signer("hub"))
    return [
        good("hint", "the time, for this session", sealed, HINT, AAD_TIME, **opener),
        good(
            "hint-es256", "the same by a P-256 key", seal_time(HINT, key=signer("hub-p256")), HINT, AAD_TIME, **opener
        ),
        *all_bad(
            [
                *faults(sealed, AAD_TIME, by="hub", other_signer="unknown_key", changes=changes),
                ("replayed", "an older session's hint", replayed, "rollback"),
                ("too-long", "more than 256 bytes", sealed + bytes(256), "limit"),
            ],
            **opener,
        ),
    ]
