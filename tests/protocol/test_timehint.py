from dataclasses import replace

import pytest

from protocol.envelope import AAD_TIME
from protocol.errors import LimitError, MalformedError, RollbackError, SignatureError, UnknownKeyError
from protocol.limits import TIME_HINT_BYTES, TIME_MAX_MS
from protocol.timehint import open_time, seal_time
from protocol.vectors.faults import payload_of
from protocol.vectors.make_gate import DEVICE, HINT, OTHER_DEVICE, SESSION
from protocol.vectors.raw import sign1, with_pairs


@pytest.fixture
def read(keys):
    def opened(data, *, device=DEVICE, session=SESSION):
        hub_keys = {key.public.kid: key.public for key in (keys.hub, keys.hub_p256)}
        return open_time(data, hub_keys=hub_keys, device=device, session=session)

    return opened


@pytest.mark.parametrize("by", ["hub", "hub_p256"])
@pytest.mark.parametrize("at_ms", [0, HINT.at_ms, TIME_MAX_MS])
def test_a_hint_comes_back_as_it_was_sealed(keys, read, by, at_ms):
    hint = replace(HINT, at_ms=at_ms)
    assert read(seal_time(hint, key=getattr(keys, by))) == hint


def test_a_recorded_hint_is_worth_nothing_in_another_session(keys, read):
    with pytest.raises(RollbackError, match="another session"):
        read(seal_time(HINT, key=keys.hub), session=bytes(8))


def test_a_hint_for_another_device_is_none(keys, read):
    with pytest.raises(MalformedError, match="another device"):
        read(seal_time(HINT, key=keys.hub), device=OTHER_DEVICE)


def test_only_a_key_of_the_hub_tells_the_time(keys, read):
    with pytest.raises(UnknownKeyError):
        read(seal_time(HINT, key=keys.device))
    data = seal_time(HINT, key=keys.hub)
    with pytest.raises(SignatureError):
        read(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: None}, "time hint.device"),
        ({2: bytes(9)}, "time hint.session"),
        ({3: TIME_MAX_MS + 1}, "time hint.at"),
        ({3: True}, "time hint.at"),
        ({4: 0}, "time hint"),
    ],
)
def test_refusals_name_the_field(keys, read, changes, where):
    payload = payload_of(seal_time(HINT, key=keys.hub))
    with pytest.raises(MalformedError) as caught:
        read(sign1(with_pairs(payload, changes), key=keys.hub, aad=AAD_TIME))
    assert caught.value.where == where


def test_length_above_the_limit(read):
    with pytest.raises(LimitError, match="time hint: 257 bytes"):
        read(bytes(TIME_HINT_BYTES + 1))
