from dataclasses import replace

import pytest

from protocol.devicekey import open_device_key, seal_device_key
from protocol.envelope import AAD_DEVICE_KEY
from protocol.errors import LimitError, MalformedError, SignatureError, UnsupportedError
from protocol.limits import DEVICE_KEY_BYTES, NAME_CHARS, TIME_MAX_MS
from protocol.vectors.faults import payload_of
from protocol.vectors.make_enrol import DEVICE_KEY
from protocol.vectors.raw import sign1, with_pairs


@pytest.mark.parametrize("by", ["hub", "hub_p256"])
@pytest.mark.parametrize("of", ["device", "device_p256"])
def test_a_device_key_comes_back_as_it_was_sealed(keys, by, of):
    key = getattr(keys, by)
    value = replace(
        DEVICE_KEY, key=getattr(keys, of).public, place="p" * NAME_CHARS, gate="g" * NAME_CHARS, from_ms=TIME_MAX_MS
    )
    data = seal_device_key(value, key=key)
    assert open_device_key(data, key=key.public) == value
    assert len(data) < DEVICE_KEY_BYTES


def test_a_device_cannot_enter_its_own_key(keys):
    for stranger in (keys.device, keys.stranger):
        with pytest.raises(SignatureError):
            open_device_key(seal_device_key(DEVICE_KEY, key=stranger), key=keys.hub.public)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(7)}, "device key.device"),
        ({2: None}, "key"),
        ({2: b""}, "key"),
        ({3: "a/b"}, "device key.place"),
        ({4: 7}, "device key.gate"),
        ({5: True}, "device key.from"),
        ({6: 0}, "device key"),
    ],
)
def test_refusals_name_the_field(keys, changes, where):
    payload = payload_of(seal_device_key(DEVICE_KEY, key=keys.hub))
    with pytest.raises(MalformedError) as caught:
        open_device_key(sign1(with_pairs(payload, changes), key=keys.hub, aad=AAD_DEVICE_KEY), key=keys.hub.public)
    assert caught.value.where == where


def test_another_kind_of_key_and_a_longer_object(keys):
    payload = payload_of(seal_device_key(DEVICE_KEY, key=keys.hub))
    other = sign1(with_pairs(payload, {2: {1: 4, -1: 1}}), key=keys.hub, aad=AAD_DEVICE_KEY)
    with pytest.raises(UnsupportedError):
        open_device_key(other, key=keys.hub.public)
    with pytest.raises(LimitError):
        open_device_key(bytes(DEVICE_KEY_BYTES + 1), key=keys.hub.public)
