from dataclasses import replace

from hub.store.trust_ports import DeviceSeen, IssuedPolicy
from hub.trust.force import Force, force_of
from hub.trust.rules import Rules
from protocol.keys import Ed25519SigningKey
from protocol.policy import seal_policy

KEY = Ed25519SigningKey(bytes(32))
WANTED = Rules.defaults().for_gate(device=b"device-A", place="mall", gate="G1", direction=None, closed=False)


def issued(policy, version=7):
    sealed = seal_policy(replace(policy, version=version, issued_s=1_790_000_000), key=KEY)
    return IssuedPolicy(device_id=b"device-A", version=version, digest=bytes(32), sealed=sealed, issued_ms=1)


def seen(version):
    return DeviceSeen(
        device_id=b"device-A", seen_ms=1, online=True, firmware="1", trust_version=1, policy_version=version
    )


def test_a_policy_on_its_way():
    assert force_of(WANTED, issued=None, seen=seen(7)) is Force.UNSIGNED
    assert force_of(WANTED, issued=issued(replace(WANTED, leeway_s=31)), seen=seen(7)) is Force.UNSIGNED
    assert force_of(WANTED, issued=issued(WANTED), seen=None) is Force.SENT
    assert force_of(WANTED, issued=issued(WANTED), seen=seen(6)) is Force.SENT
    assert force_of(WANTED, issued=issued(WANTED), seen=seen(7)) is Force.IN_FORCE


def test_what_cannot_be_read_is_not_in_force():
    broken = replace(issued(WANTED), sealed=b"\x00")
    assert force_of(WANTED, issued=broken, seen=seen(7)) is Force.UNSIGNED
