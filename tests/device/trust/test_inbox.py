"""Commands: each id once, whatever happens, and nothing for anybody but the hub."""

import io
import json
import sqlite3
import threading
from dataclasses import replace

import pytest

from device.logs import Log
from device.model import Outcome, StorageError
from device.trust import ledger as ledgers
from device.trust.inbox import AGAIN_MS, WAITING_MOST, Inbox
from device.trust.ledger import KEPT_S, ROWS_MOST, Ledger
from protocol import topics
from protocol.command import Command, CommandName, decode_result, seal_command
from protocol.keys import Ed25519SigningKey
from protocol.limits import RESULT_DETAIL_BYTES
from protocol.timehint import TimeHint, seal_time

NOW_S = 1_800_000_000
DEVICE = b"device-1"
HUB = Ed25519SigningKey(b"hub " * 8)


class Sent:
    def __init__(self):
        self.waited_s = None

    def wait(self, timeout_s):
        self.waited_s = timeout_s
        return True


class Stage:
    """A gate's inbox on a real disk; `run` does the work of its thread until nothing is due."""

    def __init__(self, path):
        self.path = path
        self.now_s = NOW_S
        self.mono_ms = 1_000_000
        self.results = []
        self.ran = []
        self.outcomes = {}
        self.order = []
        self.out = io.StringIO()
        self.sent = Sent()
        self.boot()

    def boot(self):
        """The process starts: all that lasts is the file."""
        self.ledger = Ledger.open(self.path, now_s=self.now_s)
        self.inbox = self.make(self.ledger)

    def make(self, ledger):
        return Inbox(
            device=DEVICE,
            hub_keys={HUB.public.kid: HUB.public},
            ledger=ledger,
            handlers={name: self.handle for name in CommandName if name is not CommandName.ROTATE_KEYS},
            afterwards={
                CommandName.RESTART: lambda: self.order.append("exit"),
                CommandName.WIPE: lambda: self.order.append("erase"),
            },
            put=self.put,
            now_s=lambda: self.now_s,
            mono_ms=lambda: self.mono_ms,
            log=Log(self.out),
        )

    def cut(self):
        """The power goes, and comes back."""
        self.ledger.close()
        self.results.clear()
        self.boot()

    def put(self, topic, payload, qos):
        assert (topic, qos) == (topics.results(DEVICE), 1)
        result = decode_result(payload)
        self.results.append(result)
        self.order.append(f"result {result.ok}")
        return self.sent

    def handle(self, command):
        self.ran.append(command.name)
        outcome = self.outcomes.get(command.name, Outcome(ok=True, detail="done"))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def command(self, name=CommandName.OPEN_ONCE, *, number=1, key=HUB, args=None, **changes):
        command = Command(
            device=DEVICE,
            id=number.to_bytes(16, "big"),
            name=name,
            args=args or {},
            issued_s=NOW_S,
            expires_s=NOW_S + 60,
        )
        return seal_command(replace(command, **changes), key=key)

    def wipe(self, **changes):
        return self.command(CommandName.WIPE, args={"even_unsent": False}, **changes)

    def run(self):
        if self.inbox._resumed is not None:
            self.inbox._do(self.inbox._resumed)
            self.inbox._resumed = None
        while not self.inbox._due.empty():
            self.inbox._do(self.inbox._due.get_nowait())

    def do(self, payload):
        self.inbox.take(payload)
        self.run()

    def events(self):
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def said(self):
        return [(result.ok, result.detail) for result in self.results]


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path / "commands.db")
    yield stage
    stage.ledger.close()


def test_a_command_runs_and_its_result_goes_out_and_into_the_log(stage):
    stage.do(stage.command(number=7))
    assert stage.ran == [CommandName.OPEN_ONCE]
    (result,) = stage.results
    assert (result.id, result.ok, result.detail) == ((7).to_bytes(16, "big"), True, "done")
    assert stage.events() == [{"event": "command", "id": result.id.hex(), "name": "open_once", "ok": True}]


