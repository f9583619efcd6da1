import pytest

from hub.trust.lists import Lists, Step
from protocol.errors import KeyUseError, MalformedError, ProtocolError, RollbackError, SignatureError, UnknownKeyError
from protocol.receipt import Receipt, seal_receipt
from protocol.statuslist import list_id, open_list

NOW_S = 1_795_000_000
URI = "https://status.example/lists/1"


@pytest.fixture
def held(lists, platform):
    """The platform's list, fetched at version 5."""
    platform.add_list(version=5)
    lists.name([URI])
    held = lists.find(list_id(URI))
    snapshot(held, platform)
    return held


def snapshot(held, platform, data=None):
    data = data or platform.token()
    Lists.take_snapshot(held, data, open_list(data, trust=platform.bundle, at_s=NOW_S), trust=platform.bundle)


def take(lists, platform, data):
    return lists.take_delta(data, trust=platform.bundle, at_s=NOW_S)[2]


def test_a_delta_that_continues_our_version_is_relayed(lists, platform, held):
    assert take(lists, platform, platform.delta((3, 1))) is Step.RELAY
    assert (held.version, held.snapshot_version, held.behind) == (6, 5, True)


def test_a_heartbeat_is_relayed_when_it_is_newer(lists, platform, held):
    assert take(lists, platform, platform.heartbeat()) is Step.NOTHING, "as old as the list"
    assert take(lists, platform, platform.heartbeat(issued_s=NOW_S + 10)) is Step.FRESH
    assert held.issued_s == NOW_S + 10
    assert take(lists, platform, platform.heartbeat(issued_s=NOW_S + 10)) is Step.NOTHING


def test_a_missed_delta_asks_for_the_list(lists, platform, held):
    platform.delta((1, 1))
    assert take(lists, platform, platform.delta((2, 1))) is Step.FETCH
    assert (held.version, held.wanted, held.behind) == (5, 7, True)
    snapshot(held, platform)
    assert (held.version, held.behind) == (7, False)


def test_a_heartbeat_of_a_version_that_we_miss_asks_for_the_list(lists, platform, held):
    platform.delta((1, 1))
    assert take(lists, platform, platform.heartbeat()) is Step.FETCH


def test_deltas_that_a_snapshot_overtook_are_nothing_and_then_we_go_on(lists, platform, held):
    first, second = platform.delta((1, 1)), platform.delta((2, 1))
    snapshot(held, platform)
    assert [take(lists, platform, data) for data in (first, second)] == [Step.NOTHING, Step.NOTHING]
    assert take(lists, platform, platform.delta((3, 1))) is Step.RELAY


def test_a_delta_before_the_first_snapshot_asks_for_it(lists, platform):
    platform.add_list(version=5)
    lists.name([URI])
    assert take(lists, platform, platform.delta((1, 1))) is Step.FETCH


def test_a_replayed_delta_is_refused(lists, platform, held):
    data = platform.delta((3, 1))
    take(lists, platform, data)
    with pytest.raises(RollbackError):
        take(lists, platform, data)
    assert held.version == 6


def test_an_old_delta_and_an_old_heartbeat_are_refused(lists, platform, held):
    old, old_beat = platform.delta((3, 1)), platform.heartbeat()
    take(lists, platform, old)
    take(lists, platform, platform.delta((4, 1)))
    take(lists, platform, platform.heartbeat(issued_s=NOW_S + 20))
    for data in (old, old_beat, platform.heartbeat(issued_s=NOW_S + 5)):
        with pytest.raises(RollbackError):
            take(lists, platform, data)
    assert (held.version, held.issued_s) == (7, NOW_S + 20)


def test_of_two_deltas_to_one_version_only_the_first_counts(lists, platform, held):
    fork = platform.delta((9, 1), from_version=5, to_version=6)
    take(lists, platform, platform.delta((3, 1)))
    with pytest.raises(RollbackError):
        take(lists, platform, fork)


