"""The power fails before, or within, every single call that changes the disk: each list is at a version that its
issuer signed, whole, and never before the last one that was on disk.
"""

import pytest

from device.trust.listfiles import LOG_DELTAS
from protocol.statuslist import StatusList


def check(gate, series, history, least):
    """The list is exactly one of those that its issuer signed, not older than `least`."""
    version = gate.lists.version_of(series.id)
    assert version >= least
    if version:
        held = StatusList(history[version])
        found = [gate.colour(series, index, stale_s=10**6) for index in range(64)]
        assert found == [held.get(index) for index in range(64)]
    assert list(gate.state.rglob("*.bad")) == []
    return version


def catch_up(gate, series):
    gate.lists.offer_snapshot(series.snapshot())
    assert gate.lists.version_of(series.id) == series.version
    assert gate.restarted().lists.version_of(series.id) == series.version


class Story:
    """A list whose every version is remembered, and the last that the gate had on disk."""

    def __init__(self, platform, gate):
        self.series, self.gate = platform.series(), gate
        self.history = {1: bytes(self.series.packed)}
        self.kept = 0

    def whole(self):
        self.gate.lists.offer_snapshot(self.series.snapshot())
        self.kept = self.series.version

    def change(self, *, missed=False):
        index = self.series.version
        data = self.series.delta({index: 1 + index % 3})
        self.history[self.series.version] = bytes(self.series.packed)
        if not missed:
            self.gate.lists.offer_delta(data)
            self.kept = self.series.version

    def beat(self):
        self.gate.now_s = self.series.now_s = self.series.now_s + 1000
        self.gate.lists.offer_delta(self.series.heartbeat())


def first_list(story):
    story.whole()


def first_delta(story):
    story.change()


def later_delta(story):
    story.change()


def heartbeat(story):
    story.beat()


def catching_up(story):
    story.change(missed=True)
    story.whole()


def everything(story):
    for step in (story.whole, story.change, story.beat, story.change, story.whole, story.change, story.beat):
        step()


STORIES = [
    (first_list, ()),
    (first_delta, ("whole",)),
    (later_delta, ("whole", "change", "change")),
    (heartbeat, ("whole", "change", "beat")),
    (catching_up, ("whole", "change", "beat")),
    (everything, ()),
]


@pytest.mark.slow
@pytest.mark.parametrize(("act", "before"), STORIES, ids=[act.__name__ for act, _ in STORIES])
def test_a_list_is_at_the_old_version_or_the_new_one(cuts, platform, open_gate, act, before):
    for cut in cuts():
        story = Story(platform, open_gate(cut.root))
        for step in before:
            getattr(story, step)()
        with cut:
            act(story)
        again = open_gate(cut.root)
        again.now_s = story.gate.now_s
        version = check(again, story.series, story.history, story.kept)
        assert version == story.series.version or not cut.completed
        catch_up(again, story.series)


@pytest.mark.slow
@pytest.mark.parametrize("older", [0, 3])
def test_a_log_is_replaced_by_a_whole_list_at_once(cuts, platform, open_gate, older, monkeypatch):
    monkeypatch.setattr("device.trust.listfiles.LOG_DELTAS", 5)
    assert LOG_DELTAS > 5
    for cut in cuts():
        story = Story(platform, open_gate(cut.root))
        story.whole()
        for at in range(8):
            if at == 8 - older:
                whole = story.series.snapshot()
            story.change()
        assert story.gate.lists.wanting
        with cut:
            story.gate.lists.offer_snapshot(whole if older else story.series.snapshot())
            assert not story.gate.lists.wanting
        again = open_gate(cut.root)
        check(again, story.series, story.history, 9)
        assert not (cut.completed and again.lists.wanting)
        catch_up(again, story.series)


@pytest.mark.slow
def test_a_list_is_dropped_in_as_many_goes_as_it_takes(cuts, platform, open_gate):
    other = platform.issuers["jiangxi"]
    for cut in cuts():
        platform.issuers = {"chongqing": platform.issuers["chongqing"], "jiangxi": other}
        story = Story(platform, open_gate(cut.root))
        story.whole()
        story.change()
        gate = story.gate
        withdrawn = platform.bundle(version=2)
        gate.issuers.offer(platform.trust(version=2, issuers=withdrawn.issuers[1:]))
        with cut:
            assert gate.lists.trust_changed() == (story.series.id,)
        # Whatever is left of it on disk cannot be verified by this bundle.
        again = open_gate(cut.root)
        assert again.lists.versions == {}


@pytest.mark.slow
def test_a_torn_log_is_cut_off_in_as_many_goes_as_it_takes(cuts, platform, open_gate):
    for cut in cuts():
        story = Story(platform, open_gate(cut.root))
        story.whole()
        for _ in range(3):
            story.change()
        log = next((cut.root / "believed" / "lists").glob("*/deltas"))
        log.write_bytes(log.read_bytes()[:-10])
        with cut:
            open_gate(cut.root)
        assert check(open_gate(cut.root), story.series, story.history, 3) == 3
        catch_up(open_gate(cut.root), story.series)
