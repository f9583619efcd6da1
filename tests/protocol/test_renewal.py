from dataclasses import replace

import pytest

from protocol.envelope import AAD_RENEWAL, AAD_RENEWAL_PROOF
from protocol.errors import LimitError, MalformedError, SignatureError, UnknownKeyError
from protocol.limits import (
    CERTIFICATE_BYTES,
    CHAIN_CERTIFICATES,
    CSR_BYTES,
    RENEWAL_ANSWER_BYTES,
    RENEWAL_BYTES,
    RENEWAL_PROOF_BYTES,
)
from protocol.renewal import (
    RenewalAnswer,
    decode_renewal_answer,
    encode_renewal_answer,
    open_renewal,
    seal_renewal,
)
from protocol.vectors.faults import payload_of
from protocol.vectors.make_enrol import NEW_KEY_RENEWAL, RENEWAL
from protocol.vectors.make_gate import OTHER_DEVICE
from protocol.vectors.raw import sign1, with_pairs


@pytest.fixture
def key_of(keys):
    return {keys.device.public.kid: keys.device.public}.get


def test_a_renewal_comes_back_as_it_was_sealed(keys, key_of):
    assert open_renewal(seal_renewal(RENEWAL, key=keys.device), key_of=key_of) == RENEWAL
    both = seal_renewal(NEW_KEY_RENEWAL, key=keys.device, new_key=keys.device_p256)
    assert open_renewal(both, key_of=key_of) == NEW_KEY_RENEWAL


def test_the_largest_renewal_fits(keys, key_of):
    request = replace(NEW_KEY_RENEWAL, csr=bytes(CSR_BYTES))
    data = seal_renewal(request, key=keys.device, new_key=keys.device_p256)
    assert open_renewal(data, key_of=key_of) == request
    assert len(data) <= RENEWAL_BYTES


def test_only_the_present_key_asks(keys, key_of):
    for stranger in (keys.stranger, keys.hub):
        with pytest.raises(UnknownKeyError, match=stranger.public.kid.hex()):
            open_renewal(seal_renewal(RENEWAL, key=stranger), key_of=key_of)
    payload = payload_of(seal_renewal(NEW_KEY_RENEWAL, key=keys.device, new_key=keys.device_p256))
    with pytest.raises(UnknownKeyError):
        open_renewal(sign1(payload, key=keys.device_p256, aad=AAD_RENEWAL), key_of=key_of)


def test_a_new_key_is_not_entered_without_whoever_holds_it(keys, key_of):
    good = payload_of(seal_renewal(NEW_KEY_RENEWAL, key=keys.device, new_key=keys.device_p256))

    def offered(**changes):
        changed = with_pairs(good, {int(key[1:]): value for key, value in changes.items()})
        return open_renewal(sign1(changed, key=keys.device, aad=AAD_RENEWAL), key_of=key_of)

    assert offered() == NEW_KEY_RENEWAL
    with pytest.raises(MalformedError, match="without its proof"):
        offered(_5=None)
    with pytest.raises(MalformedError, match="without a key"):
        offered(_3=None)
    # The proof is for this key, this device, this CSR and this moment.
    with pytest.raises(SignatureError, match="another key"):
        offered(_3=keys.stranger.public.cose_key)
    for changes in ({"_1": OTHER_DEVICE}, {"_2": b"csr"}, {"_4": NEW_KEY_RENEWAL.at_ms + 1}):
        with pytest.raises(SignatureError, match="another request"):
            offered(**changes)


def test_neither_signature_stands_in_for_the_other(keys, key_of):
    data = seal_renewal(NEW_KEY_RENEWAL, key=keys.device, new_key=keys.device_p256)
    outer = payload_of(data)
    # A whole renewal as a proof, and a proof made under a renewal's name.
    renewal = sign1(bytes(32), key=keys.device_p256, aad=AAD_RENEWAL)
    for proof in (renewal, sign1(bytes(32), key=keys.device_p256, aad=AAD_RENEWAL_PROOF)):
        with pytest.raises(SignatureError):
            open_renewal(sign1(with_pairs(outer, {5: proof}), key=keys.device, aad=AAD_RENEWAL), key_of=key_of)
    with pytest.raises(MalformedError):
        open_renewal(
            sign1(with_pairs(outer, {5: bytes(RENEWAL_PROOF_BYTES + 1)}), key=keys.device, aad=AAD_RENEWAL),
            key_of=key_of,
        )


def test_a_request_names_the_key_that_proves(keys):
    for request, new_key in ((NEW_KEY_RENEWAL, None), (RENEWAL, keys.device_p256), (NEW_KEY_RENEWAL, keys.stranger)):
        with pytest.raises(ValueError, match="not the one that the request names"):
            seal_renewal(request, key=keys.device, new_key=new_key)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(7)}, "renewal.device"),
        ({2: b""}, "renewal.csr"),
        ({2: bytes(CSR_BYTES + 1)}, "renewal.csr"),
        ({4: None}, "renewal.at"),
        ({4: True}, "renewal.at"),
        ({6: 0}, "renewal"),
    ],
)
def test_refusals_name_the_field(keys, key_of, changes, where):
    payload = payload_of(seal_renewal(RENEWAL, key=keys.device))
    with pytest.raises(MalformedError) as caught:
        open_renewal(sign1(with_pairs(payload, changes), key=keys.device, aad=AAD_RENEWAL), key_of=key_of)
    assert caught.value.where == where


def test_length_above_the_limit(keys, key_of):
    with pytest.raises(LimitError):
        open_renewal(seal_renewal(RENEWAL, key=keys.device).ljust(RENEWAL_BYTES + 1, b"\x00"), key_of=key_of)


@pytest.mark.parametrize("chain", [(b"c",), (bytes(CERTIFICATE_BYTES),) * CHAIN_CERTIFICATES])
def test_an_answer_comes_back_as_it_was_encoded(chain):
    answer = RenewalAnswer(chain=chain)
    data = encode_renewal_answer(answer)
    assert decode_renewal_answer(data) == answer
    assert len(data) <= RENEWAL_ANSWER_BYTES


@pytest.mark.parametrize(
    ("chain", "where"),
    [
        ((), ""),
        ((b"c",) * (CHAIN_CERTIFICATES + 1), ""),
        ((b"c", b""), "[1]"),
        ((bytes(CERTIFICATE_BYTES + 1),), "[0]"),
    ],
)
def test_refused_answers_name_the_field(chain, where):
    with pytest.raises(MalformedError) as caught:
        encode_renewal_answer(RenewalAnswer(chain=chain))
    assert caught.value.where == f"renewal answer.chain{where}"
