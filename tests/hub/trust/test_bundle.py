from dataclasses import replace

import pytest

from hub.trust.bundle import Bundle
from protocol import topics
from protocol.errors import MalformedError, ProtocolError, RollbackError, SignatureError, UnknownKeyError
from protocol.trust import seal_trust

DAY_S = 86_400


def newer(platform, **changes):
    platform.bundle = replace(platform.bundle, version=platform.bundle.version + 1, **changes)
    return platform.trust_bytes


def test_the_configured_bundle_is_announced(bundle, bundles, platform, broker):
    bundle.announce()
    assert broker.retained == {topics.TRUST: platform.trust_bytes}
    assert bundles == [platform.bundle]


def test_a_newer_bundle_is_in_force_everywhere_at_once(*, bundle, bundles, platform, broker):
    data = newer(platform)
    assert bundle.take(data)
    assert (bundle.current, bundles, broker.retained) == (platform.bundle, [platform.bundle], {topics.TRUST: data})


async def test_it_is_kept(bundle, platform, keeping, store):
    data = newer(platform)
    bundle.take(data)
    await keeping.step()
    assert [(kept.version, kept.data) for kept in await store.believed()] == [(8, data)]


def test_the_same_bundle_again_changes_nothing(bundle, bundles, platform):
    assert not bundle.take(platform.trust_bytes)
    assert bundles == []


def test_an_older_a_forked_and_a_foreign_bundle_are_refused(*, bundle, bundles, platform, broker):
    fork = seal_trust(replace(platform.bundle, expires_s=platform.bundle.expires_s + 1), key=platform.root)
    old = seal_trust(replace(platform.bundle, version=6), key=platform.root)
    foreign = seal_trust(replace(platform.bundle, version=9), key=platform.issuer)
    changed = bytearray(newer(platform))
    changed[-1] ^= 1
    platform.add_list()
    for data, error in (
        (fork, MalformedError),
        (old, RollbackError),
        (foreign, UnknownKeyError),
        (bytes(changed), SignatureError),
        (platform.token(), ProtocolError),
    ):
        with pytest.raises(error):
            bundle.take(data)
    assert (bundle.current.version, bundles, broker.retained) == (7, [], {})


def test_a_configured_bundle_of_another_root_does_not_start(*, platform, shelf, keeping, health, metrics, now):
    with pytest.raises(UnknownKeyError):
        Bundle(
            data=platform.trust_bytes,
            root=platform.issuer.public,
            board=shelf,
            keeping=keeping,
            on_trust=lambda _: None,
            health=health,
            metrics=metrics,
            now_ms=now.ms,
        )


def test_it_warns_at_30_7_and_1_days_once_each_and_says_so_until_there_is_another(
    *, bundle, platform, health, metrics, now, caplog
):
    said = []
    for days in range(101):
        now.s = platform.bundle.issued_s + days * DAY_S + 1
        before = len(caplog.records)
        bundle.watch()
        bundle.watch()
        told = health.troubles() | health.warnings()
        said += [(days, told["trust"]) for _ in caplog.records[before:]]
    assert said == [
        (70, "the trust bundle ends within 30 days"),
        (93, "the trust bundle ends within 7 days"),
        (99, "the trust bundle ends within 1 days"),
        (100, "the trust bundle, version 7, has ended"),
    ]
    assert b"gatelight_hub_trust_days_left -1.0" in metrics.text()
    bundle.take(newer(platform, expires_s=platform.bundle.expires_s + 100 * DAY_S))
    assert health.troubles() == health.warnings() == {}
    assert b"gatelight_hub_trust_days_left 99.0" in metrics.text()
