"""What a phone of the sandbox gets when it asks for a code: a request -> the QR's text.

A real platform decides a person's colour by its rules; this one is told. The subject is sealed with a key
that only the platform has, under a fresh nonce, so that two showings of one person cannot be linked.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from deploy.sandbox.platform.authority import Authority
from protocol.codes import Claims, StatusRef, seal_code, to_text
from protocol.keys import Ed25519SigningKey, SigningKey, VerifyKey
from protocol.limits import LIVE_CODE_S
from protocol.terms import Colour, Kind

NONCE_BYTES = 12
PERSON_BYTES = 4
STALE_S = 600
CARD_LIFE_S = 365 * 86_400
# Phones and servers disagree by a second or two; a code shall not come from the gate's future.
BACKDATE_S = 2


class CodeKind(StrEnum):
    """What the sandbox may ask for. All but `live` are for trouble makers."""

    LIVE = "live"
    CARD = "card"
    SPECIMEN = "specimen"
    EXPIRED = "expired"
    BAD_ISSUER = "bad_issuer"
    FORGED = "forged"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """One phone's wish. `person` also chooses the issuer."""

    person: int
    colour: Colour
    kind: CodeKind = CodeKind.LIVE
    masked: tuple[str, str, str] | None = None


class Forger:
    """Signs with a key of its own under the name of another: what a forged code looks like."""

    def __init__(self, imitated: VerifyKey) -> None:
        self.public = imitated
        self._key = Ed25519SigningKey(os.urandom(32))

    def sign(self, message: bytes) -> bytes:
        """64 bytes that are a signature, though not by the key that is named."""
        return self._key.sign(message)


class Wallet:
    """Makes codes with the authority's keys and opens their subjects again.

    Args:
        authority: whose keys.
        reference: where a person stands in the status lists.
    """

    def __init__(self, authority: Authority, *, reference: Callable[[int], StatusRef]) -> None:
        self._authority = authority
        self._reference = reference
        self._cipher = ChaCha20Poly1305(authority.subject_key)
        self._stranger = Ed25519SigningKey(os.urandom(32))

    def code(self, request: CodeRequest, *, now_s: int) -> str:
        """A fresh code's text, `GL1:...`."""
        issued_s = now_s - BACKDATE_S
        expires_s = issued_s + LIVE_CODE_S
        colour: Colour | None = request.colour
        kind = Kind.LIVE
        status: StatusRef | None = None
        if request.kind is CodeKind.EXPIRED:
            issued_s, expires_s = issued_s - STALE_S, expires_s - STALE_S
        elif request.kind is CodeKind.SPECIMEN:
            kind = Kind.SPECIMEN
        elif request.kind is CodeKind.CARD:
            kind, colour = Kind.CARD, None
            expires_s = issued_s + CARD_LIFE_S
            status = self._reference(request.person)
        claims = Claims(
            subject=self.seal_subject(request.person),
            issued_s=issued_s,
            expires_s=expires_s,
            colour=colour,
            status=status,
            masked=request.masked,
            kind=kind,
            rule=None if colour in {None, Colour.GREEN} else f"SANDBOX-{colour:d}",
        )
        return to_text(seal_code(claims, key=self._signer(request)))

    def open_subject(self, subject: bytes) -> int | None:
        """Subject -> person number, or None when it is not one of ours."""
        try:
            opened = self._cipher.decrypt(subject[:NONCE_BYTES], subject[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None
        return int.from_bytes(opened, "big")

    def seal_subject(self, person: int) -> bytes:
        """Person -> subject, another one each time."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, person.to_bytes(PERSON_BYTES, "big"), None)

    def _signer(self, request: CodeRequest) -> SigningKey:
        issuer = self._authority.issuers[request.person % len(self._authority.issuers)]
        if request.kind is CodeKind.BAD_ISSUER:
            return self._stranger
        if request.kind is CodeKind.FORGED:
            return Forger(issuer.public)
        return issuer
