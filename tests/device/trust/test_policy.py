from dataclasses import replace

import pytest

from device import durable
from device.trust.policy import Policies
from device.trust.refusals import ForkError
from protocol.errors import MalformedError, ProtocolError, RollbackError, UnknownKeyError
from protocol.keys import Ed25519SigningKey
from protocol.policy import GatePolicy, seal_policy

DEFAULT = GatePolicy(device=b"device-1", version=0, issued_s=0, place="mall", gate="n1", light_ms=1234)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def open_policies(gate, platform, heard):
    def open_(default=DEFAULT, believed=None):
        return Policies(
            default=default,
            hub_keys={platform.hub.public.kid: platform.hub.public},
            believed=believed or gate.believed,
            on_change=heard.append,
        )

    return open_


def test_the_default_holds_until_a_hub_says_something(open_policies, platform, heard):
    policies = open_policies()
    assert policies.current is DEFAULT
    assert policies.offer(platform.policy(version=1, enabled=False))
    assert not policies.current.enabled
    assert heard == [policies.current]
    assert open_policies().current == policies.current


def test_the_same_policy_again_is_no_news(open_policies, platform, heard):
    policies = open_policies()
    policies.offer(platform.policy(version=3))
    assert not policies.offer(platform.policy(version=3))
    assert len(heard) == 1


def test_an_older_a_forked_a_forged_and_an_unreadable_policy_change_nothing(open_policies, platform, heard):
    policies = open_policies()
    policies.offer(platform.policy(version=3, closed=True))
    before = policies.current
    good = platform.policy(version=4)
    foreign = seal_policy(replace(before, version=4), key=Ed25519SigningKey(bytes(32)))
    for data, error in (
        (platform.policy(version=2), RollbackError),
        (platform.policy(version=3, closed=False), ForkError),
        (platform.policy(version=4, device=b"device-2"), MalformedError),
        (platform.policy(version=4, gate="n2"), MalformedError),
        (platform.policy(version=4, place="metro"), MalformedError),
        (foreign, UnknownKeyError),
        (platform.trust(), ProtocolError),
        *((good[:length], ProtocolError) for length in range(len(good))),
        *((good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], ProtocolError) for at in range(len(good))),
    ):
        with pytest.raises(error):
            policies.offer(data)
    assert policies.current is before
    assert heard == [before]
    assert open_policies().current == before


def test_the_same_policy_signed_by_a_new_key_of_the_hub_is_no_fork(gate, platform, heard):
    new = Ed25519SigningKey(b"n" * 32)
    keys = {key.public.kid: key.public for key in (platform.hub, new)}
    policies = Policies(default=DEFAULT, hub_keys=keys, believed=gate.believed, on_change=heard.append)
    policies.offer(platform.policy(version=3))
    assert not policies.offer(seal_policy(policies.current, key=new))


@pytest.mark.parametrize("damage", [b"", b"nonsense", bytes(20_000)])
def test_a_damaged_policy_is_set_aside_and_the_default_holds(open_policies, gate, platform, damage):
    open_policies().offer(platform.policy(version=3))
    path = gate.state / "believed" / "policy.cose"
    path.write_bytes(damage)
    assert open_policies().current is DEFAULT
    assert path.with_name("policy.cose.bad").exists()
    assert not path.exists()


def test_a_policy_of_the_gate_that_this_device_served_before_does_not_hold(open_policies, platform):
    open_policies().offer(platform.policy(version=3))
    moved = replace(DEFAULT, gate="n2")
    assert open_policies(moved).current is moved


def test_a_power_cut_leaves_the_old_policy_or_the_new_one(cuts, platform, open_policies, open_gate):
    for cut in cuts():
        believed = open_gate(cut.root).believed
        policies = open_policies(believed=believed)
        policies.offer(platform.policy(version=2))
        with cut:
            policies.offer(platform.policy(version=3))
        again = open_policies(believed=believed)
        assert again.current.version in ({3} if cut.completed else {2, 3})
        assert list(cut.root.rglob("*.bad")) == []
        again.offer(platform.policy(version=3))
        assert open_policies(believed=believed).current.version == 3


def test_a_failing_disk_does_not_keep_a_policy_out_of_force(open_policies, gate, platform, monkeypatch, heard):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_atomic", full)
    policies = open_policies()
    assert policies.offer(platform.policy(version=1, closed=True))
    assert policies.current.closed
    assert heard
    assert gate.believed.failures == 1
