"""The stand-in platform's keys: a root, two issuers, those for receipts, look-ups, place codes and traces; the bundle.

One issuer signs with Ed25519 and one with ES256, so that a site sees both.
"""

import itertools
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from deploy.sandbox.pki import make_signing_key, read_signing_key, write_private
from protocol.keys import SigningKey, decode_key
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, open_trust, seal_trust

BUNDLE_LIFE_S = 90 * 86_400
# A gate whose clock is a little behind must still find the keys valid.
BACKDATE_S = 3_600
_ISSUER_USES = frozenset({KeyUse.CODE, KeyUse.STATUS})


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


class Authority:
    """Every secret of the stand-in platform, loaded. The root's own key stays in its file until keys roll over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.receipts = read_signing_key(folder / "receipts.signing")
        self.resolved = read_signing_key(folder / "resolved.signing")
        self.places = read_signing_key(folder / "places.signing")
        self.tracer = read_signing_key(folder / "tracer.signing")
        # Opens the subjects that `wallet.py` sealed: nobody but the platform has it.
        self.subject_key = (folder / "subject.key").read_bytes()
        self.resolver = X25519PrivateKey.from_private_bytes((folder / "resolver.key").read_bytes())
        self._load()

    @property
    def bundle(self) -> tuple[int, bytes]:
        """(version, signed bytes) of the trust bundle in force."""
        return self._bundle.version, self._bundle_data

    @property
    def trust(self) -> TrustBundle:
        """The trust bundle in force."""
        return self._bundle

    def issuer_names(self) -> dict[bytes, str]:
        """Issuer key id -> the issuer's name, for the pages."""
        return {trusted.key.kid: issuer.name for issuer in self._bundle.issuers for trusted in issuer.keys}

    def roll_over(self) -> int:
        """New keys for every issuer, beside the old ones, in a new bundle; returns its version."""
        now_s = int(time.time())
        issuers = []
        for plan, issuer in zip(ISSUERS, self._bundle.issuers, strict=True):
            key = read_signing_key(
                make_signing_key(self._folder, name=_next_name(self._folder, plan), p256=plan.p256).signing
            )
            trusted = TrustedKey(key=key.public, uses=_ISSUER_USES, **_window(now_s))
            issuers.append(replace(issuer, keys=(*issuer.keys, trusted)))
        bundle = replace(
            self._bundle,
            version=self._bundle.version + 1,
            issued_s=now_s,
            expires_s=now_s + BUNDLE_LIFE_S,
            issuers=tuple(issuers),
        )
        root = read_signing_key(self._folder / "root.signing")
        fresh = self._folder / "trust.cose.new"
        fresh.write_bytes(seal_trust(bundle, key=root))
        fresh.replace(bundle_file(self._folder))
        self._load()
        return bundle.version

    def _load(self) -> None:
        self._bundle_data = bundle_file(self._folder).read_bytes()
        self._bundle = open_trust(self._bundle_data, root=decode_key(root_file(self._folder).read_bytes()))
        self.issuers: tuple[SigningKey, ...] = tuple(_newest_key(self._folder, plan) for plan in ISSUERS)


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
    resolved = read_signing_key(make_signing_key(folder, name="resolved").signing)
    places = read_signing_key(make_signing_key(folder, name="places").signing)
    tracer = read_signing_key(make_signing_key(folder, name="tracer").signing)
    resolver = X25519PrivateKey.generate()
    write_private(folder / "resolver.key", resolver.private_bytes_raw())
    write_private(folder / "subject.key", os.urandom(32))
    window = _window(now_s)
    issuers: list[Issuer] = []
    for plan in ISSUERS:
        key = read_signing_key(make_signing_key(folder, name=f"{plan.file}-1", p256=plan.p256).signing)
        keys = [TrustedKey(key=key.public, uses=_ISSUER_USES, **window)]
        if plan is ISSUERS[0]:
            keys += [
                TrustedKey(key=receipts.public, uses=frozenset({KeyUse.BATCH_RECEIPT}), **window),
                TrustedKey(key=resolved.public, uses=frozenset({KeyUse.RESOLVED}), **window),
                TrustedKey(key=places.public, uses=frozenset({KeyUse.PLACE}), **window),
                TrustedKey(key=tracer.public, uses=frozenset({KeyUse.TRACE}), **window),
            ]
        issuers.append(Issuer(name=plan.name, region=plan.region, keys=tuple(keys)))
    bundle = TrustBundle(
        version=1,
        issued_s=now_s - BACKDATE_S,
        expires_s=now_s + BUNDLE_LIFE_S,
        issuers=tuple(issuers),
        resolver=resolver.public_key().public_bytes_raw(),
    )
    bundle_file(folder).write_bytes(seal_trust(bundle, key=root))


def load_authority(folder: Path) -> Authority:
    """Reads what `create_authority` made."""
    return Authority(folder)


def _window(now_s: int) -> dict[str, int]:
    return {"not_before_s": now_s - BACKDATE_S, "not_after_s": now_s + BUNDLE_LIFE_S}


def _names(folder: Path, plan: IssuerPlan) -> list[str]:
    """The names of an issuer's keys, oldest first."""
    numbered = (f"{plan.file}-{number}" for number in itertools.count(1))
    return list(itertools.takewhile(lambda name: (folder / f"{name}.signing").exists(), numbered))


def _next_name(folder: Path, plan: IssuerPlan) -> str:
    return f"{plan.file}-{len(_names(folder, plan)) + 1}"


def _newest_key(folder: Path, plan: IssuerPlan) -> SigningKey:
    return read_signing_key(folder / f"{_names(folder, plan)[-1]}.signing")