def test_wrong_signers_are_refused(lists, platform, held):
    for key, error in (
        (platform.receipts, KeyUseError),
        (platform.root, UnknownKeyError),
        (platform.other, KeyUseError),
    ):
        with pytest.raises(error):
            take(lists, platform, platform.delta((3, 1), key=key, from_version=5, to_version=6))
    assert held.version == 5


def test_objects_of_other_kinds_are_refused(lists, platform, held):
    receipt = Receipt(device=bytes(8), epoch=bytes(8), seq=0, hash=bytes(32), at_ms=0)
    for data in (platform.token(), platform.trust_bytes, seal_receipt(receipt, key=platform.issuer), b"", b"\xff" * 90):
        with pytest.raises(ProtocolError):
            take(lists, platform, data)
    changed = bytearray(platform.delta((3, 1), from_version=5, to_version=6))
    changed[-1] ^= 1
    with pytest.raises(SignatureError):
        take(lists, platform, bytes(changed))


def test_a_delta_of_a_list_that_nobody_named_is_refused(lists, platform, held):
    platform.add_list("https://status.example/lists/2")
    with pytest.raises(UnknownKeyError, match="does not name"):
        take(lists, platform, platform.delta((3, 1), uri="https://status.example/lists/2"))


def test_a_change_beyond_the_list_is_refused_and_changes_nothing(lists, platform, held):
    data = platform.delta((held.entries, 1), from_version=5, to_version=6)
    with pytest.raises(MalformedError, match="beyond"):
        take(lists, platform, data)
    assert (held.version, held.wanted) == (5, 0)
    assert take(lists, platform, platform.delta((held.entries - 1, 1))) is Step.RELAY


def test_an_older_snapshot_is_refused(platform, held):
    old = platform.token()
    platform.delta((1, 1))
    snapshot(held, platform)
    with pytest.raises(RollbackError):
        snapshot(held, platform, old)


def test_a_snapshot_behind_the_deltas_does_not_take_the_version_back(lists, platform, held):
    take(lists, platform, platform.delta((1, 1)))
    behind = platform.token()
    take(lists, platform, platform.delta((2, 1)))
    snapshot(held, platform, behind)
    assert (held.version, held.snapshot_version, held.behind) == (7, 6, True)
    assert take(lists, platform, platform.delta((3, 1))) is Step.RELAY


def test_a_forked_snapshot_is_refused_and_a_renewed_one_is_not(platform, held):
    snapshot(held, platform, platform.token(issued_s=NOW_S + 60))
    assert held.issued_s == NOW_S + 60
    platform.lists_by_uri[URI].packed[0] = 1
    with pytest.raises(MalformedError, match="other content"):
        snapshot(held, platform)


def test_a_snapshot_of_another_list_or_issuer_is_refused(platform, held):
    platform.add_list("https://status.example/lists/2", version=9)
    with pytest.raises(MalformedError, match="another address"):
        snapshot(held, platform, platform.token("https://status.example/lists/2"))
    platform.add_list(version=9, key=platform.other)
    with pytest.raises(KeyUseError, match="signed by neighbour"):
        snapshot(held, platform)
    assert held.version == 5


def test_a_new_bundle_without_the_signer_takes_the_list_away_until_it_is_signed_again(lists, platform, held):
    assert lists.recheck(platform.bundle, at_s=NOW_S) == []
    assert lists.recheck(platform.bundle, at_s=NOW_S + 10**9) == [held]
    assert (held.data, held.behind, held.version) == (b"", True, 5)
    snapshot(held, platform)
    assert held.issuer == "city"


def test_lists_that_are_no_longer_named_are_gone(lists, platform, held):
    lists.add("https://status.example/lists/2")
    assert len(lists) == 2
    assert lists.name(["https://status.example/lists/2"]) == [held]
    assert [left.uri for left in lists] == ["https://status.example/lists/2"]
