"""A gate that is held open shuts by itself, whatever happens to who holds it."""

import threading
import time

import pytest

from device.hardware.ports import OPEN_MAX_MS
from device.hardware.sim.gate import SimGate
from device.hardware.sim.journal import Journal
from device.operate import hold as holds
from device.operate.hold import STEP_MS, HoldOpen


class Stage:
    def __init__(self):
        self.mono_ms = 0
        self.allowed = True
        self.done = []
        self.stepped = threading.Event()
        self.hold = HoldOpen(
            open_gate=self.open,
            shut_gate=lambda: self.done.append("shut"),
            allowed=lambda: self.allowed,
            mono_ms=lambda: self.mono_ms,
        )

    def open(self, open_ms):
        self.done.append(open_ms)
        if len(self.done) >= 5:
            self.stepped.set()

    def ended(self):
        self.hold._thread.join(5)
        return not self.hold.holding


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(holds, "_RENEW_S", 0.001)
    stage = Stage()
    yield stage
    stage.hold.stop()


def test_it_opens_at_once_and_again_in_steps_that_any_gate_takes(stage):
    stage.hold.start(720)
    assert stage.done[0] == STEP_MS <= OPEN_MAX_MS
    assert stage.stepped.wait(5)
    assert set(stage.done) == {STEP_MS}
    stage.hold.stop()
    assert stage.done[-1] == "shut"
    before = len(stage.done)
    assert not stage.hold.holding
    assert len(stage.done) == before


def test_the_last_step_ends_with_the_hold_and_nobody_is_shut_in(stage):
    stage.mono_ms = 60_000 - 1_200
    assert stage.hold._step(60_000)
    assert stage.done == [1_200]
    stage.mono_ms = 60_000
    assert not stage.hold._step(60_000)
    assert stage.done == [1_200]


def test_when_its_time_is_over_it_holds_no_longer(stage):
    stage.hold.start(1)
    stage.mono_ms = 60_000
    assert stage.ended()
    assert "shut" not in stage.done


def test_what_ends_the_service_ends_the_hold(stage):
    stage.hold.start(10)
    stage.allowed = False
    assert stage.ended()
    assert stage.done[-1] == "shut"


def test_another_hold_replaces_the_first(stage):
    stage.hold.start(720)
    first = stage.hold._thread
    stage.hold.start(1)
    assert not first.is_alive()
    stage.mono_ms = 60_000
    assert stage.ended()


def test_a_relay_that_fails_ends_it_and_is_there_to_see(stage):
    stage.hold.start(10)

    def fails(_):
        raise OSError("no relay")

    stage.hold._open_gate = fails
    assert stage.ended()
    assert str(stage.hold.failure) == "no relay"
    stage.hold._open_gate = stage.open
    stage.hold.start(1)
    assert stage.hold.failure is None


def test_who_stops_what_was_never_started_shuts_the_gate(stage):
    stage.hold.stop()
    assert stage.done == ["shut"]


@pytest.mark.slow
def test_a_gate_whose_holder_died_shuts_within_a_step(monkeypatch):
    monkeypatch.setattr(holds, "STEP_MS", 300)
    gate = SimGate(journal=Journal())
    hold = HoldOpen(open_gate=gate.open, shut_gate=gate.close, allowed=lambda: True, mono_ms=lambda: 0)
    hold.start(10)
    assert gate.energised
    # Its thread is gone without a word, and nobody shuts.
    hold._ending.set()
    hold._thread.join()
    end = time.monotonic() + 5
    while gate.energised:
        assert time.monotonic() < end
        time.sleep(0.01)
    gate.shutdown()
