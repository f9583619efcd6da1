"""The trust bundle: which key may sign what, and when. Signed by the platform's root key.

Wire form, with the times in seconds since 1970::

    {1: version, 2: issued, 3: expires, 4: [issuer, ...], 5: resolver key?}
    issuer = {1: name, 2: region, 3: [key, ...]}
    key    = {1: COSE_Key, 2: not before, 3: not after, 4: [use, ...]}
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import Any

import nacl.bindings
import nacl.exceptions

from protocol import cbor, envelope
from protocol.envelope import AAD_TRUST
from protocol.errors import KeyUseError, LimitError, MalformedError, RollbackError, UnknownKeyError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import NAME_CHARS, TRUST_BYTES, TRUST_ISSUERS, TRUST_KEYS_PER_ISSUER


class KeyUse(IntEnum):
    """What a key may sign."""

    CODE = 1
    STATUS = 2
    BATCH_RECEIPT = 3
    RESOLVED = 4
    PLACE = 5
    TRACE = 6


_USES = {use.value: use for use in KeyUse}

WARN_DAYS = (30, 7, 1)
"""Days before a bundle ends at which somebody must be told."""

RESOLVER_BYTES = 32
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key with its uses and its window, both ends included.

    Uses of a later version stand in it as bare numbers; a key is good for none of them here.
    """

    key: VerifyKey
    uses: frozenset[int]
    not_before_s: int
    not_after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An authority whose codes are recognised here."""

    name: str
    region: str
    keys: tuple[TrustedKey, ...]


@dataclass(frozen=True, kw_only=True)
class TrustBundle:
    """All keys that are believed, as one signed and versioned whole.

    `resolver` is the platform's X25519 public key, to which look-ups are sealed.
    """

    version: int
    issued_s: int
    expires_s: int
    issuers: tuple[Issuer, ...]
    resolver: bytes | None = None

    @cached_property
    def _by_kid(self) -> dict[bytes, TrustedKey]:
        return {trusted.key.kid: trusted for issuer in self.issuers for trusted in issuer.keys}

    @cached_property
    def _issuer_by_kid(self) -> dict[bytes, Issuer]:
        return {trusted.key.kid: issuer for issuer in self.issuers for trusted in issuer.keys}

    def issuer_of(self, kid: bytes) -> Issuer | None:
        """Whose key this is, whatever its use and window: a list counts only for codes of the same issuer."""
        return self._issuer_by_kid.get(kid)

    def find(self, kid: bytes, *, use: KeyUse, at_s: int) -> VerifyKey:
        """The key with this id, if it may be used so at that time.

        Raises:
            UnknownKeyError: no such key in the bundle.
            KeyUseError: the key is for another use, outside its window, or the bundle has ended.
        """
        trusted = self._by_kid.get(kid)
        if trusted is None:
            raise UnknownKeyError("trust", f"no key {kid.hex()}")
        if use not in trusted.uses:
            raise KeyUseError("trust", f"key {kid.hex()} is not for {use.name.lower()}")
        if not trusted.not_before_s <= at_s <= trusted.not_after_s:
            raise KeyUseError("trust", f"key {kid.hex()} is outside its window")
        if at_s > self.expires_s:
            raise KeyUseError("trust", f"bundle {self.version} has ended")
        return trusted.key


def days_left(bundle: TrustBundle, at_s: int) -> int:
    """Whole days until the bundle ends; negative afterwards."""
    return (bundle.expires_s - at_s) // _DAY_S


def warning_due(bundle: TrustBundle, at_s: int) -> int | None:
    """The nearest of `WARN_DAYS` within which the bundle ends; 0 when it has ended, None when none is due."""
    left_s = bundle.expires_s - at_s
    if left_s < 0:
        return 0
    return min((days for days in WARN_DAYS if left_s <= days * _DAY_S), default=None)


def seal_trust(bundle: TrustBundle, *, key: SigningKey) -> bytes:
    """Bundle -> signed bytes, as the platform's root makes them.

    Raises:
        LimitError, MalformedError: a bundle that a gate would refuse.
    """
    fields: dict[int, Any] = {
        1: bundle.version,
        2: bundle.issued_s,
        3: bundle.expires_s,
        4: [
            {1: issuer.name, 2: issuer.region, 3: [_key_map(trusted) for trusted in issuer.keys]}
            for issuer in bundle.issuers
        ],
    }
    if bundle.resolver is not None:
        fields[5] = bundle.resolver
    payload = cbor.encode(fields)
    _read_bundle(payload)
    data = envelope.seal(payload, key=key, aad=AAD_TRUST)
    if len(data) > TRUST_BYTES:
        raise LimitError("trust bundle", f"{len(data)} bytes, at most {TRUST_BYTES} are allowed")
    return data


def open_trust(data: bytes, *, root: VerifyKey, current_version: int = 0) -> TrustBundle:
    """Bytes -> bundle.

    1. The envelope, within its limit.
    2. Signed by the root key that was pinned.
    3. The bundle, every key checked, none twice.
    4. Not older than the one in force.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a bundle.
        UnknownKeyError: signed by another root.
        SignatureError: the signature does not fit.
        RollbackError: older than `current_version`.
    """
    # 1.
    sealed = envelope.parse(data, what="trust bundle", limit=TRUST_BYTES)
    # 2.
    if sealed.kid != root.kid:
        raise UnknownKeyError("trust bundle", f"signed by {sealed.kid.hex()}, not by the pinned root")
    envelope.verify(sealed, key=root, aad=AAD_TRUST)
    # 3.
    bundle = _read_bundle(sealed.payload)
    # 4.
    if bundle.version < current_version:
        raise RollbackError("trust bundle", f"version {bundle.version} is older than {current_version}")
    return bundle


def parse_trust(data: bytes) -> TrustBundle:
    """Bytes -> bundle whose signature has NOT been verified: for names of what the hub has verified and kept.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a bundle.
    """
    return _read_bundle(envelope.parse(data, what="trust bundle", limit=TRUST_BYTES).payload)


def _key_map(trusted: TrustedKey) -> dict[int, Any]:
    return {1: trusted.key.cose_key, 2: trusted.not_before_s, 3: trusted.not_after_s, 4: sorted(trusted.uses)}


def _read_bundle(payload: bytes) -> TrustBundle:
    what = "trust bundle"
    fields = cbor.fields(cbor.decode(payload, what=what, limit=TRUST_BYTES), what=what, known=frozenset(range(1, 6)))
    issuers = fields.get(4)
    if type(issuers) is not list or not issuers:
        raise MalformedError(what, "no list of issuers")
    if len(issuers) > TRUST_ISSUERS:
        raise LimitError(what, f"{len(issuers)} issuers, at most {TRUST_ISSUERS} are allowed")
    bundle = TrustBundle(
        version=cbor.seq(fields.get(1), "trust bundle.version"),
        issued_s=cbor.time_s(fields.get(2), "trust bundle.issued"),
        expires_s=cbor.time_s(fields.get(3), "trust bundle.expires"),
        issuers=tuple(_read_issuer(issuer, f"trust bundle.issuers[{at}]") for at, issuer in enumerate(issuers)),
        resolver=_read_resolver(fields[5]) if 5 in fields else None,
    )
    kids = [trusted.key.kid for issuer in bundle.issuers for trusted in issuer.keys]
    if len(set(kids)) != len(kids):
        raise MalformedError(what, "a key stands in it twice")
    if len({issuer.name for issuer in bundle.issuers}) != len(bundle.issuers):
        raise MalformedError(what, "two issuers have one name")
    return bundle


def _read_resolver(value: Any) -> bytes:
    """An X25519 public key with which a secret can be agreed: not of small order."""
    where = "trust bundle.resolver"
    resolver = cbor.sized_bytes(value, where, RESOLVER_BYTES)
    try:
        nacl.bindings.crypto_scalarmult(bytes(RESOLVER_BYTES), resolver)
    except nacl.exceptions.RuntimeError as error:
        raise MalformedError(where, "of small order") from error
    return resolver


def _read_issuer(value: Any, where: str) -> Issuer:
    fields = cbor.fields(value, what=where, known=frozenset({1, 2, 3}))
    keys = fields.get(3)
    if type(keys) is not list or not 1 <= len(keys) <= TRUST_KEYS_PER_ISSUER:
        raise MalformedError(where, f"not a list of 1 to {TRUST_KEYS_PER_ISSUER} keys")
    return Issuer(
        name=cbor.text(fields.get(1), f"{where}.name", 1, NAME_CHARS),
        region=cbor.text(fields.get(2), f"{where}.region", 1, NAME_CHARS),
        keys=tuple(_read_key(key, f"{where}.keys[{at}]") for at, key in enumerate(keys)),
    )


def _read_key(value: Any, where: str) -> TrustedKey:
    fields = cbor.fields(value, what=where, known=frozenset({1, 2, 3, 4}))
    uses = fields.get(4)
    if type(uses) is not list or not uses:
        raise MalformedError(f"{where}.uses", "not a list of uses")
    numbers = [cbor.uint(use, f"{where}.uses", least=1) for use in uses]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise MalformedError(f"{where}.uses", "not ascending")
    return TrustedKey(
        key=VerifyKey.from_cose(fields.get(1)),
        uses=frozenset(_USES.get(number, number) for number in numbers),
        not_before_s=cbor.time_s(fields.get(2), f"{where}.not_before"),
        not_after_s=cbor.time_s(fields.get(3), f"{where}.not_after"),
    )
