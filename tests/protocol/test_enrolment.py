from dataclasses import replace

import pytest

from protocol import cbor, enrolment
from protocol.enrolment import EnrolmentState, decode_answer, encode_answer, open_request, seal_request
from protocol.envelope import AAD_ENROLMENT
from protocol.errors import LimitError, MalformedError, SignatureError, UnsupportedError
from protocol.limits import (
    CERTIFICATE_BYTES,
    CHAIN_CERTIFICATES,
    CSR_BYTES,
    ENROLMENT_ANSWER_BYTES,
    ENROLMENT_BYTES,
    HOST_CHARS,
    HUB_KEYS,
    NAME_CHARS,
    POLICY_BYTES,
    PROVISIONING_URL_CHARS,
    TRUST_BYTES,
    VERSION_CHARS,
)
from protocol.vectors.faults import payload_of
from protocol.vectors.make_enrol import ANSWER, CONFIGURATION, REQUEST
from protocol.vectors.raw import KEYS, sign1, with_pairs

LONGEST_HOST = ".".join(["h" * 63] * 3 + ["h" * 61])


@pytest.mark.parametrize("by", ["device", "device_p256"])
def test_a_request_comes_back_as_it_was_sealed(keys, by):
    request = replace(REQUEST, key=getattr(keys, by).public)
    assert open_request(seal_request(request, key=getattr(keys, by))) == request


def test_the_largest_request_fits(keys):
    """Texts are counted in characters, of up to four bytes."""
    text = "😀" * VERSION_CHARS
    request = replace(
        REQUEST, csr=bytes(CSR_BYTES), key=keys.device_p256.public, serial=text, model=text, firmware=text
    )
    data = seal_request(request, key=keys.device_p256)
    assert open_request(data) == request
    assert len(data) <= ENROLMENT_BYTES


def test_a_request_is_signed_by_the_key_that_it_carries(keys):
    with pytest.raises(ValueError, match="signed by the key that it carries"):
        seal_request(REQUEST, key=keys.stranger)
    payload = payload_of(seal_request(REQUEST, key=keys.device))
    with pytest.raises(SignatureError, match="another key"):
        open_request(sign1(payload, key=keys.stranger, aad=AAD_ENROLMENT))
    # Under the kid of the key inside, but without that key.
    protected = cbor.encode({1: REQUEST.key.alg, 4: REQUEST.key.kid})
    with pytest.raises(SignatureError, match="does not fit"):
        open_request(sign1(payload, key=keys.stranger, aad=AAD_ENROLMENT, protected=protected))
    # Under the kid of the signer, with a key inside that somebody else holds.
    swapped = with_pairs(payload, {3: keys.hub.public.cose_key})
    with pytest.raises(SignatureError, match="another key"):
        open_request(sign1(swapped, key=keys.device, aad=AAD_ENROLMENT))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(15)}, "enrolment.token"),
        ({2: b""}, "enrolment.csr"),
        ({2: bytes(CSR_BYTES + 1)}, "enrolment.csr"),
        ({3: None}, "key"),
        ({3: b"key"}, "key"),
        ({3: {1: 1, -1: 6, -2: bytes(32)}}, "key"),
        ({4: ""}, "enrolment.serial"),
        ({5: "m" * (VERSION_CHARS + 1)}, "enrolment.model"),
        ({6: 2}, "enrolment.firmware"),
        ({4: "a\nb"}, "enrolment.serial"),
        ({5: "\x1b]0;"}, "enrolment.model"),
        ({6: "1.0\u202e"}, "enrolment.firmware"),
        ({7: 0}, "enrolment"),
    ],
)
def test_refused_requests_name_the_field(keys, changes, where):
    payload = payload_of(seal_request(REQUEST, key=keys.device))
    with pytest.raises(MalformedError) as caught:
        open_request(sign1(with_pairs(payload, changes), key=keys.device, aad=AAD_ENROLMENT))
    assert caught.value.where == where


def test_a_key_of_another_kind_is_unsupported(keys):
    payload = payload_of(seal_request(REQUEST, key=keys.device))
    with pytest.raises(UnsupportedError):
        open_request(sign1(with_pairs(payload, {3: {1: 1, -1: 4, -2: bytes(32)}}), key=keys.device, aad=AAD_ENROLMENT))


