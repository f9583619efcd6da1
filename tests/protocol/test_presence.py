from dataclasses import replace

import pytest

from protocol import cbor
from protocol.errors import LimitError, MalformedError
from protocol.health import Health, State, decode_health, encode_health
from protocol.limits import HEALTH_BYTES, INT64_MAX, PRESENCE_BYTES, TIME_MAX_MS, VERSION_CHARS
from protocol.presence import (
    DevicePresence,
    HubPresence,
    decode_device_presence,
    decode_hub_presence,
    encode_device_presence,
    encode_hub_presence,
)
from protocol.vectors.raw import with_pairs

HUB = HubPresence(session=b"session1", online=True, at_ms=1)
DEVICE = DevicePresence(
    session=b"session1", online=True, epoch=b"epochrnd", oldest_seq=3, newest_seq=9, firmware="0.1.0", trust_version=1, policy_version=2
)  # fmt: skip
HEALTH = Health(
    at_ms=1, state=State.IN_SERVICE, clock_trusted=True, spool=0, frames=1, frames_dropped=2, decode_us=3, scans=4,
    decoder_restarts=5, camera_restarts=6, foreign=7,
)  # fmt: skip


@pytest.mark.parametrize("one", [HUB, replace(HUB, online=False), replace(HUB, at_ms=TIME_MAX_MS)])
def test_the_hub_s_presence_comes_back(one):
    assert decode_hub_presence(encode_hub_presence(one)) == one


@pytest.mark.parametrize(
    "one",
    [
        DEVICE,
        replace(DEVICE, online=False),
        replace(DEVICE, oldest_seq=10),
        replace(DEVICE, oldest_seq=1, newest_seq=0, trust_version=0, policy_version=0),
        replace(DEVICE, newest_seq=INT64_MAX, firmware="v" * VERSION_CHARS),
    ],
)
def test_a_device_s_presence_comes_back(one):
    assert decode_device_presence(encode_device_presence(one)) == one


@pytest.mark.parametrize("one", [HEALTH, *(replace(HEALTH, state=state) for state in State)])
def test_health_comes_back(one):
    assert decode_health(encode_health(one)) == one


@pytest.mark.parametrize(
    ("read", "data", "changes", "where"),
    [
        (decode_hub_presence, encode_hub_presence(HUB), {1: bytes(9)}, "hub presence.session"),
        (decode_hub_presence, encode_hub_presence(HUB), {2: 1}, "hub presence.online"),
        (decode_hub_presence, encode_hub_presence(HUB), {3: TIME_MAX_MS + 1}, "hub presence.at"),
        (decode_hub_presence, encode_hub_presence(HUB), {4: 1}, "hub presence"),
        (decode_device_presence, encode_device_presence(DEVICE), {1: None}, "device presence.session"),
        (decode_device_presence, encode_device_presence(DEVICE), {2: None}, "device presence.online"),
        (decode_device_presence, encode_device_presence(DEVICE), {3: bytes(7)}, "device presence.epoch"),
        (decode_device_presence, encode_device_presence(DEVICE), {4: 0}, "device presence.oldest"),
        (decode_device_presence, encode_device_presence(DEVICE), {4: 11}, "device presence.oldest"),
        (decode_device_presence, encode_device_presence(DEVICE), {5: INT64_MAX + 1}, "device presence.newest"),
        (decode_device_presence, encode_device_presence(DEVICE), {6: "v" * (VERSION_CHARS + 1)}, "device presence.firmware"),
        (decode_device_presence, encode_device_presence(DEVICE), {7: -1}, "device presence.trust_version"),
        (decode_device_presence, encode_device_presence(DEVICE), {8: INT64_MAX + 1}, "device presence.policy_version"),
        (decode_device_presence, encode_device_presence(DEVICE), {9: 0}, "device presence"),
        (decode_health, encode_health(HEALTH), {2: 9}, "health.state"),
        (decode_health, encode_health(HEALTH), {3: 1}, "health.clock_trusted"),
        (decode_health, encode_health(HEALTH), {11: -1}, "health.foreign"),
        (decode_health, encode_health(HEALTH), {12: 0}, "health"),
    ],
)  # fmt: skip
def test_refusals_name_the_field(read, data, changes, where):
    with pytest.raises(MalformedError) as caught:
        read(with_pairs(data, changes))
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("read", "data", "limit"),
    [
        (decode_hub_presence, encode_hub_presence(HUB), PRESENCE_BYTES),
        (decode_device_presence, encode_device_presence(DEVICE), PRESENCE_BYTES),
        (decode_health, encode_health(HEALTH), HEALTH_BYTES),
    ],
)
def test_length_at_the_limit_and_one_above(read, data, limit):
    padding = limit - len(data) - len(cbor.encode({65: bytes(900)})) + 901
    exact = with_pairs(data, {65: bytes(padding)})
    assert len(exact) == limit
    assert read(exact) == read(data)
    with pytest.raises(LimitError, match=f"{limit + 1} bytes, at most {limit} are allowed"):
        read(with_pairs(data, {65: bytes(padding + 1)}))
