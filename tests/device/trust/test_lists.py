import os
import random
import tracemalloc
from dataclasses import replace

import pytest

from device import durable
from device.trust.clock import HINT_LASTS_S
from device.trust.held import AHEAD_S
from device.trust.listfiles import LOG_DELTAS
from device.trust.lists import GONE_S, LISTS
from device.trust.outcomes import Applied, Behind, Ignored
from device.trust.refusals import AheadError, ForkError, RoomError, TopicError
from protocol.errors import KeyUseError, LimitError, MalformedError, ProtocolError, SignatureError, UnknownKeyError
from protocol.keys import Ed25519SigningKey
from protocol.limits import STATUS_LIST_BYTES
from protocol.statuslist import StatusDelta, seal_delta
from protocol.terms import Colour
from protocol.trust import KeyUse, TrustedKey

STALE_S = 14_400


def files(gate):
    return sorted(path.name for path in (gate.state / "believed" / "lists").rglob("*") if path.is_file())


def test_a_person_who_turns_red_is_red_at_the_next_look_up(gate, platform):
    series = platform.series()
    assert gate.colour(series, 7) is None
    assert gate.lists.offer_snapshot(series.snapshot()) == Applied(series.id, 1)
    assert gate.entry(series, 7).version == 1
    assert gate.colour(series, 7) is Colour.GREEN
    assert gate.lists.offer_delta(series.delta({7: 1, 9: 2, 4095: 3})) == Applied(series.id, 2)
    assert [gate.colour(series, index) for index in (6, 7, 8, 9, 4095)] == [
        Colour.GREEN, Colour.RED, Colour.GREEN, Colour.YELLOW, Colour.NOTICE,
    ]  # fmt: skip
    assert gate.entry(series, 7).version == 2
    assert gate.lists.versions == {bytes.fromhex(series.id): 2}
    assert gate.lists.version_of(series.id) == 2


