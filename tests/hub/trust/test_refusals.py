from hub.store.errors import StoreWriteError
from hub.trust.words import lines, one_line
from protocol.errors import RollbackError, SignatureError


async def test_a_flood_makes_one_entry_a_minute_that_counts(*, refusals, actions, now, metrics):
    for _ in range(500):
        refusals.refused("status delta", RollbackError("status delta", "older"))
        await refusals.step()
    refusals.refused("status delta", SignatureError("signature", "does not fit"))
    await refusals.step()
    assert await actions() == [
        ("hub", "trust.refused", "status delta: rollback: status delta: older"),
        ("hub", "trust.refused", "status delta: bad_signature: signature: does not fit"),
    ]
    now.s += 61
    await refusals.step()
    assert (await actions())[2:] == [
        ("hub", "trust.refused", "status delta: rollback (499 times): status delta: older")
    ]
    now.s += 61
    await refusals.step()
    assert len(await actions()) == 3
    assert b'objects_refused_total{reason="rollback"} 500.0' in metrics.text()


async def test_what_the_database_did_not_take_is_said_later(*, refusals, store, actions, monkeypatch):
    async def fail(entry):
        raise StoreWriteError("the disk is full")

    refusals.refused_for("result", "unknown_command", "what")
    with monkeypatch.context() as patch:
        patch.setattr(store, "audit", fail)
        await refusals.step()
    await refusals.step()
    assert await actions() == [("hub", "trust.refused", "result: unknown_command: what")]


async def test_what_is_refused_while_another_is_written_is_written_too(*, refusals, store, actions, monkeypatch):
    write = store.audit

    async def slow(entry):
        if "first" in entry.detail:
            refusals.refused_for("result", "second", "what")
        await write(entry)

    monkeypatch.setattr(store, "audit", slow)
    refusals.refused_for("result", "first", "what")
    refusals.refused_for("resolved", "another", "what")
    await refusals.step()
    await refusals.step()
    assert {detail.split(": ")[1] for _, _, detail in await actions()} == {"first", "another", "second"}


async def test_a_clock_that_was_set_back_does_not_silence_it(*, refusals, actions, now):
    refusals.refused_for("result", "unknown_command", "before")
    await refusals.step()
    now.s -= 86_400
    refusals.refused_for("result", "unknown_command", "after")
    await refusals.step()
    assert len(await actions()) == 2


def test_text_of_others_cannot_steer_a_terminal():
    assert one_line("a\x1b[31m\u202eb\r\n\tc", 100) == "a?[31m?b???c"
    assert one_line("商场" * 50, 3) == "商场商"
    assert lines("one\x07\n\ttwo\r\nthree\x1b") == "one?\n    two\nthree?"
