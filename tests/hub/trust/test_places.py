import pytest

from hub.store.trust_ports import ClosedBy, Closing
from hub.trust import places as module
from hub.trust.places import PlatformPlaces
from hub.trust.ports import ClosedPlace
from protocol.errors import LimitError, MalformedError


@pytest.fixture
def places(store, now):
    return PlatformPlaces(store=store, now_ms=now.ms)


def closed(place, why="violation"):
    return ClosedPlace(place_id=place, why=why)


async def state(store):
    return [(closing.place_id, closing.by, closing.why) for closing in await store.closings()]


async def test_a_place_is_closed_and_opened_with_an_audit_entry_each(places, store, actions):
    await places.mark(closed("mall"), closed=True)
    await places.mark(closed("mall"), closed=True)
    assert await state(store) == [("mall", ClosedBy.PLATFORM, "violation")]
    await places.mark(closed("mall", why=""), closed=False)
    await places.mark(closed("mall", why=""), closed=False)
    assert await state(store) == []
    assert await actions() == [
        ("platform", "place.close", "mall: violation"),
        ("platform", "place.open", "mall"),
    ]


async def test_the_whole_set_replaces_the_platforms_own_and_leaves_the_operators(places, store, add_device, operator):
    await add_device()
    for place in ("a", "b"):
        await places.mark(closed(place), closed=True)
    own = Closing(place_id="mall", by=ClosedBy.OPERATOR, why="fire drill", since_ms=1)
    await store.close_place(own, audit=operator.entry("place.close", "mall"))
    await places.replace((closed("b"), closed("c"), closed("mall")))
    assert await state(store) == [
        ("b", ClosedBy.PLATFORM, "violation"),
        ("c", ClosedBy.PLATFORM, "violation"),
        ("mall", ClosedBy.OPERATOR, "fire drill"),
        ("mall", ClosedBy.PLATFORM, "violation"),
    ]


async def test_a_reason_cannot_steer_a_terminal(places, store):
    await places.mark(closed("mall", why="a\x1b[2J\n\u202e" + "x" * 500), closed=True)
    why = (await state(store))[0][2]
    assert why.startswith("a?[2J??x")
    assert len(why) == module.WHY_CHARS


@pytest.mark.parametrize("place", ["", "a/b", "x" * 33, "+", "商场", "a\n"])
async def test_what_is_no_place_changes_nothing(places, store, place):
    for call in (places.mark(closed(place), closed=True), places.replace((closed("good"), closed(place)))):
        with pytest.raises(MalformedError):
            await call
    assert await state(store) == []


async def test_the_platform_cannot_fill_the_disk(places, store, monkeypatch):
    monkeypatch.setattr(module, "CLOSED_MAX", 2)
    with pytest.raises(LimitError):
        await places.replace((closed("a"), closed("b"), closed("c")))
    await places.replace((closed("a"), closed("b")))
    with pytest.raises(LimitError):
        await places.mark(closed("c"), closed=True)
    await places.mark(closed("a", why="still"), closed=True)
    assert [place for place, _, _ in await state(store)] == ["a", "b"]
