"""Vectors of trust bundles."""  # noqa: INP001 - as raw.py

from typing import Any

import nacl.bindings

from protocol import envelope
from protocol.envelope import AAD_BATCH, AAD_TRUST
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, refused, sign1, signer, steps, with_pairs

_START_S, _END_S = 1_795_305_600, 1_826_841_600
_LATER_USE = 200
_RESOLVER = nacl.bindings.crypto_scalarmult_base(filler("resolver", 32))


def make_trust() -> list[Vector]:
    """Trust bundles, and what may be looked up in a good one."""
    bundle = _bundle()
    sealed = seal_trust(bundle, key=signer("root"))
    good = accepted(
        "two-issuers",
        "two issuers, three keys with their uses and windows",
        {"hex": sealed.hex(), "root": "root", "current_version": 7},
        plain(bundle),
        steps=steps(sealed, aad=AAD_TRUST),
        look_ups=_look_ups(),
    )
    resolving = _bundle(resolver=_RESOLVER)
    with_resolver = seal_trust(resolving, key=signer("root"))
    payload = envelope.parse(sealed, what="trust bundle", limit=4096).payload
    first = {1: "province", 2: "CN-11", 3: [_key("issuer", [1])]}
    small_order = {1: {1: 1, -1: 6, -2: bytes(32)}, 2: _START_S, 3: _END_S, 4: [1]}
    fields: list[tuple[str, str, dict[Any, Any]]] = [
        ("version-zero", "versions count from 1", {1: 0}),
        ("version-missing", "no version", {1: None}),
        ("issued-text", "a time as a text", {2: "2026"}),
        ("no-issuers", "no issuers", {4: []}),
        ("issuer-without-keys", "an issuer without keys", {4: [first | {3: []}]}),
        ("issuer-17-keys", "17 keys", {4: [first | {3: [_key("issuer", [1])] * 17}]}),
        ("name-empty", "an issuer without a name", {4: [first | {1: ""}]}),
        ("name-long", "a name of 33 characters", {4: [first | {1: "n" * 33}]}),
        ("uses-empty", "a key for nothing", {4: [first | {3: [_key("issuer", [])]}]}),
        ("uses-zero", "uses count from 1", {4: [first | {3: [_key("issuer", [0, 1])]}]}),
        (
            "uses-text",
            "a use as a text",
            {4: [first | {3: [{1: signer("issuer").public.cose_key, 2: _START_S, 3: _END_S, 4: ["code"]}]}]},
        ),
        (
            "later-uses-descending",
            "uses of a later version out of order",
            {4: [first | {3: [_key("issuer", [1, 200, 100])]}]},
        ),
        ("uses-twice", "a use twice", {4: [first | {3: [_key("issuer", [1, 1])]}]}),
        ("uses-descending", "uses out of order", {4: [first | {3: [_key("issuer", [2, 1])]}]}),
        ("key-twice", "one key under two issuers", {4: [first, first | {1: "other"}]}),
        ("name-twice", "two issuers of one name", {4: [first, first | {3: [_key("issuer-p256", [1])]}]}),
        ("resolver-short", "a resolver key of 31 bytes", {5: _RESOLVER[:31]}),
        ("resolver-text", "a resolver key as a text", {5: _RESOLVER.hex()[:32]}),
        ("resolver-small-order", "a resolver key with which everybody agrees on zeros", {5: bytes(32)}),
        ("key-of-small-order", "a public key with which anyone can sign", {4: [first | {3: [small_order]}]}),
        ("unknown-low-key", "unknown key 4 in an issuer", {4: [first | {4: 0}]}),
    ]
    later = _bundle(later=True)
    with_later = seal_trust(later, key=signer("root"))
    p521 = {1: {1: 2, -1: 3, -2: bytes(66), -3: bytes(66)}, 2: _START_S, 3: _END_S, 4: [1]}
    bad = [
        *((name, shows, _trust(with_pairs(payload, change)), 7, "malformed") for name, shows, change in fields),
        ("key-type-unknown", "a key on another curve",
         _trust(with_pairs(payload, {4: [first | {3: [p521]}]})), 7, "unsupported"),
        ("issuers-257", "257 issuers", _trust(with_pairs(payload, {4: [first] * 257})), 7, "limit"),
        ("older", "older than the one in force", sealed, 8, "rollback"),
        ("other-root", "signed by another root, under its own kid",
         seal_trust(bundle, key=signer("stranger")), 7, "unknown_key"),
        ("aad-batch", "signed as if it were a batch",
         sign1(payload, key=signer("root"), aad=AAD_BATCH), 7, "bad_signature"),
        ("signature-flipped", "one bit of the signature", sealed[:-1] + bytes([sealed[-1] ^ 1]), 7, "bad_signature"),
        ("trailing-byte", "a byte after the end", sealed + b"\x00", 7, "malformed"),
    ]  # fmt: skip
    return [
        good,
        accepted(
            "with-resolver",
            "the X25519 key to which look-ups are sealed, and a key that may sign their answers",
            {"hex": with_resolver.hex(), "root": "root", "current_version": 0},
            plain(resolving),
            steps=steps(with_resolver, aad=AAD_TRUST),
            look_ups=[*_look_ups(), _look_up("hub", "resolved", _START_S, None)],
        ),
        accepted(
            "with-later-uses",
            "a key for place codes and for a use of a later version, and one for such a use alone: that is passed over",
            {"hex": with_later.hex(), "root": "root", "current_version": 0},
            plain(later),
            steps=steps(with_later, aad=AAD_TRUST),
            look_ups=[
                *_look_ups(),
                _look_up("hub", "place", _START_S, None),
                _look_up("hub", "resolved", _START_S, "key_use"),
                _look_up("device", "code", _START_S, "key_use"),
            ],
        ),
        *(
            refused(name, shows, {"hex": data.hex(), "root": "root", "current_version": current}, reason)
            for name, shows, data, current, reason in bad
        ),
    ]


