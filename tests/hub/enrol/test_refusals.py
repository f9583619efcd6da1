import pytest

from hub.enrol.rates import Rates
from hub.enrol.refusals import Refusals
from hub.store.errors import StoreWriteError

pytestmark = pytest.mark.slow


class AuditStore:
    def __init__(self):
        self.entries, self.failing = [], False

    async def audit(self, entry):
        if self.failing:
            raise StoreWriteError("the disk is full")
        self.entries.append(entry)


@pytest.fixture
def store():
    return AuditStore()


@pytest.fixture
def note(store):
    refusals = Refusals(store=store, rates=Rates(burst=2, per_s=0))

    async def note(what="a sentence"):
        await refusals.note(action="enrol.refused", reason="token_used", what=what, address="192.0.2.1", now_ms=5)

    return note


async def test_a_refusal_says_why_and_from_where(store, note):
    await note()
    (entry,) = store.entries
    assert (entry.at_ms, entry.who, entry.action) == (5, "hub", "enrol.refused")
    assert entry.detail == "token_used from 192.0.2.1: a sentence"


async def test_a_long_sentence_is_cut(store, note):
    await note("x" * 10_000)
    assert len(store.entries[0].detail) == 500


async def test_a_store_that_fails_loses_the_entry_but_not_its_count(store, note):
    store.failing = True
    await note()
    store.failing = False
    await note()
    assert store.entries[0].detail.endswith("; 1 more were not written down")
