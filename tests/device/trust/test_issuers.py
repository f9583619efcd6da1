import tracemalloc
from dataclasses import replace

import pytest

from device import durable
from device.trust.clock import HINT_LASTS_S
from device.trust.issuers import load_bundle
from device.trust.refusals import ForkError
from protocol.errors import LimitError, ProtocolError, RollbackError, SignatureError, UnknownKeyError
from protocol.keys import Ed25519SigningKey
from protocol.trust import seal_trust


def test_a_bundle_is_believed_by_its_root_only(tmp_path, world):
    path = tmp_path / "trust.cose"
    path.write_bytes(seal_trust(world.bundle(), key=world.root))
    assert load_bundle(path, root=world.root.public) == world.bundle()
    with pytest.raises(ProtocolError):
        load_bundle(path, root=Ed25519SigningKey(bytes(32)).public)


def test_a_huge_file_is_not_read_whole(tmp_path, world):
    path = tmp_path / "trust.cose"
    with path.open("wb") as file:
        file.truncate(10**8)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            load_bundle(path, root=world.root.public)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_newer_bundle_is_in_force_at_once_and_after_a_restart(gate, platform):
    assert gate.issuers.current.version == 1
    assert gate.issuers.offer(platform.trust(version=2))
    assert gate.issuers.current.version == 2
    assert gate.restarted().issuers.current.version == 2


def test_the_same_bundle_again_is_no_news(gate, platform, monkeypatch):
    gate.issuers.offer(platform.trust(version=2))
    monkeypatch.setattr(durable, "write_atomic", None)
    assert not gate.issuers.offer(platform.trust(version=2))


def test_an_older_a_forked_and_a_forged_bundle_change_nothing(gate, platform):
    gate.issuers.offer(platform.trust(version=5))
    before = gate.issuers.current
    forged = seal_trust(platform.bundle(version=6), key=platform.hub)
    good = platform.trust(version=6)
    for data, error in (
        (platform.trust(version=4), RollbackError),
        (platform.trust(version=5, expires_s=platform.now_s + 5), ForkError),
        (forged, UnknownKeyError),
        (good[:-1] + bytes([good[-1] ^ 1]), SignatureError),
        (platform.policy(), ProtocolError),
        (platform.series().snapshot(), ProtocolError),
        *((good[:length], ProtocolError) for length in range(0, len(good), 7)),
    ):
        with pytest.raises(error):
            gate.issuers.offer(data)
    assert gate.issuers.current is before
    assert gate.restarted().issuers.current == before


def test_a_provisioned_bundle_that_is_newer_wins(gate, platform):
    gate.issuers.offer(platform.trust(version=2))
    (gate.state / "provisioned.cose").write_bytes(platform.trust(version=3))
    assert gate.restarted().issuers.current.version == 3


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_kept_bundle_that_is_damaged_is_set_aside(gate, platform, damage, caplog):
    gate.issuers.offer(platform.trust(version=2))
    path = gate.state / "believed" / "trust.cose"
    forged = seal_trust(platform.bundle(version=9), key=Ed25519SigningKey(bytes(32)))
    path.write_bytes(forged if damage is None else damage)
    again = gate.restarted()
    assert again.issuers.current.version == 1
    assert "trust.cose is not to be believed" in caplog.text
    assert not path.exists()
    assert path.with_name("trust.cose.bad").exists()
    assert again.issuers.offer(platform.trust(version=2))


def test_a_kept_bundle_serves_where_the_provisioned_one_is_damaged(gate, platform, caplog):
    gate.issuers.offer(platform.trust(version=2))
    (gate.state / "provisioned.cose").write_bytes(b"")
    assert gate.restarted().issuers.current.version == 2
    assert "provisioned bundle is not to be believed" in caplog.text
    (gate.state / "believed" / "trust.cose").unlink()
    with pytest.raises(ProtocolError):
        gate.restarted()


def test_a_bundle_raises_the_floor_of_the_clock(gate, platform):
    assert gate.clock.trusted
    gate.issuers.offer(platform.trust(version=2, issued_s=platform.now_s + 1))
    assert not gate.clock.trusted


def test_keys_are_judged_by_the_time_of_the_bundle_while_the_clock_is_not_to_be_believed(gate, platform):
    assert gate.issuers.judge_s == gate.now_s
    gate.synchronised = False
    gate.mono_s += HINT_LASTS_S + 1
    assert gate.issuers.judge_s == platform.now_s - 1000


def test_the_end_of_a_bundle_is_announced_at_30_7_and_1_days(gate, platform, caplog):
    ends_s = gate.issuers.current.expires_s
    said = []
    for days in (31, 30, 29, 8, 7, 2, 1, 0.5, -0.1):
        caplog.clear()
        gate.now_s = int(ends_s - days * 86_400)
        assert gate.issuers.warn() == gate.issuers.warning
        said.append((days, gate.issuers.warning, len(caplog.records)))
    assert said == [
        (31, None, 0), (30, 30, 1), (29, 30, 0), (8, 30, 0), (7, 7, 1), (2, 7, 0), (1, 1, 1), (0.5, 1, 0), (-0.1, 0, 1),
    ]  # fmt: skip
    gate.issuers.offer(platform.trust(version=2, expires_s=ends_s + 100 * 86_400))
    assert gate.issuers.warning is None


def test_a_power_cut_leaves_the_old_bundle_or_the_new_one(cuts, platform, open_gate):
    for cut in cuts():
        gate = open_gate(cut.root)
        gate.issuers.offer(platform.trust(version=2))
        with cut:
            gate.issuers.offer(platform.trust(version=3))
        again = open_gate(cut.root)
        assert again.issuers.current.version in ({3} if cut.completed else {2, 3})
        assert list(cut.root.rglob("*.bad")) == []
        again.issuers.offer(platform.trust(version=3))
        assert open_gate(cut.root).issuers.current.version == 3


def test_a_failing_disk_does_not_keep_a_key_in_force(gate, platform, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_atomic", full)
    withdrawn = replace(platform.bundle(version=2), issuers=platform.bundle().issuers[1:])
    assert gate.issuers.offer(seal_trust(withdrawn, key=platform.root))
    assert gate.issuers.current.issuer_of(platform.issuers["chongqing"][0].public.kid) is None
    assert gate.believed.failures == 1
