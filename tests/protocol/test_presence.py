from dataclasses import replace

import pytest

from protocol import cbor
from protocol.errors import LimitError, MalformedError
from protocol.health import ClockSource, Health, State, Supply, decode_health, encode_health
from protocol.limits import HEALTH_BYTES, INT64_MAX, PRESENCE_BYTES, PRESENCE_LISTS, TIME_MAX_MS, VERSION_CHARS
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
FULL = replace(
    DEVICE,
    oldest_seq=INT64_MAX,
    newest_seq=INT64_MAX,
    firmware="版" * VERSION_CHARS,
    trust_version=INT64_MAX,
    policy_version=INT64_MAX,
    lists={number.to_bytes(8, "big"): INT64_MAX for number in range(PRESENCE_LISTS)},
)
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
        replace(DEVICE, lists={b"list-one": 1, b"list-two": INT64_MAX}),
        FULL,
    ],
)
def test_a_device_s_presence_comes_back(one):
    assert decode_device_presence(encode_device_presence(one)) == one


def test_a_presence_without_lists_has_the_form_that_it_always_had():
    assert 9 not in cbor.decode(encode_device_presence(DEVICE), what="presence", limit=PRESENCE_BYTES)
    assert len(encode_device_presence(FULL)) <= PRESENCE_BYTES


@pytest.mark.parametrize(
    "one",
    [
        HEALTH,
        *(replace(HEALTH, state=state) for state in State),
        *(replace(HEALTH, clock_source=source) for source in ClockSource),
        replace(HEALTH, lists_stale=0, trust_days=0, thermometer_ok=False, enabled=False),
        replace(HEALTH, lists_stale=32, trust_days=INT64_MAX, thermometer_ok=True, enabled=True),
        replace(HEALTH, refused=INT64_MAX, provisioning=0),
        *(replace(HEALTH, supply=supply) for supply in Supply),
        replace(HEALTH, decoded=0, decode_total_us=INT64_MAX, unsent_s=0, board_cc=-15_000, disk_free_mib=0),
        replace(HEALTH, board_cc=15_000, disk_mib=INT64_MAX),
    ],
)
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
        (decode_device_presence, encode_device_presence(DEVICE), {9: 0}, "device presence.lists"),
        (decode_device_presence, encode_device_presence(DEVICE), {9: {}}, "device presence.lists"),
        (decode_device_presence, encode_device_presence(DEVICE), {9: {bytes(9): 1}}, "device presence.lists"),
        (decode_device_presence, encode_device_presence(DEVICE), {9: {1: 1}}, "device presence.lists"),
        (decode_device_presence, encode_device_presence(DEVICE), {9: {bytes(8): 0}}, "device presence.lists"),
        (decode_device_presence, encode_device_presence(FULL), {9: dict(FULL.lists) | {b"one more": 1}}, "device presence.lists"),
        (decode_device_presence, encode_device_presence(DEVICE), {10: 0}, "device presence"),
        (decode_health, encode_health(HEALTH), {2: 9}, "health.state"),
        (decode_health, encode_health(HEALTH), {3: 1}, "health.clock_trusted"),
        (decode_health, encode_health(HEALTH), {11: -1}, "health.foreign"),
        (decode_health, encode_health(HEALTH), {12: -1}, "health.lists_stale"),
        (decode_health, encode_health(HEALTH), {13: -1}, "health.trust_days"),
        (decode_health, encode_health(HEALTH), {14: 4}, "health.clock_source"),
        (decode_health, encode_health(HEALTH), {15: 1}, "health.thermometer_ok"),
        (decode_health, encode_health(HEALTH), {16: 0}, "health.enabled"),
        (decode_health, encode_health(HEALTH), {17: -1}, "health.refused"),
        (decode_health, encode_health(HEALTH), {18: True}, "health.provisioning"),
        (decode_health, encode_health(HEALTH), {19: 0}, "health"),
        (decode_health, encode_health(HEALTH), {65: -1}, "health.decoded"),
        (decode_health, encode_health(HEALTH), {66: True}, "health.decode_total_us"),
        (decode_health, encode_health(HEALTH), {67: -1}, "health.unsent_s"),
        (decode_health, encode_health(HEALTH), {68: 15_001}, "health.board_cc"),
        (decode_health, encode_health(HEALTH), {69: 3}, "health.supply"),
        (decode_health, encode_health(HEALTH), {70: b""}, "health.disk_free_mib"),
        (decode_health, encode_health(HEALTH), {71: "1"}, "health.disk_mib"),
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
    padding = limit - len(data) - len(cbor.encode({99: bytes(900)})) + 901
    exact = with_pairs(data, {99: bytes(padding)})
    assert len(exact) == limit
    assert read(exact) == read(data)
    with pytest.raises(LimitError, match=f"{limit + 1} bytes, at most {limit} are allowed"):
        read(with_pairs(data, {99: bytes(padding + 1)}))