def _bundle(resolver: bytes | None = None, *, later: bool = False) -> TrustBundle:
    def trusted(name: str, *uses: int) -> TrustedKey:
        key = signer(name).public
        return TrustedKey(key=key, uses=frozenset(uses), not_before_s=_START_S, not_after_s=_END_S)

    province = Issuer(name="province", region="CN-11", keys=(trusted("issuer", KeyUse.CODE, KeyUse.STATUS),))
    platform = Issuer(
        name="平台",
        region="CN",
        keys=(
            trusted("issuer-p256", KeyUse.CODE),
            trusted("platform", KeyUse.BATCH_RECEIPT),
            *((trusted("hub", KeyUse.RESOLVED),) if resolver else ()),
            *((trusted("hub", KeyUse.PLACE, _LATER_USE), trusted("device", _LATER_USE)) if later else ()),
        ),
    )
    return TrustBundle(
        version=7, issued_s=_START_S, expires_s=_END_S + 1, issuers=(province, platform), resolver=resolver
    )


def _look_ups() -> list[dict[str, Any]]:
    made = [
        ("issuer", "code", _START_S, None),
        ("issuer", "code", _END_S, None),
        ("issuer", "status", _START_S, None),
        ("platform", "batch_receipt", _START_S, None),
        ("issuer", "code", _START_S - 1, "key_use"),
        ("issuer", "code", _END_S + 1, "key_use"),
        ("issuer", "batch_receipt", _START_S, "key_use"),
        ("platform", "code", _START_S, "key_use"),
        ("stranger", "code", _START_S, "unknown_key"),
    ]
    return [_look_up(*asked) for asked in made]


def _look_up(name: str, use: str, at_s: int, reason: str | None) -> dict[str, Any]:
    return {"kid": signer(name).public.kid.hex(), "use": use, "at_s": at_s, "reason": reason}


def _key(name: str, uses: list[int]) -> dict[int, Any]:
    return {1: signer(name).public.cose_key, 2: _START_S, 3: _END_S, 4: uses}


def _trust(payload: bytes) -> bytes:
    return sign1(payload, key=signer("root"), aad=AAD_TRUST)
