"""What every store must do for the attendants' desks. A second implementation joins `STORES`."""

import pytest

from hub.model import AuditEntry, MinuteCount
from hub.store.desk_ports import DeskVisit, Rate, VisitState
from hub.store.errors import RegistryConflictError
from hub.store.sqlite import open_store
from hub.store.trust_ports import Believed, BelievedKind
from protocol.terms import Colour, Direction, Verdict

pytestmark = pytest.mark.slow

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
COUNT = MinuteCount(
    minute=7, place_id="mall", gate_id="G1", colour=Colour.GREEN, verdict=Verdict.ADMIT, direction=Direction.IN, n=2
)
RATES = (Rate(window_ms=1000, most=2), Rate(window_ms=10_000, most=4))


@pytest.fixture(params=STORES)
async def store(request, tmp_path):
    store = await STORES[request.param](tmp_path / "hub", create=True)
    yield store
    await store.close()


def audit(action="desk.register"):
    return AuditEntry(at_ms=NOW_MS, who="anna", action=action, detail="mall/G1")


def visit(number=1, sealed=b"sealed"):
    return DeskVisit(
        visit_id=bytes([number]) * 16, place_id="mall", gate_id="G1", who="anna", kept_ms=NOW_MS + number, sealed=sealed
    )


async def keep(store, each, most=9):
    return await store.keep_visit(each, waiting_most=most, audit=audit())


async def test_a_visit_waits_until_it_is_settled_and_counts_once(store):
    assert await keep(store, visit()) == visit()
    assert await store.waiting_visits(now_ms=NOW_MS + 9, limit=9) == (visit(),)
    assert await store.visits_waiting() == 1
    for settled in (True, False):
        assert await store.settle_visit(visit().visit_id, counts=(COUNT,), now_ms=NOW_MS) is settled
    assert await store.minute_counts(from_minute=0, to_minute=99) == (COUNT,)
    assert await store.waiting_visits(now_ms=NOW_MS + 9, limit=9) == ()
    assert await store.visits_waiting() == 0


async def test_one_that_is_known_stays_as_it_is_and_is_audited_once(store):
    await keep(store, visit())
    assert await keep(store, visit(sealed=b"other")) == visit()
    assert len(await store.audit_log(limit=9)) == 1
    await store.settle_visit(visit().visit_id, counts=(), now_ms=NOW_MS)
    again = await keep(store, visit())
    assert (again.state, again.sealed) == (VisitState.STORED, None)


async def test_only_so_many_wait(store):
    await keep(store, visit(1), most=1)
    with pytest.raises(RegistryConflictError, match="too many"):
        await keep(store, visit(2), most=1)
    assert await keep(store, visit(1), most=1) == visit(1)
    assert len(await store.audit_log(limit=9)) == 1


async def test_those_due_longest_come_first_and_what_is_put_off_waits(store):
    for number in (3, 1, 2):
        await keep(store, visit(number))
    assert await store.waiting_visits(now_ms=NOW_MS + 2, limit=9) == (visit(1), visit(2))
    assert await store.waiting_visits(now_ms=NOW_MS + 9, limit=1) == (visit(1),)
    await store.retry_visit(visit(1).visit_id, next_try_ms=NOW_MS + 100)
    assert await store.waiting_visits(now_ms=NOW_MS + 9, limit=9) == (visit(2), visit(3))
    assert (await store.waiting_visits(now_ms=NOW_MS + 100, limit=9))[-1] == visit(1)


async def test_a_refused_one_waits_no_more_and_its_bytes_go_in_time(store):
    await keep(store, visit())
    await store.refuse_visit(visit().visit_id, reason="400", now_ms=NOW_MS)
    assert await store.waiting_visits(now_ms=NOW_MS + 9, limit=9) == ()
    assert (await keep(store, visit())).sealed == b"sealed"
    assert await store.forget_refused(closed_before_ms=NOW_MS) == 0
    assert await store.forget_refused(closed_before_ms=NOW_MS + 1) == 1
    assert await store.forget_refused(closed_before_ms=NOW_MS + 1) == 0
    assert (await keep(store, visit())).sealed is None


async def test_asking_has_a_measure_for_each_account_and_kind(store):
    async def ask(at_ms, account="anna", kind="look_up"):
        return await store.note_asking(account, kind, now_ms=NOW_MS + at_ms, rates=RATES, audit=audit("desk.look_up"))

    assert [await ask(0), await ask(100), await ask(200)] == [0, 0, 800]
    assert [await ask(200, account="ben"), await ask(200, kind="registration")] == [0, 0]
    assert [await ask(1000), await ask(1099), await ask(1100), await ask(2100)] == [0, 1, 0, 7900]
    assert await ask(10_000) == 0
    assert [entry.action for entry in await store.audit_log(limit=99)] == ["desk.look_up"] * 7
    # A clock that was ahead holds nobody up for ever.
    assert await ask(-5000) == 0


async def test_the_bundle_that_is_believed(store):
    assert await store.trust_bundle() is None
    for version, data in ((1, b"one"), (2, b"two")):
        await store.keep_believed(
            Believed(kind=BelievedKind.TRUST, name="", version=version, issued_s=1, kept_ms=1, data=data)
        )
    assert await store.trust_bundle() == b"two"
