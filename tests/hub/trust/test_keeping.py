import pytest

from hub.store.errors import StoreWriteError
from hub.store.trust_ports import BelievedKind, Freshness

LIST = BelievedKind.LIST


def keep(keeping, version, data=b"data"):
    keeping.keep(LIST, "uri", version=version, issued_s=1, data=data)


async def versions(store):
    return [(row.name, row.version) for row in await store.believed()]


async def test_a_list_is_written_at_most_every_ten_seconds_and_then_in_its_newest_form(keeping, store, now):
    for version in range(1, 21):
        keep(keeping, version)
        await keeping.step()
        now.s += 0.5
    assert await versions(store) == [("uri", 1)]
    now.s += 1
    await keeping.step()
    assert await versions(store) == [("uri", 20)]


async def test_a_clock_that_was_set_back_does_not_stop_it(keeping, store, now):
    for version in (1, 2):
        keep(keeping, version)
        keeping.fresh("uri", version=version, issued_s=version)
        await keeping.step()
        now.s -= 86_400
    assert await versions(store) == [("uri", 2)]
    assert [entry.version for entry in await store.freshness()] == [2]


async def test_a_trust_bundle_does_not_wait(keeping, store):
    for version in (1, 2):
        keeping.keep(BelievedKind.TRUST, "", version=version, issued_s=1, data=b"data")
        await keeping.step()
    assert await versions(store) == [("", 2)]


async def test_what_the_database_refused_is_written_later(keeping, store, now, monkeypatch):
    async def fail(*_):
        raise StoreWriteError("the disk is full")

    keep(keeping, 1)
    keeping.fresh("uri", version=3, issued_s=9)
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep_believed", fail)
        with pytest.raises(StoreWriteError):
            await keeping.step()
        patch.undo()
        patch.setattr(store, "note_fresh", fail)
        with pytest.raises(StoreWriteError):
            await keeping.step()
    await keeping.step()
    assert await versions(store) == [("uri", 1)]
    assert await store.freshness() == (Freshness(name="uri", version=3, issued_s=9),)


async def test_what_comes_while_it_writes_is_not_lost(keeping, store, now, monkeypatch):
    plain = store.keep_believed

    async def slow(believed):
        await plain(believed)
        if believed.version == 1:
            keep(keeping, 2)

    monkeypatch.setattr(store, "keep_believed", slow)
    keep(keeping, 1)
    await keeping.step()
    now.s += 11
    await keeping.step()
    assert await versions(store) == [("uri", 2)]


async def test_a_list_that_is_gone_is_forgotten_and_may_come_back(keeping, store, now):
    keep(keeping, 1)
    await keeping.step()
    keeping.forget("uri")
    await keeping.step()
    assert await versions(store) == []
    keep(keeping, 2)
    await keeping.step()
    assert await versions(store) == [("uri", 2)]
