from types import SimpleNamespace

import pytest

from hub.model import DeviceState
from hub.trust.inbound import LEAVES, Inbound
from hub.trust.roster import Roster
from protocol import topics
from protocol.command import CommandResult, encode_result
from protocol.presence import DevicePresence, encode_device_presence

DEVICE = b"device-1"


class Part:
    """Remembers what it was told."""

    def __init__(self, said, name):
        self._said, self._name = said, name

    def __getattr__(self, call):
        return lambda *args: self._said.append((f"{self._name}.{call}", *args))


@pytest.fixture
async def inbound(store, health, metrics, add_device):
    await add_device()
    roster = Roster(store=store, health=health)
    await roster.load()
    said = []
    parts = {name: Part(said, name) for name in ("fleet", "commands", "resolve", "clock_hint")}
    return SimpleNamespace(take=Inbound(roster=roster, metrics=metrics, **parts).take, said=said, roster=roster)


def presence(*, online=True):
    plain = {"oldest_seq": 1, "newest_seq": 0, "firmware": "1", "trust_version": 0, "policy_version": 0}
    return DevicePresence(session=b"session1", online=online, epoch=bytes(8), **plain)


def refused(metrics, reason):
    return f'device_messages_refused_total{{reason="{reason}"}} 1.0' in metrics.text().decode()


def test_presence_goes_to_whom_it_concerns(inbound):
    inbound.take(topics.presence(DEVICE), encode_device_presence(presence()))
    assert inbound.said == [
        ("fleet.present", DEVICE, presence()),
        ("clock_hint.present", DEVICE, b"session1"),
        ("commands.present", DEVICE),
    ]
    inbound.said.clear()
    inbound.take(topics.presence(DEVICE), encode_device_presence(presence(online=False)))
    assert inbound.said == [("fleet.present", DEVICE, presence(online=False))]


def test_results_and_look_ups_go_on_as_they_are(inbound):
    result = encode_result(CommandResult(id=bytes(16), ok=True, detail=""))
    inbound.take(topics.results(DEVICE), result)
    inbound.take(topics.resolve(DEVICE), b"sealed")
    assert inbound.said == [("commands.result", DEVICE, result), ("resolve.query", DEVICE, b"sealed")]


def test_strangers_are_not_heard(inbound, metrics):
    inbound.take(topics.presence(b"stranger"), encode_device_presence(presence()))
    assert (inbound.said, refused(metrics, "unknown_device")) == ([], True)


async def test_revoked_devices_are_not_heard(inbound, metrics, store, operator):
    audit = operator.entry("device.revoked", "")
    await store.set_device_state(DEVICE, state=DeviceState.REVOKED, reason="lost", audit=audit)
    await inbound.roster.load()
    inbound.take(topics.results(DEVICE), b"\xa0")
    assert (inbound.said, refused(metrics, "revoked")) == ([], True)


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_hostile_bytes_raise_nothing(inbound, leaf):
    topic = f"gatelight/1/d/64/{DEVICE.hex()}/{leaf}"
    for data in (b"", b"\xff", bytes(100_000), b"\xbf", b"\x9f" * 5000):
        inbound.take(topic, data)
    assert {call for call, *_ in inbound.said} <= {"commands.result", "resolve.query"}


def test_other_topics_and_no_topics_are_passed_over(inbound, metrics):
    inbound.take(topics.checkins(DEVICE), b"x")
    inbound.take(topics.receipts(DEVICE), b"x")
    assert inbound.said == []
    inbound.take("gatelight/1/d/00/" + DEVICE.hex() + "/results", b"x")
    assert (inbound.said, refused(metrics, "malformed")) == ([], True)
