"""Keys and honest values that the tests of the protocol begin with."""

from types import SimpleNamespace

import pytest

from protocol.batch import Batch, BatchReceipt
from protocol.checkin import GENESIS, CheckIn, Evidence
from protocol.codes import Claims, StatusRef
from protocol.reasons import Reason
from protocol.receipt import Receipt
from protocol.terms import Clock, Colour, Direction, Kind, Scheme, Verdict
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey
from protocol.vectors.raw import KEYS

NOW_S = 1_795_334_400


@pytest.fixture(scope="session")
def keys():
    return SimpleNamespace(**{name.replace("-", "_"): named.key for name, named in KEYS.items()})


@pytest.fixture(scope="session")
def live():
    return Claims(subject=bytes(range(32)), issued_s=NOW_S, expires_s=NOW_S + 60, colour=Colour.GREEN)


@pytest.fixture(scope="session")
def card():
    status = StatusRef(index=7, uri="https://status.example/1")
    return Claims(subject=bytes(16), issued_s=NOW_S, expires_s=NOW_S + 10**7, status=status, kind=Kind.CARD)


@pytest.fixture(scope="session")
def first():
    return CheckIn(
        device=bytes(range(8)),
        epoch=b"epochrnd",
        seq=1,
        prev=GENESIS,
        at_ms=NOW_S * 1000,
        clock=Clock.TRUSTED,
        place="mall-1",
        gate="north",
        direction=Direction.IN,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        reason=Reason.OK,
        code=bytes(range(16)),
        scheme=Scheme.GATELIGHT,
        subject=bytes(range(32)),
        evidence=Evidence(issuer_kid=b"issuerid", code_issued_s=NOW_S, policy_version=3),
    )


@pytest.fixture(scope="session")
def receipt():
    return Receipt(device=bytes(range(8)), epoch=b"epochrnd", seq=5, hash=b"h" * 32, at_ms=NOW_S * 1000)


@pytest.fixture(scope="session")
def batch():
    return Batch(hub=b"hub-hub-", batch_id=bytes(range(16)), checkins=(b"one", b"two"))


@pytest.fixture(scope="session")
def batch_receipt():
    rejected = ((0, Reason.BAD_SIGNATURE), (7, Reason.MALFORMED))
    return BatchReceipt(batch_id=bytes(range(16)), stored=8, rejected=rejected, at_ms=NOW_S * 1000)


@pytest.fixture(scope="session")
def bundle(keys):
    def trusted(key, *uses):
        return TrustedKey(key=key.public, uses=frozenset(uses), not_before_s=NOW_S, not_after_s=NOW_S + 100)

    province = Issuer(name="province", region="CN-11", keys=(trusted(keys.issuer, KeyUse.CODE, KeyUse.STATUS),))
    platform = Issuer(name="平台", region="CN", keys=(trusted(keys.platform, KeyUse.BATCH_RECEIPT),))
    return TrustBundle(version=7, issued_s=NOW_S, expires_s=NOW_S + 50, issuers=(province, platform))
