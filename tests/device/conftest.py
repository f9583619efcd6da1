"""A small world for the device's tests: one platform with an issuer, real keys, codes on demand."""

import hashlib
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.codes import Claims, VerifiedCode, parse_text, seal_code, to_text, verify
from protocol.keys import Ed25519SigningKey, P256SigningKey, SigningKey
from protocol.terms import Colour
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey

NOW_S = 1_800_000_000


@dataclass
class World:
    """Everything is at `now_s`; live codes were issued 10 s ago."""

    now_s: int = NOW_S
    root: SigningKey = field(default_factory=lambda: Ed25519SigningKey(hashlib.sha256(b"root").digest()))
    issuer: SigningKey = field(default_factory=lambda: Ed25519SigningKey(hashlib.sha256(b"issuer").digest()))
    second_issuer: SigningKey = field(
        default_factory=lambda: P256SigningKey(ec.derive_private_key(0x1234567, ec.SECP256R1()))
    )

    @property
    def now_ms(self) -> int:
        return self.now_s * 1000

    def bundle(self, *, not_after_s: int | None = None, uses=frozenset({KeyUse.CODE})) -> TrustBundle:
        def trusted(key):
            return TrustedKey(
                key=key.public,
                uses=uses,
                not_before_s=self.now_s - 1000,
                not_after_s=self.now_s + 10**6 if not_after_s is None else not_after_s,
            )

        return TrustBundle(
            version=1,
            issued_s=self.now_s - 1000,
            expires_s=self.now_s + 10**6,
            issuers=(
                Issuer(name="重庆", region="CQ", keys=(trusted(self.issuer),)),
                Issuer(name="江西", region="JX", keys=(trusted(self.second_issuer),)),
            ),
        )

    def claims(self, **changes) -> Claims:
        given = {
            "subject": b"subject-of-16-by",
            "issued_s": self.now_s - 10,
            "expires_s": self.now_s + 50,
            "colour": Colour.GREEN,
        }
        return Claims(**{**given, **changes})

    def text(self, *, key: SigningKey | None = None, **changes) -> str:
        return to_text(seal_code(self.claims(**changes), key=key or self.issuer))

    def verified(self, **changes) -> VerifiedCode:
        return verify(parse_text(self.text(**changes)), key=self.issuer.public)


@pytest.fixture
def world() -> World:
    return World()
