"""A desk's questions between console and platform: kept until the platform has signed, believed only if it did."""

import logging

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hub.model import MinuteCount
from hub.registry.changes import Operator
from hub.store.desk_ports import VisitState
from hub.store.errors import RegistryConflictError
from hub.trust import desk as module
from hub.trust.ports import PlatformError, PlatformRefusedError
from protocol.desk import LookUp, Person, Registration, seal_question
from protocol.errors import MalformedError
from protocol.terms import Colour, Direction, Verdict
from tests.hub.console.desks import KNOWN, Window, desk_of, id_number

NUMBER = id_number(KNOWN)
REPLY = X25519PrivateKey.from_private_bytes(b"r" * 32).public_key().public_bytes_raw()
STRANGER = X25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()


@pytest.fixture
def window(tmp_path, now):
    window = Window(tmp_path / "platform", now_ms=now.ms)
    yield window
    window.close()


@pytest.fixture
def desk(store, window, now, metrics):
    return desk_of(store, window, now_ms=now.ms, metrics=metrics)


def sealed(window, nonce=1, *, to=None, direction=Direction.OUT):
    question = Registration(
        nonce=bytes([nonce]) * 16, place="mall", gate="north", at_ms=1, reply=REPLY, direction=direction,
        people=(Person(name="无名氏", number=NUMBER), Person(name="x", number=id_number(99))),
    )  # fmt: skip
    return seal_question(question, resolver=to or window.bundle.resolver)


def sealed_look_up(window):
    asked = LookUp(nonce=bytes(16), place="mall", gate="north", at_ms=1, reply=REPLY, number=NUMBER)
    return seal_question(asked, resolver=window.bundle.resolver)


async def register(desk, data, now):
    return await desk.errands["desk.register"](Operator(who="anna", now_ms=now.ms()), {}, data)


async def look_up(desk, data, now):
    return await desk.errands["desk.look-up"](Operator(who="anna", now_ms=now.ms()), {}, data)


async def states(store):
    rows = await store._connections.read("SELECT state, sealed IS NULL FROM desk_visit ORDER BY kept_ms, id")
    return [(VisitState(state), bool(erased)) for state, erased in rows]


async def counts(store):
    return await store.minute_counts(from_minute=0, to_minute=2**40)


def result(metrics, ask, what):
    line = f'gatelight_hub_desk_total{{ask="{ask}",result="{what}"}} '
    found = [each for each in metrics.text().decode().splitlines() if each.startswith(line)]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0


async def test_a_visit_is_kept_before_the_platform_is_asked_and_erased_by_its_receipt(desk, window, store, now):
    seen = []
    asking = window.desk

    async def looked(data):
        seen.append(await states(store))
        return await asking(data)

    window.desk = looked
    assert await register(desk, sealed(window), now)
    assert seen == [[(VisitState.WAITING, False)]]
    assert await states(store) == [(VisitState.STORED, True)]