def test_an_index_beyond_the_list_is_not_known(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    assert gate.colour(series, 4095) is Colour.GREEN
    assert gate.entry(series, 4096) is None
    assert gate.entry(series, 2**63) is None


@pytest.mark.parametrize(
    ("after_s", "known"), [(0, True), (STALE_S, True), (STALE_S + 1, False), (-AHEAD_S, True), (-AHEAD_S - 1, False)]
)
def test_a_list_is_known_from_five_minutes_before_to_its_age_by_policy(gate, platform, after_s, known):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    assert (gate.entry(series, 7, now_s=gate.now_s + after_s) is not None) is known
    # Another policy, another age.
    assert gate.entry(series, 7, now_s=gate.now_s + after_s, stale_s=STALE_S + 1) is not None or after_s < -AHEAD_S


def test_a_heartbeat_keeps_a_list_fresh_and_never_makes_it_older(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    gate.now_s += STALE_S + 1
    assert gate.entry(series, 7) is None
    series.now_s = gate.now_s
    assert gate.lists.offer_delta(series.heartbeat()) == Applied(series.id, 1)
    assert gate.entry(series, 7) is not None
    assert gate.lists.offer_delta(series.heartbeat(issued_s=series.now_s - 5000)) == Ignored("older")
    assert gate.lists.offer_delta(series.heartbeat()) == Ignored("same")
    assert gate.entry(series, 7, now_s=gate.now_s + STALE_S) is not None


def test_a_token_that_expires_is_known_until_then_or_for_longer_where_it_is_confirmed(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot(expires_s=gate.now_s + 100))
    assert gate.entry(series, 7, now_s=gate.now_s + 100) is not None
    assert gate.entry(series, 7, now_s=gate.now_s + 101) is None
    gate.lists.offer_delta(series.heartbeat(issued_s=gate.now_s + 50))
    assert gate.entry(series, 7, now_s=gate.now_s + 101) is not None


def test_a_list_counts_for_codes_of_its_own_issuer_only(gate, platform):
    """Issuer B signs a list with issuer A's address, in which everybody is red, or everybody green."""
    ours, theirs = platform.series(), platform.series(issuer="jiangxi", packed=bytearray(b"\x55" * 1024), version=900)
    gate.lists.offer_snapshot(ours.snapshot())
    gate.lists.offer_delta(ours.delta({7: 1}))
    assert gate.lists.offer_snapshot(theirs.snapshot()) == Applied(theirs.id, 900)
    assert gate.colour(ours, 7) is Colour.RED
    assert gate.colour(ours, 8) is Colour.GREEN
    assert gate.colour(theirs, 8) is Colour.RED
    gate.lists.offer_delta(theirs.delta({7: 0}))
    assert gate.colour(ours, 7) is Colour.RED
    assert gate.lists.offer_delta(ours.delta({9: 1})) == Applied(ours.id, 3)
    again = gate.restarted()
    assert [again.colour(ours, index) for index in (7, 8, 9)] == [Colour.RED, Colour.GREEN, Colour.RED]
    assert [again.colour(theirs, index) for index in (7, 8, 9)] == [Colour.GREEN, Colour.RED, Colour.RED]


def test_a_code_of_nobody_we_know_has_no_list(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    assert gate.entry(series, 7, issuer=Ed25519SigningKey(bytes(32))) is None


def test_a_delta_is_only_applied_to_the_version_where_it_begins(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(first := series.snapshot())
    second, third, fourth = (series.delta({index: 1}) for index in (1, 2, 3))
    assert gate.lists.offer_delta(third) == Behind(series.id, 3)
    assert gate.colour(series, 2) is Colour.GREEN
    assert gate.lists.offer_delta(second) == Applied(series.id, 2)
    # The third came before its time and was kept.
    assert gate.lists.version_of(series.id) == 3
    assert gate.lists.offer_delta(second) == Ignored("older")
    assert gate.lists.offer_snapshot(first) == Ignored("older")
    assert gate.lists.offer_delta(fourth) == Applied(series.id, 4)
    assert [gate.colour(series, index) for index in range(5)] == [0, 1, 1, 1, 0]
    assert gate.restarted().lists.version_of(series.id) == 4


def test_a_delta_over_several_versions_that_overlaps_is_not_applied(gate, platform):
    series = platform.series(version=5)
    gate.lists.offer_snapshot(series.snapshot())
    over = seal_delta(
        StatusDelta(uri=series.uri, from_version=3, to_version=9, issued_s=series.now_s, changes=((1, 1),)),
        key=series.key,
    )
    assert gate.lists.offer_delta(over) == Behind(series.id, 9)
    assert gate.colour(series, 1) is Colour.GREEN
    leap = seal_delta(
        StatusDelta(uri=series.uri, from_version=5, to_version=9, issued_s=series.now_s, changes=((1, 1),)),
        key=series.key,
    )
    assert gate.lists.offer_delta(leap) == Applied(series.id, 9)
    assert gate.lists.offer_delta(over) == Ignored("older")


def test_what_came_while_the_whole_list_was_on_its_way_follows_it(gate, platform):
    series = platform.series()
    early = series.delta({1: 1})
    whole = series.snapshot()
    assert gate.lists.offer_delta(early) == Behind(series.id, 2)
    for index in range(2, 12):
        assert isinstance(gate.lists.offer_delta(series.delta({index: 1})), Behind)
    assert gate.lists.offer_snapshot(whole) == Applied(series.id, 12)
    assert [gate.colour(series, index) for index in range(13)] == [0, *[1] * 11, 0]
    assert gate.restarted().lists.version_of(series.id) == 12


def test_the_same_version_has_the_same_entries(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    with pytest.raises(ForkError, match="another one of version 1"):
        gate.lists.offer_snapshot(platform.series(packed=bytearray(b"\x55" * 1024)).snapshot())
    # The same list, signed anew, confirms the version.
    assert gate.lists.offer_snapshot(series.snapshot()) == Ignored("same")
    gate.now_s += 1
    assert gate.lists.offer_snapshot(series.snapshot(issued_s=gate.now_s)) == Applied(series.id, 1)
    assert gate.entry(series, 1, now_s=gate.now_s + STALE_S) is not None


def test_another_delta_to_a_known_version_is_a_fork(gate, platform):
    series, other = platform.series(), platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    gate.lists.offer_delta(series.delta({7: 1}))
    with pytest.raises(ForkError, match="another one to version 2"):
        gate.lists.offer_delta(other.delta({7: 0, 8: 1}))
    assert gate.colour(series, 7) is Colour.RED
    again = gate.restarted()
    with pytest.raises(ForkError):
        again.lists.offer_delta(replace(other, version=1).delta({9: 1}))


def test_only_a_key_for_lists_of_a_known_issuer_counts(gate, platform):
    series = platform.series()
    stranger = replace(series, key=Ed25519SigningKey(bytes(32)))
    for data in (stranger.snapshot(),):
        with pytest.raises(UnknownKeyError):
            gate.lists.offer_snapshot(data)
    with pytest.raises(UnknownKeyError):
        gate.lists.offer_delta(stranger.heartbeat())
    with pytest.raises(SignatureError):
        gate.lists.offer_snapshot(series.snapshot()[:-1] + b"\0")
    bundle = platform.bundle(version=2)
    trusted = bundle.issuers[0].keys[0]
    codes_only = TrustedKey(key=trusted.key, uses=frozenset({KeyUse.CODE}), not_before_s=0, not_after_s=2 * 10**9)
    gate.issuers.offer(
        platform.trust(version=2, issuers=(replace(bundle.issuers[0], keys=(codes_only,)), bundle.issuers[1]))
    )
    with pytest.raises(KeyUseError):
        gate.lists.offer_snapshot(series.snapshot())
    assert gate.lists.versions == {}
    assert files(gate) == []


def test_a_list_or_delta_on_the_topic_of_another_is_refused(gate, platform):
    series, other = platform.series(), platform.series("https://status.example/2")
    gate.lists.offer_snapshot(series.snapshot(), name=series.id)
    with pytest.raises(TopicError):
        gate.lists.offer_snapshot(other.snapshot(), name=series.id)
    with pytest.raises(TopicError):
        gate.lists.offer_delta(series.delta({1: 1}), name=other.id)
    assert gate.lists.versions == {bytes.fromhex(series.id): 1}


def test_what_is_signed_ahead_of_now_is_refused_by_a_clock_that_is_to_be_believed(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    late_s = gate.now_s + AHEAD_S + 1
    with pytest.raises(AheadError):
        gate.lists.offer_delta(series.heartbeat(issued_s=late_s))
    with pytest.raises(AheadError):
        gate.lists.offer_snapshot(series.snapshot(issued_s=late_s, version=2))
    gate.lists.offer_delta(series.heartbeat(issued_s=gate.now_s + AHEAD_S))
    # The floor of the clock never goes beyond now.
    assert gate.clock.trusted
    gate.synchronised = False
    gate.mono_s += HINT_LASTS_S + 1
    assert isinstance(gate.lists.offer_delta(series.heartbeat(issued_s=late_s)), Applied)
    assert gate.entry(series, 1) is None


def test_truncated_and_mutated_bytes_change_nothing(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    whole, delta = replace(series, version=2).snapshot(), series.delta({1: 1})
    for data, offer in ((whole, gate.lists.offer_snapshot), (delta, gate.lists.offer_delta)):
        for length in range(len(data)):
            with pytest.raises(ProtocolError):
                offer(data[:length])
        for at in range(len(data)):
            with pytest.raises(ProtocolError):
                offer(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(ProtocolError):
        gate.lists.offer_snapshot(delta)
    with pytest.raises(ProtocolError):
        gate.lists.offer_delta(whole)
    with pytest.raises(LimitError):
        gate.lists.offer_snapshot(bytes(STATUS_LIST_BYTES + 1))
    assert gate.lists.versions == {bytes.fromhex(series.id): 1}


def test_a_delta_beyond_the_list_changes_nothing(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    beyond = StatusDelta(
        uri=series.uri, from_version=1, to_version=2, issued_s=series.now_s, changes=((1, 1), (4096, 1))
    )
    with pytest.raises(MalformedError):
        gate.lists.offer_delta(seal_delta(beyond, key=series.key))
    assert gate.entry(series, 1).version == 1
    assert gate.colour(series, 1) is Colour.GREEN
    assert gate.lists.offer_delta(series.delta({1: 1})) == Applied(series.id, 2)


def test_a_restart_without_the_network_knows_everything(gate, platform):
    series, other = platform.series(), platform.series("https://status.example/2", issuer="jiangxi")
    gate.lists.offer_snapshot(series.snapshot())
    gate.lists.offer_snapshot(other.snapshot())
    for index in range(20):
        gate.lists.offer_delta(series.delta({index * 3: 1 + index % 3}))
    gate.now_s = series.now_s = gate.now_s + 1000
    gate.lists.offer_delta(series.heartbeat())
    again = gate.restarted()
    assert again.lists.versions == gate.lists.versions == {bytes.fromhex(series.id): 21, bytes.fromhex(other.id): 1}
    statuses = series.colours()
    assert [again.colour(series, index) for index in range(100)] == [statuses.get(index) for index in range(100)]
    assert again.entry(series, 1, now_s=gate.now_s + STALE_S) is not None
    assert again.entry(other, 1, now_s=gate.now_s + STALE_S) is None
    assert again.lists.offer_delta(series.delta({1: 1})) == Applied(series.id, 22)
    assert gate.believed.failures == 0


def test_folders_that_a_full_disk_left_empty_keep_no_list_from_being_loaded(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    for number in range(LISTS):
        (gate.state / "believed" / "lists" / f"{number:033}").mkdir()
    assert gate.restarted().lists.version_of(series.id) == 1


def test_heartbeats_are_written_at_most_every_five_minutes(gate, platform, monkeypatch):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    written = []
    monkeypatch.setattr(durable, "write_atomic", lambda path, data: written.append(path.name))
    for after_s in range(0, 1201, 20):
        gate.now_s = series.now_s + after_s
        gate.lists.offer_delta(series.heartbeat(issued_s=gate.now_s))
    assert written == ["heartbeat"] * 4


def test_a_whole_list_takes_the_place_of_a_long_log(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    for index in range(LOG_DELTAS):
        gate.lists.offer_delta(series.delta({index: 1}))
    assert gate.lists.wanting == frozenset()
    gate.lists.offer_delta(series.delta({1000: 1}))
    assert gate.lists.wanting == {series.id}
    assert gate.restarted().lists.wanting == {series.id}
    # The version is the one that is held: nothing to do for memory, but for the disk.
    assert gate.lists.offer_snapshot(series.snapshot()) == Ignored("same")
    assert gate.lists.wanting == frozenset()
    assert files(gate) == ["snapshot"]
    again = gate.restarted()
    assert again.lists.version_of(series.id) == LOG_DELTAS + 2
    assert again.colour(series, 1000) is Colour.RED


def test_a_whole_list_that_is_a_little_older_shortens_the_log_too(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    for index in range(LOG_DELTAS + 1):
        if index == 200:
            middle, forged = series.snapshot(), series.snapshot(packed=bytes(1024))
        gate.lists.offer_delta(series.delta({index: 1}))
    # One that does not lead to what is held is no help.
    assert gate.lists.offer_snapshot(forged) == Ignored("older")
    assert gate.lists.wanting == {series.id}
    assert gate.lists.offer_snapshot(middle) == Ignored("kept")
    assert gate.lists.wanting == frozenset()
    assert gate.lists.offer_delta(series.delta({1000: 1})) == Applied(series.id, LOG_DELTAS + 3)
    again = gate.restarted()
    assert again.lists.version_of(series.id) == LOG_DELTAS + 3
    assert [again.colour(series, index) for index in (0, 199, 200, 256, 257, 1000)] == [1, 1, 1, 1, 0, 1]
    assert again.lists.wanting == frozenset()


def test_a_log_without_a_whole_list_is_bounded(gate, platform, monkeypatch):
    monkeypatch.setattr("device.trust.listfiles._LOG_BOUND_BYTES", 2000)
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    for index in range(24):
        assert isinstance(gate.lists.offer_delta(series.delta({index: 1})), Applied)
    log = next((gate.state / "believed" / "lists").glob("*/deltas"))
    assert 1800 < log.stat().st_size <= 2000
    assert gate.lists.wanting == {series.id}
    assert gate.colour(series, 23) is Colour.RED
    assert 1 < gate.restarted().lists.version_of(series.id) < 25
    assert gate.lists.offer_snapshot(series.snapshot()) == Ignored("same")
    assert gate.restarted().lists.version_of(series.id) == 25


@pytest.mark.parametrize("damage", ["torn", "flipped", "foreign", "gap"])
def test_a_log_counts_up_to_what_is_wrong_in_it(gate, platform, damage, caplog):
    series, other = platform.series(), platform.series("https://status.example/2")
    gate.lists.offer_snapshot(series.snapshot())
    gate.lists.offer_snapshot(other.snapshot())
    for index in range(5):
        gate.lists.offer_delta(series.delta({index: 1}))
    folder = next(path for path in (gate.state / "believed" / "lists").iterdir() if path.name.startswith(series.id))
    log = folder / "deltas"
    data = log.read_bytes()
    if damage == "torn":
        log.write_bytes(data[:-3])
    elif damage == "flipped":
        log.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    else:
        stranger = other.delta({1: 1}) if damage == "foreign" else replace(series, version=9).delta({1: 1})
        last = len(data) // 5
        log.write_bytes(data[: last * 4] + len(stranger).to_bytes(4, "big") + data[4:12] + stranger)
    again = gate.restarted()
    assert again.lists.version_of(series.id) == 5
    assert "was cut off after 4 deltas" in caplog.text
    assert log.stat().st_size == len(data) // 5 * 4
    # And it goes on from there.
    assert isinstance(again.lists.offer_delta(series.delta({9: 1})), Behind)
    assert again.lists.offer_snapshot(series.snapshot()) == Applied(series.id, 7)
    assert gate.restarted().lists.version_of(series.id) == 7


@pytest.mark.parametrize("damage", [b"", b"\0" * 5, b"\0" * 8, None])
def test_a_whole_list_that_is_damaged_is_set_aside_and_wanted_again(gate, platform, damage):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    gate.lists.offer_delta(series.delta({1: 1}))
    path = next((gate.state / "believed" / "lists").glob("*/snapshot"))
    path.write_bytes(path.read_bytes()[:-1] + b"\0" if damage is None else damage)
    again = gate.restarted()
    assert again.lists.versions == {}
    assert again.entry(series, 1) is None
    assert files(gate) == ["deltas", "snapshot.bad"]
    assert again.lists.offer_snapshot(series.snapshot()) == Applied(series.id, 2)
    assert files(gate) == ["snapshot", "snapshot.bad"]
    assert gate.restarted().colour(series, 1) is Colour.RED


def test_a_list_in_the_folder_of_another_is_not_believed(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    folder = next((gate.state / "believed" / "lists").iterdir())
    folder.rename(folder.with_name(f"{'0' * 16}-{'0' * 16}"))
    (gate.state / "believed" / "lists" / "stray").write_bytes(b"")
    assert gate.restarted().lists.versions == {}


def test_a_forged_heartbeat_on_disk_confirms_nothing(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    folder = next((gate.state / "believed" / "lists").iterdir())
    stamp = gate.now_s.to_bytes(8, "big")
    later_s = gate.now_s + STALE_S
    for forged in (
        replace(series, key=Ed25519SigningKey(bytes(32))).heartbeat(issued_s=later_s),
        platform.series(issuer="jiangxi").heartbeat(issued_s=later_s),
        platform.series(version=2).heartbeat(issued_s=later_s),
        b"",
    ):
        (folder / "heartbeat").write_bytes(stamp + forged)
        again = gate.restarted()
        assert again.entry(series, 1) is not None
        assert again.entry(series, 1, now_s=later_s + 1) is None


class BrokenDisk:
    """A FAKE of a disk that has become read-only."""

    def __getattr__(self, name):
        if name in {"open", "replace", "unlink", "mkdir", "rmdir"}:
            return self._fail
        return getattr(os, name)

    def _fail(self, *_):
        raise OSError(30, "Read-only file system")


def test_a_failing_disk_never_keeps_a_change_out_of_force(gate, platform, monkeypatch):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    before = gate.restarted()
    monkeypatch.setattr(durable, "os", BrokenDisk())
    assert gate.lists.offer_delta(series.delta({7: 1})) == Applied(series.id, 2)
    assert gate.lists.offer_delta(series.delta({8: 1})) == Applied(series.id, 3)
    other = platform.series("https://status.example/2")
    assert gate.lists.offer_snapshot(other.snapshot()) == Applied(other.id, 1)
    assert gate.colour(series, 8) is Colour.RED
    # After the first failure the log has a gap, and writing on behind it would be of no use.
    assert gate.believed.failures == 2
    assert gate.lists.wanting == {series.id, other.id}
    monkeypatch.undo()
    assert gate.restarted().lists.versions == before.lists.versions
    gate.lists.offer_snapshot(series.snapshot())
    assert gate.lists.wanting == {other.id}
    assert gate.restarted().colour(series, 8) is Colour.RED


def test_lists_are_bounded_and_one_that_nobody_confirms_makes_room(gate, platform):
    serieses = [platform.series(f"https://status.example/{number}") for number in range(LISTS + 1)]
    for series in serieses[:-1]:
        gate.lists.offer_snapshot(series.snapshot())
    assert not gate.lists.has_room
    with pytest.raises(RoomError):
        gate.lists.offer_snapshot(serieses[-1].snapshot())
    assert gate.lists.offer_delta(serieses[5].delta({1: 1})) == Applied(serieses[5].id, 2)
    gate.now_s += GONE_S + 1
    for number, series in enumerate(serieses):
        series.now_s = gate.now_s
        if number not in {3, LISTS}:
            gate.lists.offer_delta(series.heartbeat())
    assert gate.lists.has_room
    gate.lists.offer_snapshot(serieses[-1].snapshot())
    assert gate.lists.version_of(serieses[3].id) == 0
    assert gate.lists.version_of(serieses[-1].id) == 1
    assert gate.restarted().lists.versions == gate.lists.versions


def test_keys_roll_over_without_a_grey_moment(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    old, new = series.key, Ed25519SigningKey(b"n" * 32)
    platform.issuers["chongqing"] = [old, new]
    gate.issuers.offer(platform.trust(version=2))
    assert gate.lists.trust_changed() == ()
    series.key = new
    gate.lists.offer_delta(series.delta({7: 1}))
    platform.issuers["chongqing"] = [new]
    gate.issuers.offer(platform.trust(version=3))
    assert gate.lists.trust_changed() == ()
    assert gate.colour(series, 7) is Colour.RED
    # The whole list on disk is the old key's: it would not load again.
    assert gate.lists.wanting == {series.id}
    gate.lists.offer_snapshot(series.snapshot())
    assert gate.restarted().colour(series, 7) is Colour.RED


def test_a_withdrawn_key_takes_what_it_signed_with_it(gate, platform):
    series, other = platform.series(), platform.series("https://status.example/2", issuer="jiangxi")
    gate.lists.offer_snapshot(series.snapshot())
    gate.lists.offer_snapshot(other.snapshot())
    platform.issuers["chongqing"] = [Ed25519SigningKey(b"n" * 32)]
    gate.issuers.offer(platform.trust(version=2))
    assert gate.lists.trust_changed() == (series.id,)
    assert gate.lists.versions == {bytes.fromhex(other.id): 1}
    assert gate.restarted().lists.versions == {bytes.fromhex(other.id): 1}
    assert files(gate) == ["snapshot"]


def test_a_key_that_passes_to_another_issuer_takes_no_list_with_it(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    platform.issuers = {"chongqing": platform.issuers["jiangxi"], "jiangxi": platform.issuers["chongqing"]}
    gate.issuers.offer(platform.trust(version=2))
    assert gate.lists.trust_changed() == (series.id,)
    assert gate.entry(series, 1) is None


def test_a_key_whose_window_has_ended_since_does_not_undo_what_it_signed(gate, platform):
    series = platform.series()
    gate.lists.offer_snapshot(series.snapshot())
    gate.lists.offer_delta(series.delta({7: 1}))
    gate.now_s += 10**7 + 1
    with pytest.raises(KeyUseError):
        gate.lists.offer_delta(series.delta({8: 1}))
    again = gate.restarted()
    assert again.colour(series, 7, stale_s=2 * 10**7) is Colour.RED


def test_signed_lists_are_not_kept_in_memory(gate, platform):
    """33.5 million people are 32 lists, 8.4 MB: whatever else stays of a list must be small."""
    entries = random.Random(1).randbytes(2**18)
    tokens = [platform.series(f"https://status.example/{n}", packed=bytearray(entries)).snapshot() for n in range(4)]
    tracemalloc.start()
    try:
        for token in tokens:
            gate.lists.offer_snapshot(token)
        assert tracemalloc.get_traced_memory()[0] < 4 * (2**18 + 8 * 1024)
        again = gate.restarted()
        assert len(again.lists.versions) == 4
        assert tracemalloc.get_traced_memory()[0] < 8 * (2**18 + 8 * 1024) + 64 * 1024
    finally:
        tracemalloc.stop()
