"""Registered, heard and told -> what counts, ring by ring."""

from dataclasses import replace

import pytest

from hub.firmware.outcome import Unit
from hub.firmware.units import SILENT_MS, Said, ring_counts, unit_of, units
from hub.model import Device, DeviceState
from hub.store.firmware_ports import Outcome
from hub.store.trust_ports import CommandState, DeviceSeen
from protocol.health import UpdateFailure
from tests.hub.firmware.test_rollout import NEW, OLD, ROLLOUT, T, told, unit

A = b"A" * 8
DEVICE = Device(
    device_id=A, place_id="mall", gate_id="G1", direction=None, name="", cose_key=b"", kid=b"",
    state=DeviceState.ACTIVE, reason="", added_ms=0, changed_ms=0,
)  # fmt: skip
SEEN = DeviceSeen(device_id=A, seen_ms=T, online=True, firmware="0.2.0", trust_version=1, policy_version=1)


def of(seen=SEEN, *, online=True, said=Said(), now_ms=T):  # noqa: B008
    return unit_of(DEVICE, ring=4, seen=seen, online=online, said=said, now_ms=now_ms)


def test_what_a_device_says_is_read():
    said = Said(failed=3_000, failure=UpdateFailure.UNFIT)
    assert of(said=said) == Unit(
        device_id=A, ring=4, release=2_000, online=True, heard_ms=T, failed=3_000, failure="unfit"
    )
    assert of(None) == Unit(device_id=A, ring=4, release=None, online=False, heard_ms=None)
    assert of(replace(SEEN, firmware="0.2.0.dev1")).release is None


def test_one_that_has_not_spoken_for_long_is_not_there_whatever_the_broker_says():
    assert of(now_ms=T + SILENT_MS - 1).online
    assert not of(now_ms=T + SILENT_MS).online
    assert not of(online=False).online


@pytest.mark.parametrize(
    ("changes", "place", "counts"),
    [
        ({}, "", True),
        ({}, "mall", True),
        ({}, "station", False),
        ({"state": DeviceState.QUARANTINED}, "", False),
        ({"state": DeviceState.REVOKED}, "", False),
    ],
)
def test_who_counts(changes, place, counts):
    found = units(
        [replace(DEVICE, **changes)], place_id=place, rings={}, seen={A: SEEN}, online={A: True}, said={}, now_ms=T
    )
    assert [each.ring for each in found] == [1] * counts


@pytest.mark.parametrize(
    ("of_unit", "of_told", "where"),
    [
        ({"release": NEW}, None, "running"),
        ({"release": NEW}, {"outcome": Outcome.UPDATED}, "running"),
        ({}, {}, "under_way"),
        ({"online": False}, {}, "under_way"),
        ({}, {"outcome": Outcome.UPDATED}, "under_way"),
        ({}, None, "waiting"),
        ({}, {"command": None}, "waiting"),
        ({"online": False}, None, "away"),
        ({"online": False, "release": None, "heard_ms": None}, None, "away"),
        ({"online": False}, {"command": CommandState.EXPIRED, "sent": False}, "away"),
        ({}, {"outcome": Outcome.FAILED}, "failed"),
        ({"release": NEW}, {"outcome": Outcome.FAILED}, "failed"),
        ({}, {"outcome": Outcome.UNABLE}, "unable"),
        ({"release": None}, None, "unable"),
    ],
)
def test_each_device_is_counted_once(of_unit, of_told, where):
    states = ("running", "under_way", "waiting", "away", "failed", "unable")
    (count,) = ring_counts(
        [unit(**of_unit)], {A: "x"}, rollout=ROLLOUT, told=[] if of_told is None else [told(**of_told)]
    )
    assert {name: getattr(count, name) for name in states} == dict.fromkeys(states, 0) | {where: 1}


def test_rings_and_versions_are_counted_the_most_common_first():
    members = [unit(), unit("B", ring=3), unit("C", ring=3), unit("D", ring=3)]
    first, third = ring_counts(
        members, {b"B" * 8: "0.2.0", b"C" * 8: "0.1.0", b"D" * 8: "0.1.0"}, rollout=None, told=()
    )
    assert (first.ring, first.devices, first.versions, first.waiting) == (0, 1, (("", 1),), 0)
    assert (third.ring, third.devices, third.versions) == (3, 3, (("0.1.0", 2), ("0.2.0", 1)))
    assert OLD < NEW