ATTACKS = {
    "another signer": lambda stage: stage.command(key=Ed25519SigningKey(b"x" * 32)),
    "another device": lambda stage: stage.command(device=b"device-2"),
    "a broken signature": lambda stage: stage.command()[:-1] + b"\x00",
    "bytes behind it": lambda stage: stage.command() + b"\x00",
    "another object of the hub": lambda stage: seal_time(
        TimeHint(device=DEVICE, session=bytes(8), at_ms=NOW_S * 1000), key=HUB
    ),
    "nothing": lambda stage: b"",
    "junk": lambda stage: bytes(512),
    "far too much": lambda stage: bytes(100_000),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_is_not_the_hubs_word_to_us_is_counted_and_never_answered(stage, attack):
    stage.do(attack(stage))
    assert (stage.ran, stage.results, stage.inbox.refused) == ([], [], 1)
    (event,) = stage.events()
    assert event["event"] == "command_refused"
    assert not stage.ledger._ids


def test_a_flood_of_refused_ones_writes_one_line_a_second(stage):
    for _ in range(1_000):
        stage.inbox.take(b"junk")
    assert (stage.inbox.refused, len(stage.events())) == (1_000, 1)
    stage.mono_ms += 1_000
    stage.inbox.take(b"junk")
    assert len(stage.events()) == 2


def test_an_id_runs_once_and_is_answered_again_with_what_came_of_it(stage):
    payload = stage.command()
    stage.do(payload)
    stage.outcomes[CommandName.OPEN_ONCE] = Outcome(ok=False, detail="another")
    for _ in range(3):
        stage.mono_ms += AGAIN_MS
        stage.do(payload)
    assert stage.ran == [CommandName.OPEN_ONCE]
    assert stage.said() == [(True, "done")] * 4


def test_another_command_under_an_id_that_came_before_does_not_run(stage):
    stage.do(stage.command())
    stage.do(stage.command(CommandName.RESTART))
    assert stage.ran == [CommandName.OPEN_ONCE]


def test_a_flood_of_one_command_is_answered_now_and_then(stage):
    payload = stage.command()
    for _ in range(1_000):
        stage.do(payload)
        stage.mono_ms += 10
    assert stage.ran == [CommandName.OPEN_ONCE]
    assert len(stage.results) <= 3


def test_it_does_not_run_again_after_a_restart_either(stage):
    payload = stage.command()
    stage.do(payload)
    stage.cut()
    stage.do(payload)
    assert stage.ran == [CommandName.OPEN_ONCE]
    assert stage.said() == [(True, "done")]


def test_one_that_was_running_when_the_power_went_is_interrupted_and_does_not_run_again(stage):
    payload = stage.command()
    stage.inbox.take(payload)
    stage.cut()
    assert stage.said() == [(False, "interrupted")]
    stage.mono_ms += AGAIN_MS
    stage.do(payload)
    assert stage.ran == []
    assert stage.said() == [(False, "interrupted")] * 2


def test_a_command_whose_life_is_over_is_answered_expired(stage):
    stage.now_s = NOW_S + 61
    stage.do(stage.command())
    assert (stage.ran, stage.said()) == ([], [(False, "expired")])


def test_one_that_waited_too_long_for_its_turn_is_expired_too(stage):
    stage.inbox.take(stage.command())
    stage.now_s = NOW_S + 61
    stage.run()
    assert (stage.ran, stage.said()) == ([], [(False, "expired")])


def test_once_answered_expired_it_never_runs_though_our_clock_goes_back(stage):
    stage.now_s = NOW_S + 61
    stage.do(stage.command())
    stage.now_s = NOW_S
    stage.mono_ms += AGAIN_MS
    stage.do(stage.command())
    assert stage.ran == []


def test_what_the_hub_signed_later_tells_that_an_old_command_is_over_whatever_our_clock_says(stage):
    stage.now_s = NOW_S + 3_600
    stage.do(stage.command(number=2, issued_s=NOW_S + 3_600, expires_s=NOW_S + 3_660))
    stage.now_s = 0
    stage.mono_ms += 1_000
    stage.cut()
    stage.do(stage.command(number=1))
    assert stage.ran == [CommandName.OPEN_ONCE]
    assert stage.said() == [(False, "expired")]


def test_one_wrong_clock_alone_does_not_lock_out_the_other(stage):
    stage.do(stage.command(number=1, issued_s=NOW_S + 10**6, expires_s=NOW_S + 10**6 + 60))
    stage.do(stage.command(number=2))
    stage.now_s = NOW_S + 10**7
    stage.do(stage.command(number=3))
    stage.now_s = NOW_S
    stage.do(stage.command(number=4))
    assert stage.said() == [(True, "done"), (True, "done"), (False, "expired"), (True, "done")]


def test_what_is_forgotten_is_over_for_ever(stage):
    stage.do(stage.command(number=1))
    late_s = NOW_S + 60 + KEPT_S + 1
    stage.now_s = late_s
    stage.do(stage.command(number=2, issued_s=late_s, expires_s=late_s + 60))
    assert len(stage.ledger._ids) == 1
    stage.now_s = NOW_S
    stage.mono_ms += 1_000
    stage.do(stage.command(number=1))
    assert stage.ran == [CommandName.OPEN_ONCE] * 2
    assert stage.said()[-1] == (False, "expired")


def test_more_than_wait_are_busy_and_stay_so(stage):
    payloads = [stage.command(number=number) for number in range(1, WAITING_MOST + 3)]
    for payload in payloads:
        stage.inbox.take(payload)
    assert stage.said() == [(False, "busy")] * 2
    stage.run()
    assert len(stage.ran) == WAITING_MOST
    stage.mono_ms += AGAIN_MS
    stage.do(payloads[-1])
    assert stage.said()[-1] == (False, "busy")
    assert len(stage.ran) == WAITING_MOST


def test_when_the_ledger_is_full_nothing_more_runs_and_nothing_is_forgotten(stage, monkeypatch):
    monkeypatch.setattr(ledgers, "ROWS_MOST", 5)
    for number in range(1, 8):
        stage.do(stage.command(number=number))
    assert len(stage.ran) == len(stage.results) == 5
    assert stage.events()[-1]["event"] == "command_not_taken"
    assert ROWS_MOST > 5


def test_a_disk_that_takes_nothing_runs_nothing(stage, monkeypatch):
    def full(*_, **__):
        raise StorageError("full")

    monkeypatch.setattr(stage.ledger, "accept", full)
    stage.do(stage.command())
    assert (stage.ran, stage.said()) == ([], [(False, "storage_failed")])
    monkeypatch.undo()
    stage.do(stage.command())
    assert stage.ran == [CommandName.OPEN_ONCE]


def test_a_result_that_cannot_be_written_down_is_still_sent(stage, monkeypatch):
    def full(*_, **__):
        raise StorageError("full")

    monkeypatch.setattr(stage.ledger, "answer", full)
    stage.do(stage.command())
    assert stage.said() == [(True, "done")]


def test_without_a_ledger_nothing_runs_and_a_flood_is_not_answered(stage):
    stage.inbox = stage.make(None)
    for _ in range(100):
        stage.do(stage.command())
    assert (stage.ran, stage.said()) == ([], [(False, "storage_failed")])


def test_a_handler_that_fails_is_answered_without_its_words(stage):
    stage.outcomes[CommandName.OPEN_ONCE] = RuntimeError("a secret")
    stage.do(stage.command())
    assert stage.said() == [(False, "failed: RuntimeError")]


def test_a_command_without_a_handler_is_unsupported(stage):
    stage.do(stage.command(CommandName.ROTATE_KEYS))
    assert stage.said() == [(False, "unsupported")]


def test_a_detail_that_is_too_long_is_cut_at_a_character(stage):
    stage.outcomes[CommandName.OPEN_ONCE] = Outcome(ok=True, detail="码" * RESULT_DETAIL_BYTES)
    stage.do(stage.command())
    (result,) = stage.results
    assert result.detail == "码" * (RESULT_DETAIL_BYTES // 3)


def test_a_restart_follows_its_answer_and_does_not_come_again(stage):
    payload = stage.command(CommandName.RESTART)
    stage.do(payload)
    assert stage.order == ["result True", "exit"]
    assert stage.sent.waited_s == 10.0
    stage.cut()
    stage.mono_ms += AGAIN_MS
    stage.do(payload)
    assert stage.order == ["result True", "exit", "result True"]


def test_nothing_follows_a_refusal(stage):
    stage.outcomes[CommandName.WIPE] = Outcome(ok=False, detail="unsent=3")
    stage.do(stage.wipe())
    assert stage.order == ["result False"]
    stage.cut()
    stage.run()
    assert stage.order == ["result False"]
    assert not stage.inbox.wiping


def test_a_wipe_sends_its_proof_then_erases(stage):
    stage.outcomes[CommandName.WIPE] = Outcome(ok=True, proof=b"proof")
    stage.do(stage.wipe())
    assert stage.order == ["result True", "erase"]
    assert stage.results[0].proof == b"proof"


def test_nothing_runs_behind_a_promised_wipe(stage):
    stage.inbox.take(stage.wipe(number=1))
    stage.inbox.take(stage.command(number=2))
    stage.inbox.start()
    stage.inbox._thread.join(5)
    assert not stage.inbox._thread.is_alive()
    assert stage.ran == [CommandName.WIPE]
    assert (stage.order, stage.inbox.failure) == (["result True", "erase"], None)


def test_a_wipe_that_was_promised_goes_on_after_a_power_cut_with_the_same_proof(stage):
    stage.outcomes[CommandName.WIPE] = Outcome(ok=True, proof=b"proof")
    stage.do(stage.wipe())
    stage.order.clear()
    stage.now_s += 10**6
    stage.cut()
    assert stage.inbox.wiping
    stage.run()
    assert stage.ran == [CommandName.WIPE]
    assert (stage.order, stage.results[0].proof) == (["result True", "erase"], b"proof")


def test_a_wipe_that_was_cut_before_its_answer_begins_again(stage):
    stage.inbox.take(stage.wipe())
    stage.now_s += 10**6
    stage.cut()
    assert not stage.inbox.wiping
    stage.run()
    assert stage.ran == [CommandName.WIPE]
    assert stage.order == ["result True", "erase"]


def test_of_two_wipes_the_promised_one_goes_on_and_the_other_is_interrupted(stage):
    stage.outcomes[CommandName.WIPE] = Outcome(ok=True, proof=b"proof")
    stage.do(stage.wipe(number=1))
    stage.inbox.take(stage.wipe(number=2))
    stage.order.clear()
    stage.cut()
    stage.run()
    assert stage.order == ["result False", "result True", "erase"]


def test_handlers_run_in_their_own_thread_one_at_a_time(stage):
    names, running = [], []
    finished = threading.Event()

    def handle(command):
        running.append(command.id)
        assert len(running) == 1
        names.append(threading.current_thread().name)
        running.pop()
        if len(names) == 3:
            finished.set()
        return Outcome(ok=True)

    stage.inbox._handlers = {CommandName.OPEN_ONCE: handle}
    stage.inbox.start()
    for number in range(1, 4):
        stage.inbox.take(stage.command(number=number))
    assert finished.wait(5)
    assert stage.inbox.stop()
    assert names == ["commands"] * 3
    assert stage.inbox.failure is None


def test_what_goes_wrong_in_the_thread_is_there_to_see(stage):
    stage.inbox._afterwards = {CommandName.RESTART: lambda: 1 / 0}
    stage.inbox.start()
    stage.inbox.take(stage.command(CommandName.RESTART))
    stage.inbox._thread.join(5)
    assert isinstance(stage.inbox.failure, ZeroDivisionError)


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, None])
def test_a_damaged_ledger_is_set_aside_and_what_was_issued_before_does_not_run(stage, damage):
    stage.do(stage.command())
    stage.ledger.close()
    if damage is None:
        with sqlite3.connect(stage.path) as connection:
            connection.execute("DROP TABLE meta")
        connection.close()
    else:
        stage.path.write_bytes(damage)
    stage.now_s = NOW_S + 10
    stage.boot()
    assert stage.path.with_name("commands.db.damaged").exists()
    stage.do(stage.command())
    stage.do(stage.command(number=2, issued_s=NOW_S + 10))
    assert stage.ran == [CommandName.OPEN_ONCE] * 2
    assert stage.said()[1:] == [(False, "expired"), (True, "done")]


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        Ledger.open(tmp_path / "gone" / "commands.db", now_s=NOW_S)


def test_only_the_newest_long_answers_are_kept_whole(stage):
    stage.outcomes[CommandName.SEND_LOGS] = Outcome(ok=True, detail="x" * 20_000)
    for number in range(1, 31):
        stage.do(stage.command(CommandName.SEND_LOGS, number=number, args={"lines": 500}))
    lengths = [len(stage.ledger.outcome_of(number.to_bytes(16, "big")).detail) for number in range(1, 31)]
    assert lengths[-16:] == [20_000] * 16
    assert all(length < 300 for length in lengths[:-16])


def test_the_file_is_for_us_alone(stage):
    assert stage.path.stat().st_mode & 0o777 == 0o600
