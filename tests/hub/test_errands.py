"""What the console asks of the hub through the database, and what comes back."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from hub.console.errands import Errands as Asking
from hub.console.errors import ConflictError, InvalidError, UnavailableError
from hub.errands import ErrandError, Errands
from hub.health import Health
from hub.registry.checks import RegistryError
from hub.store.errand_ports import ErrandState
from hub.store.errors import RegistryConflictError
from hub.store.sqlite import open_store

NOW_MS = 1_790_000_000_000


@pytest.fixture
async def store(tmp_path):
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    yield store
    await store.close()


@asynccontextmanager
async def hub(store, now_ms=lambda: NOW_MS, **handlers):
    task = asyncio.create_task(Errands(store=store, handlers=handlers, health=Health(), now_ms=now_ms).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def asking(store, longest_s=5.0):
    return Asking(store=store, now_ms=lambda: NOW_MS, longest_s=longest_s)


async def test_what_is_asked_is_done_and_answered(store):
    seen = []

    async def handler(operator, args, data):
        seen.append((operator.who, operator.now_ms, args, data))
        return b"answer"

    async with hub(store, greet=handler):
        assert await asking(store).ask("greet", who="anna", data=b"\x00", name="张") == b"answer"
    assert seen == [("anna", NOW_MS, {"name": "张"}, b"\x00")]


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (RegistryConflictError("taken"), ConflictError),
        (RegistryError("not so"), InvalidError),
        (ErrandError("platform_silent", "no answer"), UnavailableError),
    ],
)
async def test_a_refusal_comes_back_as_one_with_its_sentence(store, raised, told):
    async def handler(operator, args, data):
        raise raised

    async with hub(store, ask=handler):
        with pytest.raises(told, match=str(raised)):
            await asking(store).ask("ask", who="anna")


async def test_what_nobody_does_is_said(store):
    async with hub(store):
        with pytest.raises(UnavailableError, match="does not do dance"):
            await asking(store).ask("dance", who="anna")


async def test_a_hub_that_does_not_run_is_said(store):
    with pytest.raises(UnavailableError, match="running"):
        await asking(store, longest_s=0.1).ask("ask", who="anna")


async def test_what_the_hub_comes_to_too_late_is_not_done(store):
    done = []

    async def handler(operator, args, data):
        done.append(args)
        return b""

    async with hub(store, now_ms=lambda: NOW_MS + 10_000, ask=handler):
        with pytest.raises(UnavailableError, match="too late"):
            await asking(store).ask("ask", who="anna")
    assert not done


async def test_one_that_hangs_holds_up_no_other(store):
    async def hangs(operator, args, data):
        await asyncio.Event().wait()

    async def quick(operator, args, data):
        return b"quick"

    async with hub(store, hangs=hangs, quick=quick):
        waiting = asyncio.create_task(asking(store, longest_s=0.5).ask("hangs", who="anna"))
        assert await asking(store).ask("quick", who="anna") == b"quick"
        with pytest.raises(UnavailableError):
            await waiting


async def test_one_begun_when_the_hub_ended_is_done_again(store):
    began = asyncio.Event()

    async def hangs(operator, args, data):
        began.set()
        await asyncio.Event().wait()

    async def quick(operator, args, data):
        return b"done"

    waiting = asyncio.create_task(asking(store).ask("ask", who="anna"))
    async with hub(store, ask=hangs):
        await began.wait()
    async with hub(store, ask=quick):
        assert await waiting == b"done"


async def test_what_it_carried_is_forgotten_when_it_is_done(store):
    async def handler(operator, args, data):
        return b""

    async with hub(store, ask=handler):
        await asking(store).ask("ask", who="anna", data=b"sealed")
    rows = await store._connections.read("SELECT id, state, data FROM errand")
    assert [(state, data) for _, state, data in rows] == [("done", b"")]
    await store.finish_errand(rows[0][0], state=ErrandState.FAILED, reason="late", answer=b"", now_ms=NOW_MS)
    assert (await store.find_errand(rows[0][0])).state is ErrandState.DONE
    assert await store.forget_errands(made_before_ms=NOW_MS) == 0
    assert await store.forget_errands(made_before_ms=NOW_MS + 1) == 1
    assert await store.find_errand(rows[0][0]) is None
