from dataclasses import replace

import pytest

from protocol import cbor, checkin
from protocol.checkin import GENESIS, Evidence, parse_checkin, seal_checkin, verify_checkin
from protocol.envelope import AAD_CHECKIN
from protocol.errors import LimitError, MalformedError, SignatureError
from protocol.limits import (
    CHECKIN_BYTES,
    CHECKIN_SUBJECT_BYTES,
    INT64_MAX,
    MASKED_CHARS,
    MESSAGE_BYTES,
    MESSAGE_CHECKINS,
    NAME_CHARS,
    RULE_CHARS,
    TIME_MAX_MS,
)
from protocol.terms import Colour, Verdict
from protocol.vectors.raw import sign1, with_pairs


def with_fields(one, changes, keys):
    payload = parse_checkin(seal_checkin(one, key=keys.device)).envelope.payload
    return sign1(with_pairs(payload, changes), key=keys.device, aad=AAD_CHECKIN)


@pytest.mark.parametrize("name", ["device", "device_p256"])
def test_a_check_in_comes_back_as_it_was_sealed(keys, first, name):
    key = getattr(keys, name)
    full = replace(
        first,
        masked=("张", "11", "23"),
        temperature_cc=3652,
        evidence=replace(first.evidence, status_version=4, rule="R7"),
    )
    for one in (first, full, replace(first, evidence=Evidence(), subject=b"")):
        data = seal_checkin(one, key=key)
        sealed = parse_checkin(data)
        verify_checkin(sealed, key=key.public)
        assert sealed.checkin == one
        assert sealed.data == data
        assert sealed.kid == key.public.kid
        assert sealed.hash == checkin.hash_of(data)


def test_another_device_s_key_does_not_verify(keys, first):
    sealed = parse_checkin(seal_checkin(first, key=keys.device))
    with pytest.raises(SignatureError):
        verify_checkin(sealed, key=keys.stranger.public)