async def test_a_visit_counts_at_its_gate_with_the_colours_that_were_shown(desk, window, store, now):
    window.turn(KNOWN, Colour.GREEN)
    await register(desk, sealed(window), now)
    common = {"minute": now.ms() // 60_000, "place_id": "mall", "gate_id": "north", "direction": Direction.OUT, "n": 1}
    assert await counts(store) == (
        MinuteCount(colour=Colour.GREEN, verdict=Verdict.ADMIT, **common),
        MinuteCount(colour=Colour.GREY, verdict=Verdict.HOLD, **common),
    )


async def test_what_came_later_counts_as_it_was_shown_grey_and_in_its_own_minute(desk, window, store, now):
    window.away = True
    window.turn(KNOWN, Colour.GREEN)
    assert await register(desk, sealed(window), now) == b""
    assert await counts(store) == ()
    assert not await desk.deliver()
    then, now.s = now.ms() // 60_000, now.s + 7200
    window.away = False
    assert await desk.deliver()
    (count,) = await counts(store)
    assert (count.minute, count.colour, count.verdict, count.n) == (then, Colour.GREY, Verdict.HOLD, 2)
    assert await states(store) == [(VisitState.STORED, True)]
    assert len(window.people()) == 2
    assert await desk.deliver()
    assert len(window.asked) == 3


async def test_one_that_is_asked_again_while_it_waits_is_answered_and_counted_once(desk, window, store, now):
    window.away = True
    data = sealed(window)
    assert await register(desk, data, now) == b""
    window.away = False
    assert await register(desk, data, now)
    assert await register(desk, data, now)
    assert await desk.deliver()
    assert sum(count.n for count in await counts(store)) == 2


async def test_a_crash_between_keeping_and_asking_loses_no_visit(desk, window, store, now, metrics):
    async def dies(_data):
        raise KeyboardInterrupt

    asking, window.desk = window.desk, dies
    with pytest.raises(KeyboardInterrupt):
        await register(desk, sealed(window), now)
    window.desk = asking
    assert await desk_of(store, window, now_ms=now.ms, metrics=metrics).deliver()
    assert await states(store) == [(VisitState.STORED, True)]


@pytest.mark.parametrize("lie", ["flipped", "stranger", "replayed", "rubbish", "empty"])
async def test_a_lie_erases_nothing_and_is_written_down(*, desk, window, store, now, metrics, lie):
    await register(desk, sealed(window, 9), now)
    before = window.answers[-1]
    other = Window(window.folder / "other", now_ms=now.ms)
    spoils = {
        "flipped": lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]),
        "stranger": lambda _: other.window.answer(sealed(other, 3), hub=bytes(8), now_ms=now.ms()),
        "replayed": lambda _: before,
        "rubbish": lambda _: b"\xff" * 300,
        "empty": lambda _: b"",
    }
    window.spoil = spoils[lie]
    assert await register(desk, sealed(window), now) == b""
    assert (VisitState.WAITING, False) in await states(store)
    with pytest.raises(PlatformError, match="believed"):
        await look_up(desk, sealed_look_up(window), now)
    assert result(metrics, "registration", "doubted") == 1
    # The others go first, then it is tried again.
    assert await desk.deliver()
    assert len(await store.waiting_visits(now_ms=now.ms(), limit=9)) == 0
    now.s += 61
    window.spoil = None
    assert await desk.deliver()
    assert await states(store) == [(VisitState.STORED, True)] * 2
    other.close()


async def test_one_that_the_platform_refuses_blocks_nobody_and_is_kept_as_evidence(desk, window, store, now, caplog):
    window.away = True
    for nonce, to in ((1, STRANGER), (2, None)):
        now.s += 1
        await register(desk, sealed(window, nonce, to=to), now)
    window.away = False
    assert await desk.deliver()
    assert await states(store) == [(VisitState.REFUSED, False), (VisitState.STORED, True)]
    assert "desk_refused" in caplog.text
    assert await store.forget_refused(closed_before_ms=now.ms()) == 0
    assert await store.forget_refused(closed_before_ms=now.ms() + 1) == 1
    assert await states(store) == [(VisitState.REFUSED, True), (VisitState.STORED, True)]


async def test_what_is_refused_at_once_is_said_at_once(desk, window, now):
    with pytest.raises(PlatformRefusedError):
        await register(desk, sealed(window, to=STRANGER), now)
    with pytest.raises(MalformedError, match="not a look_up"):
        await look_up(desk, sealed(window), now)
    with pytest.raises(MalformedError, match="not a registration"):
        await register(desk, sealed_look_up(window), now)


async def test_a_look_up_is_kept_nowhere(desk, window, store, now):
    assert await look_up(desk, sealed_look_up(window), now)
    window.away = True
    with pytest.raises(PlatformError):
        await look_up(desk, sealed_look_up(window), now)
    assert await states(store) == []
    assert await counts(store) == ()


async def test_there_is_an_end_to_what_is_kept(desk, window, now, monkeypatch):
    monkeypatch.setattr(module, "WAITING_MOST", 2)
    window.away = True
    for nonce in (1, 2):
        await register(desk, sealed(window, nonce), now)
    with pytest.raises(RegistryConflictError, match="too many"):
        await register(desk, sealed(window, 3), now)
    # One that is kept already may be asked about.
    assert await register(desk, sealed(window, 1), now) == b""


async def test_no_log_has_anything_of_it(desk, window, now, caplog):
    caplog.set_level(logging.DEBUG)
    for away in (True, False):
        window.away = away
        await register(desk, sealed(window, int(away)), now)
    assert NUMBER not in caplog.text
    assert "无名氏" not in caplog.text
