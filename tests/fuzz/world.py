"""The gate, the hour and the real keys that all targets share: those of the golden vectors."""

from protocol.keys import VerifyKey
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey
from protocol.vectors.raw import KEYS

NOW_S = 1_795_334_400
DEVICE = bytes.fromhex("3fa1c20b7d5e9046")


def public(name: str) -> VerifyKey:
    """The public key of that name."""
    return KEYS[name].key.public


def _bundle(use: KeyUse, *names: str) -> TrustBundle:
    keys = tuple(
        TrustedKey(key=public(name), uses=frozenset({use}), not_before_s=0, not_after_s=10**11) for name in names
    )
    issuers = (Issuer(name="province", region="CN", keys=keys),)
    return TrustBundle(version=1, issued_s=0, expires_s=10**11, issuers=issuers)


HUB = {key.kid: key for key in (public("hub"), public("hub-p256"))}
CODES = _bundle(KeyUse.CODE, "issuer", "issuer-p256")
LISTS = _bundle(KeyUse.STATUS, "issuer", "issuer-p256")