LIMITS = [
    ("seq least", {"seq": 1}, {"seq": 0}, "check-in.seq"),
    ("seq most", {"seq": INT64_MAX}, {"seq": INT64_MAX + 1}, "check-in.seq"),
    ("at most", {"at_ms": TIME_MAX_MS}, {"at_ms": TIME_MAX_MS + 1}, "check-in.at"),
    ("at least", {"at_ms": 0}, {"at_ms": -1}, "check-in.at"),
    ("place", {"place": "p" * NAME_CHARS}, {"place": "p" * (NAME_CHARS + 1)}, "check-in.place"),
    ("gate", {"gate": "g"}, {"gate": ""}, "check-in.gate"),
    ("subject", {"subject": bytes(CHECKIN_SUBJECT_BYTES)}, {"subject": bytes(CHECKIN_SUBJECT_BYTES + 1)}, "check-in.subject"),
    ("masked", {"masked": ("m" * MASKED_CHARS, "", "")}, {"masked": ("m" * (MASKED_CHARS + 1), "", "")}, "check-in.masked"),
    ("temperature", {"temperature_cc": 10_000}, {"temperature_cc": 10_001}, "check-in.temperature"),
    ("temperature least", {"temperature_cc": 0}, {"temperature_cc": -1}, "check-in.temperature"),
    ("device", {"device": bytes(8)}, {"device": bytes(9)}, "check-in.device"),
    ("epoch", {"epoch": bytes(8)}, {"epoch": bytes(7)}, "check-in.epoch"),
    ("prev", {"prev": GENESIS}, {"prev": bytes(33)}, "check-in.prev"),
    ("code", {"code": bytes(16)}, {"code": bytes(15)}, "check-in.code"),
    ("rule", {"evidence": Evidence(rule="r" * RULE_CHARS)}, {"evidence": Evidence(rule="r" * (RULE_CHARS + 1))}, "check-in.evidence.rule"),
    ("issuer kid", {"evidence": Evidence(issuer_kid=bytes(8))}, {"evidence": Evidence(issuer_kid=bytes(9))}, "check-in.evidence.issuer_kid"),
    ("code issued", {"evidence": Evidence(code_issued_s=TIME_MAX_MS // 1000)}, {"evidence": Evidence(code_issued_s=TIME_MAX_MS)}, "check-in.evidence.code_issued"),
    ("status version", {"evidence": Evidence(status_version=INT64_MAX)}, {"evidence": Evidence(status_version=INT64_MAX + 1)}, "check-in.evidence.status_version"),
    ("policy version", {"evidence": Evidence(policy_version=0)}, {"evidence": Evidence(policy_version=-1)}, "check-in.evidence.policy_version"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "bad", "where"), LIMITS, ids=[row[0] for row in LIMITS])
def test_each_field_at_its_limit_and_one_above(keys, first, *, name, good, bad, where):
    one = replace(first, **good)
    assert parse_checkin(seal_checkin(one, key=keys.device)).checkin == one
    with pytest.raises(MalformedError) as caught:
        seal_checkin(replace(first, **bad), key=keys.device)
    assert caught.value.where == where


def test_the_sealed_bytes_at_their_limit_and_one_above(keys, first):
    base = len(with_fields(first, {65: bytes(300)}, keys))
    exact = 300 + CHECKIN_BYTES - base
    assert len(with_fields(first, {65: bytes(exact)}, keys)) == CHECKIN_BYTES
    assert parse_checkin(with_fields(first, {65: bytes(exact)}, keys)).checkin == first
    with pytest.raises(LimitError, match="check-in: 1025 bytes, at most 1024 are allowed"):
        parse_checkin(with_fields(first, {65: bytes(exact + 1)}, keys))


def test_a_check_in_too_long_to_be_read_cannot_be_sealed(keys, first):
    """Only letters of four bytes in every place that has letters lead there."""
    far = "\U00020000"
    longest = replace(
        first,
        seq=INT64_MAX,
        at_ms=TIME_MAX_MS,
        place="p" * NAME_CHARS,
        gate="g" * NAME_CHARS,
        subject=bytes(CHECKIN_SUBJECT_BYTES),
        masked=("张" * MASKED_CHARS,) * 3,
        evidence=Evidence(
            issuer_kid=bytes(8),
            code_issued_s=TIME_MAX_MS // 1000,
            status_version=INT64_MAX,
            policy_version=INT64_MAX,
            rule=far * RULE_CHARS,
        ),
        temperature_cc=10_000,
    )
    assert parse_checkin(seal_checkin(longest, key=keys.device)).checkin == longest
    with pytest.raises(LimitError, match=r"check-in: .* at most 1024"):
        seal_checkin(replace(longest, masked=(far * MASKED_CHARS,) * 3), key=keys.device)


@pytest.mark.parametrize("key", [*range(1, 16), 17])
def test_a_missing_field_is_named(keys, first, key):
    with pytest.raises(MalformedError) as caught:
        parse_checkin(with_fields(first, {key: None}, keys))
    assert caught.value.where.startswith("check-in.")


@pytest.mark.parametrize("key", [0, 19, 64, -1])
def test_unknown_keys_up_to_64_are_refused(keys, first, key):
    with pytest.raises(MalformedError, match=f"check-in: unknown key {key}"):
        parse_checkin(with_fields(first, {key: 0}, keys))
    with pytest.raises(MalformedError, match=r"check-in\.evidence: unknown key"):
        parse_checkin(with_fields(first, {17: {key: 0}}, keys))


def test_keys_of_later_versions_are_ignored_and_stay_in_the_bytes(keys, first):
    data = with_fields(first, {65: [1, {2: "later"}]}, keys)
    sealed = parse_checkin(data)
    verify_checkin(sealed, key=keys.device.public)
    assert sealed.checkin == first
    assert sealed.data == data


def test_altering_one_field_breaks_the_signature_and_the_chain(keys, first):
    data = seal_checkin(first, key=keys.device)
    other = seal_checkin(replace(first, colour=Colour.RED, verdict=Verdict.REFUSE), key=keys.device)
    forged = parse_checkin(other[:-64] + data[-64:])
    with pytest.raises(SignatureError):
        verify_checkin(forged, key=keys.device.public)
    assert forged.hash != checkin.hash_of(data)


def test_messages_at_their_limits_and_one_above():
    for count in (1, MESSAGE_CHECKINS):
        assert checkin.decode_message(checkin.encode_message([b"x"] * count)) == [b"x"] * count
    for count in (0, MESSAGE_CHECKINS + 1):
        with pytest.raises(ValueError, match="1 to 64"):
            checkin.encode_message([b"x"] * count)
        with pytest.raises(MalformedError, match="not an array of 1 to 64"):
            checkin.decode_message(cbor.encode([b"x"] * count))


@pytest.mark.parametrize("head", ["9841", "990100", "99fffd", "9a00010000", "9bffffffffffffffff"])
def test_a_message_that_claims_too_many_is_refused_before_any_is_read(head):
    """65,000 empty strings in 64 KiB would cost a hub as much time as six hundred check-ins."""
    with pytest.raises(MalformedError, match="not an array of 1 to 64"):
        checkin.decode_message(bytes.fromhex(head) + b"\xff" * 100)


@pytest.mark.parametrize(
    "data", ["", "80", "9f40ff", "980140", "981740", "9801", "98", "8140ff", "81", "8141", "825fff40"]
)
def test_other_forms_of_a_message_are_refused(data):
    with pytest.raises(MalformedError) as caught:
        checkin.decode_message(bytes.fromhex(data))
    assert caught.value.where == "check-ins message"


def test_a_full_message_of_the_largest_check_ins():
    """64 check-ins of 1 KiB do not fit with their heads: a sender fills by bytes as well as by count."""
    most = [bytes(CHECKIN_BYTES)] * (MESSAGE_CHECKINS - 1)
    assert checkin.decode_message(checkin.encode_message(most)) == most
    with pytest.raises(ValueError, match="at most 65536"):
        checkin.encode_message([bytes(CHECKIN_BYTES)] * MESSAGE_CHECKINS)


def test_message_bytes_at_the_limit_and_one_above():
    exact = [bytes(MESSAGE_BYTES - 4)]
    assert len(cbor.encode(exact)) == MESSAGE_BYTES
    assert checkin.decode_message(cbor.encode(exact)) == exact
    with pytest.raises(LimitError, match="check-ins message: 65537 bytes, at most 65536 are allowed"):
        checkin.decode_message(cbor.encode([bytes(MESSAGE_BYTES - 3)]))


@pytest.mark.parametrize("value", [b"x", {0: b"x"}, ["x"], [b"x", 1], [[b"x"]]])
def test_a_message_is_an_array_of_byte_strings(value):
    with pytest.raises(MalformedError) as caught:
        checkin.decode_message(cbor.encode(value))
    assert caught.value.where == "check-ins message"
