"""Honest values of any content: what is sealed comes back, and what is accepted has one form."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import batch, cbor, checkin, codes, envelope, receipt
from protocol.codes import Claims, StatusRef
from protocol.envelope import AAD_CHECKIN, AAD_CODE
from protocol.errors import ProtocolError
from protocol.limits import INT64_MAX, TIME_MAX_MS, UINT64_MAX
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Kind, Scheme, Verdict
from protocol.vectors.raw import KEYS, sign1

pytestmark = pytest.mark.slow

DEVICE, ISSUER, HUB = (KEYS[name].key for name in ("device", "issuer", "hub-p256"))
TIMES_MS = st.integers(0, TIME_MAX_MS)
TIMES_S = st.integers(0, TIME_MAX_MS // 1000)
SEQS = st.integers(1, INT64_MAX)
VERSIONS = st.integers(0, INT64_MAX)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True)
MASKED = st.tuples(*[st.text(max_size=8)] * 3)
RULES = st.text(min_size=1, max_size=16)


def optional(strategy):
    return st.none() | strategy


def exactly(length):
    return st.binary(min_size=length, max_size=length)


EVIDENCE = st.builds(
    checkin.Evidence,
    issuer_kid=optional(exactly(8)),
    code_issued_s=optional(TIMES_S),
    status_version=optional(VERSIONS),
    policy_version=optional(VERSIONS),
    rule=optional(RULES),
)
CHECKINS = st.builds(
    checkin.CheckIn,
    device=exactly(8),
    epoch=exactly(8),
    seq=SEQS,
    prev=exactly(32),
    at_ms=TIMES_MS,
    clock=st.sampled_from(Clock),
    place=NAMES,
    gate=NAMES,
    direction=st.sampled_from(Direction),
    colour=st.sampled_from(Colour),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(Reason),
    code=exactly(16),
    scheme=st.sampled_from(Scheme),
    subject=st.binary(max_size=256),
    masked=optional(MASKED),
    evidence=EVIDENCE,
    temperature_cc=optional(st.integers(0, 10_000)),
)


@st.composite
def claims(draw):
    kind = draw(st.sampled_from(Kind))
    issued_s = draw(st.integers(0, TIME_MAX_MS // 1000 - 120))
    statuses = st.builds(StatusRef, index=st.integers(0, UINT64_MAX), uri=st.text(min_size=1, max_size=40))
    status = draw(statuses if kind is Kind.CARD else optional(statuses))
    colours = st.sampled_from([Colour.GREEN, Colour.RED, Colour.YELLOW, Colour.NOTICE])
    return Claims(
        subject=draw(st.binary(min_size=16, max_size=64)),
        issued_s=issued_s,
        expires_s=issued_s + draw(st.integers(1, 120)),
        colour=draw(colours if status is None else optional(colours)),
        status=status,
        masked=draw(optional(MASKED)),
        kind=kind,
        rule=draw(optional(RULES)),
    )


@settings(max_examples=60)
@given(CHECKINS)
def test_check_ins_come_back(one):
    data = checkin.seal_checkin(one, key=DEVICE)
    sealed = checkin.parse_checkin(data)
    checkin.verify_checkin(sealed, key=DEVICE.public)
    assert sealed.checkin == one
    assert checkin.seal_checkin(sealed.checkin, key=DEVICE) == data


@settings(max_examples=60)
@given(claims())
def test_codes_come_back(one):
    data = codes.seal_code(one, key=ISSUER)
    verified = codes.verify(codes.parse_text(codes.to_text(data)), key=ISSUER.public)
    assert verified.claims == one
    assert codes.seal_code(verified.claims, key=ISSUER) == data


@settings(max_examples=40)
@given(exactly(8), exactly(8), SEQS, exactly(32), TIMES_MS)
def test_receipts_come_back(device, epoch, seq, stored_hash, at_ms):
    one = receipt.Receipt(device=device, epoch=epoch, seq=seq, hash=stored_hash, at_ms=at_ms)
    assert receipt.open_receipt(receipt.seal_receipt(one, key=HUB), key=HUB.public) == one


@settings(max_examples=40)
@given(exactly(8), exactly(16), st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8))
def test_batches_come_back(hub, batch_id, items):
    one = batch.Batch(hub=hub, batch_id=batch_id, checkins=tuple(items))
    assert batch.open_batch(batch.seal_batch(one, key=HUB), key=HUB.public) == one


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=64))
def test_messages_come_back(items):
    assert checkin.decode_message(checkin.encode_message(items)) == items


ANYTHING = st.recursive(
    st.integers(-UINT64_MAX - 1, UINT64_MAX) | st.integers(-3, 70) | st.binary(max_size=40) | st.text(max_size=40) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(-3, 70), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=60)
@given(CHECKINS, st.dictionaries(st.integers(0, 80), ANYTHING, max_size=3))
def test_a_well_signed_check_in_with_any_fields_is_refused_or_has_one_form(one, changes):
    payload = checkin.parse_checkin(checkin.seal_checkin(one, key=DEVICE)).envelope.payload
    fields = cbor.decode(payload, what="payload", limit=1024) | changes
    try:
        sealed = checkin.parse_checkin(sign1(cbor.encode(fields), key=DEVICE, aad=AAD_CHECKIN))
        again = checkin.seal_checkin(sealed.checkin, key=DEVICE)
    except ProtocolError:
        return
    read = cbor.decode(checkin.parse_checkin(again).envelope.payload, what="payload", limit=1024)
    kept = {key: value for key, value in fields.items() if key <= 64}
    kept[17] = {key: value for key, value in kept[17].items() if key <= 64}
    assert read == kept


@settings(max_examples=60)
@given(claims(), st.dictionaries(st.sampled_from([1, 2, 4, 6, 64, 65, 65535, -65536, -65537, *range(-70005, -70000)]), ANYTHING, max_size=3))  # fmt: skip
def test_a_well_signed_code_with_any_claims_is_refused_or_has_one_form(one, changes):
    payload = codes.parse_text(codes.to_text(codes.seal_code(one, key=ISSUER))).sealed.payload
    fields = cbor.decode(payload, what="payload", limit=1024) | changes
    data = sign1(cbor.encode(fields), key=ISSUER, aad=AAD_CODE)
    try:
        code = codes.parse_text(codes.to_text(data))
    except ProtocolError:
        return
    again = codes.parse_text(codes.to_text(codes.seal_code(code.claims, key=ISSUER)))
    read = cbor.decode(again.sealed.payload, what="payload", limit=1024)
    known = {2, 4, 6, 65535, -70001, -70002, -70003, -70004}
    kept = {key: value for key, value in fields.items() if key in known}
    if kept.get(-70003) == 0:
        del kept[-70003]
    assert read == kept
    assert envelope.canonical(code.sealed) == data


@given(st.binary(max_size=80), st.sampled_from([b"", b"a", AAD_CHECKIN]))
def test_any_payload_can_be_sealed_and_has_one_form(payload, aad):
    data = envelope.seal(payload, key=DEVICE, aad=aad)
    sealed = envelope.parse(data, what="thing", limit=1024)
    assert sealed.payload == payload
    assert envelope.canonical(sealed) == data
    with pytest.raises(ProtocolError):
        envelope.parse(data + b"\x00", what="thing", limit=1024)