def test_request_length_at_the_limit_and_one_above(keys):
    payload = payload_of(seal_request(REQUEST, key=keys.device))

    def padded(length):
        return sign1(with_pairs(payload, {65: bytes(length)}), key=keys.device, aad=AAD_ENROLMENT)

    exact = 3000 + ENROLMENT_BYTES - len(padded(3000))
    assert len(padded(exact)) == ENROLMENT_BYTES
    assert open_request(padded(exact)) == REQUEST
    with pytest.raises(LimitError, match=f"enrolment: {ENROLMENT_BYTES + 1} bytes"):
        open_request(padded(exact + 1))


@pytest.mark.parametrize("state", [EnrolmentState.WAITING, EnrolmentState.REFUSED])
def test_only_an_approved_answer_has_a_configuration(state):
    answer = replace(ANSWER, state=state, configuration=None)
    assert decode_answer(encode_answer(answer)) == answer
    with pytest.raises(MalformedError, match="only then"):
        encode_answer(replace(answer, configuration=CONFIGURATION))
    with pytest.raises(MalformedError, match="only then"):
        encode_answer(replace(answer, state=EnrolmentState.APPROVED))


def test_an_answer_comes_back_as_it_was_encoded():
    assert decode_answer(encode_answer(ANSWER)) == ANSWER


def test_the_largest_answer_fits():
    assert len(LONGEST_HOST) == HOST_CHARS
    every = tuple(named.key.public for named in KEYS.values() if named.key.public.y)
    every += tuple(named.key.public for named in KEYS.values() if not named.key.public.y)
    largest = replace(
        CONFIGURATION, chain=(bytes(CERTIFICATE_BYTES),) * CHAIN_CERTIFICATES, broker_host=LONGEST_HOST,
        broker_port=65_535, ca=bytes(CERTIFICATE_BYTES), hub_keys=every[:HUB_KEYS], root=every[0],
        place="p" * NAME_CHARS, gate="g" * NAME_CHARS, policy=bytes(POLICY_BYTES), trust=bytes(TRUST_BYTES),
        hub_url="https://hub.example/" + "h" * (PROVISIONING_URL_CHARS - 20),
    )  # fmt: skip
    answer = replace(ANSWER, configuration=largest)
    data = encode_answer(answer)
    assert decode_answer(data) == answer
    assert len(data) <= ENROLMENT_ANSWER_BYTES
    with pytest.raises(LimitError):
        decode_answer(data.ljust(ENROLMENT_ANSWER_BYTES + 1, b"\x00"))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"device": bytes(9)}, "configuration.device"),
        ({"chain": ()}, "configuration.chain"),
        ({"chain": (b"c",) * (CHAIN_CERTIFICATES + 1)}, "configuration.chain"),
        ({"chain": (b"c", bytes(CERTIFICATE_BYTES + 1))}, "configuration.chain[1]"),
        ({"broker_host": "hub:8883"}, "configuration.broker_host"),
        ({"broker_port": 0}, "configuration.broker_port"),
        ({"broker_port": 65_536}, "configuration.broker_port"),
        ({"broker_port": True}, "configuration.broker_port"),
        ({"ca": b""}, "configuration.ca"),
        ({"hub_keys": ()}, "configuration.hub_keys"),
        ({"hub_keys": (REQUEST.key, REQUEST.key)}, "configuration.hub_keys"),
        ({"place": ""}, "configuration.place"),
        ({"gate": "a/b"}, "configuration.gate"),
        ({"direction": 2}, "configuration.direction"),
        ({"policy": bytes(POLICY_BYTES + 1)}, "configuration.policy"),
        ({"trust": bytes(TRUST_BYTES + 1)}, "configuration.trust"),
        ({"trust": b""}, "configuration.trust"),
        ({"hub_url": "http://hub.example"}, "configuration.hub_url"),
    ],
)
def test_refused_configurations_name_the_field(changes, where):
    with pytest.raises(MalformedError) as caught:
        encode_answer(replace(ANSWER, configuration=replace(CONFIGURATION, **changes)))
    assert caught.value.where == where


def test_the_token_stands_in_no_representation():
    assert REQUEST.serial in repr(REQUEST)
    assert repr(REQUEST.token) not in repr(REQUEST)


def test_everything_of_a_device_s_identity_is_imported_from_here():
    assert all(hasattr(enrolment, name) for name in enrolment.__all__)
    assert {"ProvisioningCode", "seal_renewal", "fingerprint_words", "DeviceKey"} <= set(enrolment.__all__)
