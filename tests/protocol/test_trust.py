from dataclasses import replace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import envelope
from protocol.envelope import AAD_TRUST
from protocol.errors import KeyUseError, LimitError, MalformedError, RollbackError, SignatureError, UnknownKeyError
from protocol.keys import Ed25519SigningKey
from protocol.limits import (
    INT64_MAX,
    NAME_CHARS,
    TIME_MAX_MS,
    TRUST_BYTES,
    TRUST_ISSUERS,
    TRUST_KEYS_PER_ISSUER,
)
from protocol.trust import (
    Issuer,
    KeyUse,
    TrustBundle,
    TrustedKey,
    days_left,
    open_trust,
    seal_trust,
    warning_due,
)
from protocol.vectors.raw import sign1, with_pairs

RESOLVER = X25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
DAY_S = 86_400


def many_keys(count, uses=(KeyUse.CODE,)):
    return tuple(
        TrustedKey(
            key=Ed25519SigningKey(seed.to_bytes(32, "big")).public,
            uses=frozenset(uses),
            not_before_s=0,
            not_after_s=TIME_MAX_MS // 1000,
        )
        for seed in range(1, count + 1)
    )


def of(*issuers):
    return TrustBundle(version=1, issued_s=0, expires_s=TIME_MAX_MS // 1000, issuers=issuers)


def test_a_bundle_comes_back_as_it_was_sealed(keys, bundle):
    data = seal_trust(bundle, key=keys.root)
    assert open_trust(data, root=keys.root.public) == bundle
    assert open_trust(data, root=keys.root.public, current_version=bundle.version) == bundle


def test_a_key_is_found_for_its_use_and_in_its_window_only(keys, bundle):
    kid, at_s = keys.issuer.public.kid, bundle.issued_s
    assert bundle.find(kid, use=KeyUse.CODE, at_s=at_s) == keys.issuer.public
    assert bundle.find(kid, use=KeyUse.STATUS, at_s=bundle.expires_s) == keys.issuer.public
    for use, when_s, what in (
        (KeyUse.BATCH_RECEIPT, at_s, "is not for batch_receipt"),
        (KeyUse.CODE, at_s - 1, "outside its window"),
        (KeyUse.CODE, at_s + 101, "outside its window"),
        (KeyUse.CODE, bundle.expires_s + 1, "bundle 7 has ended"),
    ):
        with pytest.raises(KeyUseError, match=what):
            bundle.find(kid, use=use, at_s=when_s)
    with pytest.raises(UnknownKeyError, match=f"no key {bytes(8).hex()}"):
        bundle.find(bytes(8), use=KeyUse.CODE, at_s=at_s)


def test_the_issuer_of_a_key_is_known_whatever_the_use_and_the_time(keys, bundle):
    province, platform = bundle.issuers
    assert bundle.issuer_of(keys.issuer.public.kid) is province
    assert bundle.issuer_of(keys.platform.public.kid) is platform
    assert bundle.issuer_of(keys.stranger.public.kid) is None


def test_a_bundle_names_the_resolver_or_not(keys, bundle):
    without = seal_trust(bundle, key=keys.root)
    assert open_trust(without, root=keys.root.public).resolver is None
    assert 5 not in cbor2.loads(envelope.parse(without, what="trust", limit=TRUST_BYTES).payload)
    resolving = replace(bundle, resolver=RESOLVER)
    assert open_trust(seal_trust(resolving, key=keys.root), root=keys.root.public) == resolving


@pytest.mark.parametrize(
    ("left_s", "days", "warning"),
    [
        (400 * DAY_S, 400, None),
        (30 * DAY_S + 1, 30, None),
        (30 * DAY_S, 30, 30),
        (7 * DAY_S + 1, 7, 30),
        (7 * DAY_S, 7, 7),
        (DAY_S + 1, 1, 7),
        (DAY_S, 1, 1),
        (DAY_S - 1, 0, 1),
        (0, 0, 1),
        (-1, -1, 0),
        (-9 * DAY_S, -9, 0),
    ],
)
def test_somebody_is_told_before_a_bundle_ends(bundle, left_s, days, warning):
    at_s = bundle.expires_s - left_s
    assert days_left(bundle, at_s) == days
    assert warning_due(bundle, at_s) == warning


def test_only_the_pinned_root_opens_it(keys, bundle):
    with pytest.raises(UnknownKeyError, match="not by the pinned root"):
        open_trust(seal_trust(bundle, key=keys.stranger), root=keys.root.public)
    data = seal_trust(bundle, key=keys.root)
    with pytest.raises(SignatureError):
        open_trust(data[:-1] + bytes([data[-1] ^ 1]), root=keys.root.public)


def test_a_version_never_goes_back(keys, bundle):
    data = seal_trust(bundle, key=keys.root)
    with pytest.raises(RollbackError, match="version 7 is older than 8"):
        open_trust(data, root=keys.root.public, current_version=8)


LIMITS = [
    ("issuers", of(*(Issuer(name=key.key.kid.hex(), region="r", keys=(key,)) for key in many_keys(TRUST_ISSUERS))),
     of(*(Issuer(name=key.key.kid.hex(), region="r", keys=(key,)) for key in many_keys(TRUST_ISSUERS + 1))), "trust bundle"),
    ("keys", of(Issuer(name="n", region="r", keys=many_keys(TRUST_KEYS_PER_ISSUER))),
     of(Issuer(name="n", region="r", keys=many_keys(TRUST_KEYS_PER_ISSUER + 1))), "trust bundle.issuers[0]"),
    ("no keys", of(Issuer(name="n", region="r", keys=many_keys(1))), of(Issuer(name="n", region="r", keys=())), "trust bundle.issuers[0]"),
    ("name", of(Issuer(name="平" * NAME_CHARS, region="r", keys=many_keys(1))),
     of(Issuer(name="n" * (NAME_CHARS + 1), region="r", keys=many_keys(1))), "trust bundle.issuers[0].name"),
    ("region", of(Issuer(name="n", region="r" * NAME_CHARS, keys=many_keys(1))),
     of(Issuer(name="n", region="", keys=many_keys(1))), "trust bundle.issuers[0].region"),
    ("uses", of(Issuer(name="n", region="r", keys=many_keys(1, KeyUse))),
     of(Issuer(name="n", region="r", keys=many_keys(1, ()))), "trust bundle.issuers[0].keys[0].uses"),
    ("version", replace(of(Issuer(name="n", region="r", keys=many_keys(1))), version=INT64_MAX),
     replace(of(Issuer(name="n", region="r", keys=many_keys(1))), version=INT64_MAX + 1), "trust bundle.version"),
    ("expires", of(Issuer(name="n", region="r", keys=many_keys(1))),
     replace(of(Issuer(name="n", region="r", keys=many_keys(1))), expires_s=TIME_MAX_MS), "trust bundle.expires"),
    ("key twice", of(Issuer(name="n", region="r", keys=many_keys(2))),
     of(Issuer(name="n", region="r", keys=many_keys(2)), Issuer(name="m", region="r", keys=many_keys(1))), "trust bundle"),
    ("name twice", of(*(Issuer(name=name, region="r", keys=(key,)) for name, key in zip("nm", many_keys(2), strict=True))),
     of(*(Issuer(name="n", region="r", keys=(key,)) for key in many_keys(2))), "trust bundle"),
    ("resolver", replace(of(Issuer(name="n", region="r", keys=many_keys(1))), resolver=RESOLVER),
     replace(of(Issuer(name="n", region="r", keys=many_keys(1))), resolver=RESOLVER[:31]), "trust bundle.resolver"),
    ("resolver of small order", of(Issuer(name="n", region="r", keys=many_keys(1))),
     replace(of(Issuer(name="n", region="r", keys=many_keys(1))), resolver=bytes(32)), "trust bundle.resolver"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "bad", "where"), LIMITS, ids=[row[0] for row in LIMITS])
def test_each_part_at_its_limit_and_one_above(keys, name, good, bad, where):
    assert open_trust(seal_trust(good, key=keys.root), root=keys.root.public) == good
    with pytest.raises(MalformedError) as caught:
        seal_trust(bad, key=keys.root)
    assert caught.value.where == where


def padded(bundle, length, keys):
    payload = envelope.parse(seal_trust(bundle, key=keys.root), what="trust bundle", limit=TRUST_BYTES).payload
    return sign1(with_pairs(payload, {65: bytes(length)}), key=keys.root, aad=AAD_TRUST)


def test_length_at_the_limit_and_one_above(keys, bundle):
    exact = 64_000 + TRUST_BYTES - len(padded(bundle, 64_000, keys))
    assert len(padded(bundle, exact, keys)) == TRUST_BYTES
    assert open_trust(padded(bundle, exact, keys), root=keys.root.public) == bundle
    with pytest.raises(LimitError, match=f"trust bundle: {TRUST_BYTES + 1} bytes"):
        open_trust(padded(bundle, exact + 1, keys), root=keys.root.public)


@pytest.mark.slow
def test_a_bundle_too_long_to_be_read_cannot_be_sealed(keys):
    """A key takes less room than the signature and what is around it: some payloads fit where the bundle does not."""
    every = many_keys(1200)

    def sealed(count):
        chunks = [every[at : min(at + TRUST_KEYS_PER_ISSUER, count)] for at in range(0, count, TRUST_KEYS_PER_ISSUER)]
        try:
            issuers = (Issuer(name=f"{at:04}", region="r", keys=chunk) for at, chunk in enumerate(chunks))
            return seal_trust(of(*issuers), key=keys.root)
        except LimitError:
            return None

    each = (len(sealed(336)) - len(sealed(176))) / 160
    most = int(TRUST_BYTES / each)
    made = [sealed(count) for count in range(most - 8, most + 8)]
    assert all(data is None or len(data) <= TRUST_BYTES for data in made)
    assert made[0] is not None
    assert made[-1] is None
