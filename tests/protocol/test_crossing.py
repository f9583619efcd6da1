"""No object passes for another: each, signed by one key that everybody trusts, is offered to every reader."""

import pytest

from protocol import (
    base45,
    batch,
    checkin,
    codes,
    command,
    desk_answer,
    devicekey,
    enrolment,
    envelope,
    placecode,
    placerequest,
    policy,
    receipt,
    renewal,
    resolve,
    statuslist,
    timehint,
    trace,
    trust,
)
from protocol.desk import Ask
from protocol.envelope import TYP_STATUS_LIST
from protocol.errors import ProtocolError, SignatureError
from protocol.terms import Colour
from protocol.vectors.faults import payload_of
from protocol.vectors.make_checkins import FIRST
from protocol.vectors.make_commands import COMMAND, PROOF
from protocol.vectors.make_desk import FAMILY, FAMILY_ID, TOLD
from protocol.vectors.make_enrol import DEVICE_KEY, RENEWAL, REQUEST
from protocol.vectors.make_gate import AT_S, DEVICE, GATE, HINT, PLACE, POLICY, SESSION
from protocol.vectors.make_places import CODE
from protocol.vectors.make_places import REQUEST as PLACE_REQUEST
from protocol.vectors.make_resolve import QUERY, RESOLVED
from protocol.vectors.make_trace import ANSWER as TRACE_ANSWER
from protocol.vectors.make_trace import HUB
from protocol.vectors.make_trace import QUERY as TRACE
from protocol.vectors.raw import KEYS, header, sign1

KEY = KEYS["device"].key
PUBLIC = KEY.public
BY_KID = {PUBLIC.kid: PUBLIC}
BUNDLE = trust.TrustBundle(
    version=1, issued_s=0, expires_s=AT_S * 2,
    issuers=(trust.Issuer(name="everybody", region="CN", keys=(
        trust.TrustedKey(key=PUBLIC, uses=frozenset(trust.KeyUse), not_before_s=0, not_after_s=AT_S * 2),
    )),),
)  # fmt: skip
CLAIMS = codes.Claims(subject=bytes(16), issued_s=AT_S, expires_s=AT_S + 60, colour=Colour.GREEN)
RECEIPT = receipt.Receipt(device=DEVICE, epoch=bytes(8), seq=1, hash=bytes(32), at_ms=0)
LIST = statuslist.ListToken(uri="https://status.example/1", version=1, issued_s=AT_S, packed=bytes(64))
DELTA = statuslist.StatusDelta(uri=LIST.uri, from_version=1, to_version=2, issued_s=AT_S, changes=((7, 1),))
BATCH = batch.Batch(hub=bytes(8), batch_id=bytes(16), checkins=(b"one",))
BATCH_RECEIPT = batch.BatchReceipt(batch_id=bytes(16), stored=1, rejected=(), at_ms=0)


ANSWER = desk_answer.Answer(
    id=FAMILY_ID,
    ask=Ask.REGISTRATION,
    at_ms=AT_S * 1000,
    issued_s=AT_S,
    people=TOLD,
    direction=FAMILY.direction,
)


def open_checkin(data):
    sealed = checkin.parse_checkin(data)
    checkin.verify_checkin(sealed, key=PUBLIC)


