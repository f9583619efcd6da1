"""A platform with two issuers and their lists, a hub, and a gate that believes: real keys, all in memory."""

import hashlib
from dataclasses import dataclass, field, replace

import pytest

from device.trust.believed import Believed
from device.trust.clock import GateClock
from device.trust.issuers import Issuers
from device.trust.lists import StatusLists
from protocol.codes import StatusRef
from protocol.keys import Ed25519SigningKey
from protocol.policy import GatePolicy, seal_policy
from protocol.statuslist import (
    ListToken,
    StatusDelta,
    StatusList,
    apply_delta,
    list_id,
    seal_delta,
    seal_list,
)
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust

NOW_S = 1_800_000_000
DEVICE = b"device-1"
STALE_S = 14_400


def key(name):
    return Ed25519SigningKey(hashlib.sha256(name.encode()).digest())


@dataclass
class Series:
    """One list of one issuer, as the platform keeps it."""

    uri: str
    key: object
    issuer: str = "chongqing"
    version: int = 1
    packed: bytearray = field(default_factory=lambda: bytearray(1024))
    now_s: int = NOW_S

    @property
    def id(self):
        return list_id(self.uri)

    def snapshot(self, **changes):
        token = ListToken(uri=self.uri, version=self.version, issued_s=self.now_s, packed=bytes(self.packed))
        return seal_list(replace(token, **changes), key=self.key)

    def delta(self, statuses, **changes):
        """Changes the list and tells how."""
        delta = StatusDelta(
            uri=self.uri,
            from_version=self.version,
            to_version=self.version + 1,
            issued_s=self.now_s,
            changes=tuple(sorted(statuses.items())),
        )
        apply_delta(self.packed, delta)
        self.version += 1
        return seal_delta(replace(delta, **changes), key=self.key)

    def heartbeat(self, **changes):
        beat = StatusDelta(uri=self.uri, from_version=self.version, to_version=self.version, issued_s=self.now_s)
        return seal_delta(replace(beat, **changes), key=self.key)

    def colours(self):
        return StatusList(self.packed)


@dataclass
class Platform:
    now_s: int = NOW_S
    root: object = field(default_factory=lambda: key("root"))
    hub: object = field(default_factory=lambda: key("hub"))
    issuers: dict = field(default_factory=lambda: {"chongqing": [key("chongqing")], "jiangxi": [key("jiangxi")]})
    trust_version: int = 1

    def bundle(self, *, version=None, **changes):
        uses = frozenset({KeyUse.CODE, KeyUse.STATUS})
        bundle = TrustBundle(
            version=version or self.trust_version,
            issued_s=self.now_s - 1000,
            expires_s=self.now_s + 100 * 86_400,
            issuers=tuple(
                Issuer(
                    name=name,
                    region=name,
                    keys=tuple(
                        TrustedKey(
                            key=one.public,
                            uses=uses,
                            not_before_s=self.now_s - 10**7,
                            not_after_s=self.now_s + 10**7,
                        )
                        for one in keys
                    ),
                )
                for name, keys in self.issuers.items()
            ),
        )
        return replace(bundle, **changes)

    def trust(self, **changes):
        return seal_trust(self.bundle(**changes), key=self.root)

    def series(self, uri="https://status.example/1", *, issuer="chongqing", **changes):
        return Series(uri=uri, key=self.issuers[issuer][0], issuer=issuer, now_s=self.now_s, **changes)

    def policy(self, **changes):
        return seal_policy(replace(DEFAULT, **{"version": 1, "issued_s": self.now_s, **changes}), key=self.hub)


DEFAULT = GatePolicy(device=DEVICE, version=0, issued_s=0, place="mall", gate="n1")


class Gate:
    """What a gate believes, in a folder that outlives it."""

    def __init__(self, platform, state, *, synchronised=True):
        self.platform = platform
        self.state = state
        self.now_s = platform.now_s
        self.mono_s = 1000
        self.synchronised = synchronised
        provisioned = state / "provisioned.cose"
        if not provisioned.exists():
            provisioned.write_bytes(platform.trust())
        self.believed = Believed(state / "believed")
        self.clock = GateClock(
            synchronised=lambda: self.synchronised,
            now_ns=lambda: self.now_s * 10**9,
            mono_ns=lambda: self.mono_s * 10**9,
            believed=self.believed,
        )
        self.issuers = Issuers(
            root=platform.root.public, provisioned=provisioned, believed=self.believed, clock=self.clock
        )
        self.lists = StatusLists(believed=self.believed, issuers=self.issuers, clock=self.clock)

    def restarted(self, **changes):
        gate = Gate(self.platform, self.state, **changes)
        gate.now_s = self.now_s
        return gate

    def entry(self, series, index, *, issuer=None, now_s=None, stale_s=STALE_S):
        kid = (issuer or series.key).public.kid
        ref = StatusRef(index=index, uri=series.uri)
        return self.lists.look_up(ref, kid, now_s=now_s or self.now_s, stale_s=stale_s)

    def colour(self, series, index, **changes):
        entry = self.entry(series, index, **changes)
        return None if entry is None else entry.colour


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def gate(platform, tmp_path):
    return Gate(platform, tmp_path)


@pytest.fixture
def open_gate(platform):
    """A gate in a folder, e.g. after a power cut."""
    return lambda state, **changes: Gate(platform, state, **changes)
