"""What every enrolment of a machine needs. `main` makes it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from device.enrol.client import HubClient
from device.enrol.ports import Events, Hub, Machine, Network
from device.keystore.ports import KeyStore
from protocol.enrolment import ProvisioningCode


def open_pinned(code: ProvisioningCode, now_s: int | None) -> Hub:
    """The hub of a code, over the real network."""
    return HubClient.pinned(code, now_s=now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every attempt needs.

    Args:
        state_dir: where the site is written.
        keys: makes the signing key.
        network: joins what a code names; None where networks are not ours to join.
        machine: what the device says of itself.
        log: told of each step; never of token, password or key.
        now_s: the time; None while the clock is not to be believed.
        random_bytes: `secrets.token_bytes` on a device.
        unsent: how many check-ins in the spool have no receipt: a new device id would lose them.
        open_hub: code and time -> hub; raises like `HubClient.pinned`.
    """

    state_dir: Path
    keys: KeyStore
    network: Network | None
    machine: Machine
    log: Events
    now_s: Callable[[], int | None]
    random_bytes: Callable[[int], bytes]
    unsent: Callable[[], int]
    open_hub: Callable[[ProvisioningCode, int | None], Hub] = field(default=open_pinned)