OBJECTS = {
    "code": (codes.seal_code(CLAIMS, key=KEY), envelope.AAD_CODE,
             lambda data: codes.verify(codes.parse_text(codes.to_text(data)), key=PUBLIC)),
    "check-in": (checkin.seal_checkin(FIRST, key=KEY), envelope.AAD_CHECKIN, open_checkin),
    "receipt": (receipt.seal_receipt(RECEIPT, key=KEY), envelope.AAD_RECEIPT,
                lambda data: receipt.open_receipt(data, key=PUBLIC)),
    "batch": (batch.seal_batch(BATCH, key=KEY), envelope.AAD_BATCH, lambda data: batch.open_batch(data, key=PUBLIC)),
    "batch receipt": (batch.seal_batch_receipt(BATCH_RECEIPT, key=KEY), envelope.AAD_BATCH_RECEIPT,
                      lambda data: batch.open_batch_receipt(data, key=PUBLIC)),
    "trust": (trust.seal_trust(BUNDLE, key=KEY), envelope.AAD_TRUST,
              lambda data: trust.open_trust(data, root=PUBLIC)),
    "status list": (statuslist.seal_list(LIST, key=KEY), envelope.AAD_STATUS_LIST,
                    lambda data: statuslist.open_list(data, trust=BUNDLE, at_s=AT_S)),
    "status delta": (statuslist.seal_delta(DELTA, key=KEY), envelope.AAD_STATUS_DELTA,
                     lambda data: statuslist.open_delta(data, trust=BUNDLE, at_s=AT_S)),
    "policy": (policy.seal_policy(POLICY, key=KEY), envelope.AAD_POLICY,
               lambda data: policy.open_policy(data, hub_keys=BY_KID, device=DEVICE, place=PLACE, gate=GATE)),
    "command": (command.seal_command(COMMAND, key=KEY), envelope.AAD_COMMAND,
                lambda data: command.open_command(data, hub_keys=BY_KID, device=DEVICE)),
    "wipe proof": (command.seal_wipe_proof(PROOF, key=KEY), envelope.AAD_WIPE,
                   lambda data: command.open_wipe_proof(data, key=PUBLIC)),
    "enrolment": (enrolment.seal_request(REQUEST, key=KEY), envelope.AAD_ENROLMENT, enrolment.open_request),
    "renewal": (renewal.seal_renewal(RENEWAL, key=KEY), envelope.AAD_RENEWAL,
                lambda data: renewal.open_renewal(data, key_of=BY_KID.get)),
    "device key": (devicekey.seal_device_key(DEVICE_KEY, key=KEY), envelope.AAD_DEVICE_KEY,
                   lambda data: devicekey.open_device_key(data, key=PUBLIC)),
    "resolved": (resolve.seal_resolved(RESOLVED, key=KEY), envelope.AAD_RESOLVED,
                 lambda data: resolve.open_resolved(data, trust=BUNDLE, at_s=AT_S, device=DEVICE, id=QUERY.id)),
    "trace query": (trace.seal_trace_query(TRACE, key=KEY), envelope.AAD_TRACE,
                    lambda data: trace.open_trace_query(data, trust=BUNDLE, at_s=AT_S, hub=HUB)),
    "trace answer": (trace.seal_trace_answer(TRACE_ANSWER, key=KEY), envelope.AAD_TRACE_ANSWER,
                     lambda data: trace.open_trace_answer(data, key=PUBLIC)),
    "place code": (base45.decode(placecode.seal_place_code(CODE, key=KEY)[5:]), envelope.AAD_PLACE,
                   lambda data: placecode.open_place_code(
                       placecode.place_code_text(data), trust=BUNDLE, at_s=AT_S)),
    "place request": (placerequest.seal_place_request(PLACE_REQUEST, key=KEY), envelope.AAD_PLACE_REQUEST,
                      lambda data: placerequest.open_place_request(data, key=PUBLIC)),
    "desk answer": (desk_answer.seal_answer(ANSWER, question=FAMILY, key=KEY), envelope.AAD_DESK_ANSWER,
                    lambda data: desk_answer.open_receipt(data, trust=BUNDLE, at_s=AT_S, id=FAMILY_ID,
                                                          ask=Ask.REGISTRATION)),
    "time hint": (timehint.seal_time(HINT, key=KEY), envelope.AAD_TIME,
                  lambda data: timehint.open_time(data, hub_keys=BY_KID, device=DEVICE, session=SESSION)),
}  # fmt: skip
AADS = {aad for name, aad in vars(envelope).items() if name.startswith("AAD_")}


def typ_of(name):
    return TYP_STATUS_LIST if name == "status list" else None


def signed_as(name, payload, aad):
    """The payload, signed under another object's name, with the header that its own reader wants."""
    more = {16: typ_of(name)} if typ_of(name) else {}
    return sign1(payload, key=KEY, aad=aad, protected=header(KEY, more=more))


def test_every_kind_of_signed_object_is_here():
    """The proof inside a renewal has no reader of its own; tests of renewals cover it."""
    assert AADS - {aad for _, aad, _ in OBJECTS.values()} == {envelope.AAD_RENEWAL_PROOF}


@pytest.mark.parametrize("read", list(OBJECTS))
@pytest.mark.parametrize("sealed", list(OBJECTS))
def test_only_its_own_reader_accepts_an_object(sealed, read):
    data, _, _ = OBJECTS[sealed]
    _, _, opened = OBJECTS[read]
    if sealed == read:
        opened(data)
        return
    with pytest.raises(ProtocolError):
        opened(data)


@pytest.mark.parametrize("name", list(OBJECTS))
def test_the_same_payload_signed_as_any_other_object_is_refused(name):
    data, own, opened = OBJECTS[name]
    payload = (
        payload_of(data) if not typ_of(name) else envelope.parse(data, what="l", limit=9999, typ=typ_of(name)).payload
    )
    opened(signed_as(name, payload, own))
    for aad in AADS - {own}:
        with pytest.raises(SignatureError):
            opened(signed_as(name, payload, aad))
