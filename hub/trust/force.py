"""Whether a gate does what the rules of its place say now. Pure."""

from dataclasses import replace
from enum import StrEnum

from hub.store.trust_ports import DeviceSeen, IssuedPolicy
from protocol.errors import ProtocolError
from protocol.policy import GatePolicy, parse_policy


class Force(StrEnum):
    """How far a policy is on its way to one gate."""

    UNSIGNED = "unsigned"
    """The hub has still to sign it: it does so within a second, when it runs."""
    SENT = "sent"
    """Signed and published; the gate has not said that it has it."""
    IN_FORCE = "in_force"


def force_of(wanted: GatePolicy, *, issued: IssuedPolicy | None, seen: DeviceSeen | None) -> Force:
    """How far the wanted policy is.

    Args:
        wanted: what the gate should have; its version and time do not count.
        issued: what was signed last for its device.
        seen: what the device has said of itself last.
    """
    if issued is None or not _is(wanted, issued):
        return Force.UNSIGNED
    return Force.IN_FORCE if seen is not None and seen.policy_version == issued.version else Force.SENT


def _is(wanted: GatePolicy, issued: IssuedPolicy) -> bool:
    try:
        signed = parse_policy(issued.sealed)
    except ProtocolError:
        return False
    return replace(signed, version=wanted.version, issued_s=wanted.issued_s) == wanted
