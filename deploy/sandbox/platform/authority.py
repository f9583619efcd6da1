"""The stand-in platform's keys: a root, two issuers, the receipt key, and the trust bundle they sign.

One issuer signs with Ed25519 and one with ES256, so that a site sees both.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.pki import make_signing_key, read_signing_key, write_private
from protocol.keys import SigningKey
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust

BUNDLE_LIFE_S = 30 * 86_400
# A gate whose clock is a little behind must still find the keys valid.
BACKDATE_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerPlan:
    """Who signs codes in the sandbox."""

    name: str
    region: str
    file: str
    p256: bool


ISSUERS = (
    IssuerPlan(name="重庆 Chongqing", region="CN-CQ", file="issuer-chongqing", p256=False),
    IssuerPlan(name="江西 Jiangxi", region="CN-JX", file="issuer-jiangxi", p256=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Every secret of the stand-in platform, loaded."""

    issuers: tuple[SigningKey, ...]
    receipts: SigningKey
    # Opens the subjects that `wallet.py` sealed: nobody but the platform has it.
    subject_key: bytes

    def issuer_names(self) -> dict[bytes, str]:
        """Issuer key id -> the issuer's name, for the pages."""
        return {key.public.kid: plan.name for key, plan in zip(self.issuers, ISSUERS, strict=True)}


def root_file(folder: Path) -> Path:
    """Where the root's public COSE_Key lies, for device and hub."""
    return folder / "root.cose"


def bundle_file(folder: Path) -> Path:
    """Where the signed trust bundle lies, for device and hub."""
    return folder / "trust.cose"


def create_authority(folder: Path, *, now_s: int) -> None:
    """Makes all keys in `folder` and signs the first trust bundle with the root."""
    root = read_signing_key(make_signing_key(folder, name="root").signing)
    receipts = read_signing_key(make_signing_key(folder, name="receipts").signing)
    write_private(folder / "subject.key", os.urandom(32))
    window = {"not_before_s": now_s - BACKDATE_S, "not_after_s": now_s + BUNDLE_LIFE_S}
    issuers: list[Issuer] = []
    for plan in ISSUERS:
        key = read_signing_key(make_signing_key(folder, name=plan.file, p256=plan.p256).signing)
        uses = frozenset({KeyUse.CODE, KeyUse.STATUS})
        keys = [TrustedKey(key=key.public, uses=uses, **window)]
        if plan is ISSUERS[0]:
            receipt_use = frozenset({KeyUse.BATCH_RECEIPT})
            keys.append(TrustedKey(key=receipts.public, uses=receipt_use, **window))
        issuers.append(Issuer(name=plan.name, region=plan.region, keys=tuple(keys)))
    bundle = TrustBundle(
        version=1,
        issued_s=now_s - BACKDATE_S,
        expires_s=now_s + BUNDLE_LIFE_S,
        issuers=tuple(issuers),
    )
    bundle_file(folder).write_bytes(seal_trust(bundle, key=root))


def load_authority(folder: Path) -> Authority:
    """Reads what `create_authority` made. The root's private key stays where it is: daily work needs none."""
    return Authority(
        issuers=tuple(read_signing_key(folder / f"{plan.file}.signing") for plan in ISSUERS),
        receipts=read_signing_key(folder / "receipts.signing"),
        subject_key=(folder / "subject.key").read_bytes(),
    )
