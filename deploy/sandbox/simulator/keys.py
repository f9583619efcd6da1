"""Who is who in every history: the same keys in all of them, so that only chance tells two histories apart."""

import hashlib
from dataclasses import dataclass

from deploy.sandbox.simulator.world import WALL_MS
from hub.model import Device, DeviceState
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.policy import GatePolicy
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey

_YEAR_S = 365 * 86_400
PLACE = "mall"
HUB_ID = hashlib.sha256(b"hub").digest()[:8]


def _key(name: str) -> Ed25519SigningKey:
    return Ed25519SigningKey(hashlib.sha256(name.encode()).digest())


HUB_KEY = _key("hub")
ISSUER_KEY = _key("issuer")
PLATFORM_KEY = _key("platform")
STRANGER_KEY = _key("stranger")


def _trusted(key: Ed25519SigningKey, use: KeyUse) -> TrustedKey:
    now_s = WALL_MS // 1000
    return TrustedKey(key=key.public, uses=frozenset({use}), not_before_s=now_s - _YEAR_S, not_after_s=now_s + _YEAR_S)


TRUST = TrustBundle(
    version=1,
    issued_s=WALL_MS // 1000 - 3600,
    expires_s=WALL_MS // 1000 + _YEAR_S,
    issuers=(
        Issuer(name="issuer", region="CN-CQ", keys=(_trusted(ISSUER_KEY, KeyUse.CODE),)),
        Issuer(name="platform", region="CN", keys=(_trusted(PLATFORM_KEY, KeyUse.BATCH_RECEIPT),)),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKeys:
    """One gate's identity."""

    name: str
    device: bytes
    key: Ed25519SigningKey
    policy: GatePolicy

    def registered(self) -> Device:
        """As the hub's registry has it."""
        return Device(
            device_id=self.device,
            place_id=PLACE,
            gate_id=self.name,
            direction=None,
            name=self.name,
            cose_key=encode_key(self.key.public),
            kid=self.key.public.kid,
            state=DeviceState.ACTIVE,
            reason="",
            added_ms=WALL_MS,
            changed_ms=WALL_MS,
        )


def gate_keys(number: int) -> GateKeys:
    """The identity of gate number 1, 2, ..."""
    name = f"G{number}"
    device = hashlib.sha256(name.encode()).digest()[:8]
    policy = GatePolicy(device=device, version=1, issued_s=WALL_MS // 1000, place=PLACE, gate=name)
    return GateKeys(name=name, device=device, key=_key(name), policy=policy)
