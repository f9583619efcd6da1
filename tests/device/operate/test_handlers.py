"""What each command does, told by what it touched."""

import pytest

from device.hardware.ports import HardwareError
from device.model import Outcome
from device.operate.handlers import LOG_BYTES, handlers
from device.operate.hold import HoldOpen
from device.operate.switch import Switch
from protocol.command import ARGUMENTS, Command, CommandName
from protocol.limits import RESULT_DETAIL_BYTES


class Stage:
    def __init__(self, folder, *, updates=True):
        self.done = []
        self.allowed = True
        self.lines = []
        self.switch = Switch(folder / "disabled")
        self.hold = HoldOpen(
            open_gate=lambda open_ms: self.done.append(("open", open_ms)),
            shut_gate=lambda: self.done.append("shut"),
            allowed=lambda: self.allowed and self.switch.on,
            mono_ms=lambda: 0,
        )
        self.handlers = handlers(
            locate=lambda seconds: self.done.append(("locate", seconds)),
            self_test=lambda: Outcome(ok=True, detail="tested"),
            open_gate=lambda open_ms: self.done.append(("open", open_ms)),
            open_ms=lambda: 2_500,
            hold=self.hold,
            switch=self.switch,
            rotate_keys=lambda: "new key",
            log_lines=lambda count: self.lines[-count:],
            wipe=lambda command: Outcome(ok=True, proof=command.id),
            want_release=(lambda release, wanted: self.done.append((release, wanted))) if updates else None,
        )

    def do(self, name, **args):
        command = Command(device=b"device-1", id=bytes(16), name=name, args=args, issued_s=0, expires_s=60)
        return self.handlers[name](command)


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.hold.stop()


def test_every_command_has_a_handler(stage):
    assert set(stage.handlers) == set(CommandName)
    assert set(ARGUMENTS) <= set(stage.handlers)


def test_locate_and_open_once_by_policy(stage):
    assert stage.do(CommandName.LOCATE, seconds=7).ok
    assert stage.do(CommandName.OPEN_ONCE).ok
    assert stage.done == [("locate", 7), ("open", 2_500)]


def test_test_scan_restart_rotate_keys_and_wipe_say_what_came_of_it(stage):
    assert stage.do(CommandName.TEST_SCAN).detail == "tested"
    assert stage.do(CommandName.RESTART) == Outcome(ok=True)
    assert stage.do(CommandName.ROTATE_KEYS).detail == "new key"
    assert stage.do(CommandName.WIPE, even_unsent=False).proof == bytes(16)


def test_hold_open_and_close(stage):
    assert stage.do(CommandName.HOLD_OPEN, minutes=5).ok
    assert stage.hold.holding
    assert stage.do(CommandName.CLOSE).ok
    assert not stage.hold.holding
    assert stage.done == [("open", 5_000), "shut"]


def test_a_gate_out_of_service_is_not_held_open(stage):
    stage.allowed = False
    assert not stage.do(CommandName.HOLD_OPEN, minutes=5).ok
    assert stage.done == ["shut"]


def test_a_gate_out_of_service_is_not_opened_once_either(stage):
    """By policy, for one: the place is closed."""
    stage.allowed = False
    assert stage.do(CommandName.OPEN_ONCE) == Outcome(ok=False, detail="out of service: the gate stays shut")
    assert stage.done == []


def test_disable_shuts_and_nothing_opens_until_enable(stage):
    stage.do(CommandName.HOLD_OPEN, minutes=5)
    assert stage.do(CommandName.DISABLE).ok
    assert (stage.switch.on, stage.hold.holding, stage.done[-1]) == (False, False, "shut")
    before = len(stage.done)
    assert not stage.do(CommandName.OPEN_ONCE).ok
    assert not stage.do(CommandName.HOLD_OPEN, minutes=1).ok
    assert len(stage.done) == before
    assert stage.do(CommandName.ENABLE).ok
    assert stage.do(CommandName.OPEN_ONCE).ok


def test_a_disk_that_is_full_disables_all_the_same_and_says_for_how_long(stage, tmp_path):
    tmp_path.rmdir()
    outcome = stage.do(CommandName.DISABLE)
    assert not outcome.ok
    assert outcome.detail.startswith("disabled until the next restart")
    assert (stage.switch.on, stage.done) == (False, ["shut"])
    tmp_path.mkdir()


def test_a_part_that_fails_is_for_the_inbox_to_tell(stage):
    def fails(_):
        raise HardwareError("no relay")

    stage.hold._open_gate = fails
    with pytest.raises(HardwareError):
        stage.do(CommandName.HOLD_OPEN, minutes=1)
    assert not stage.hold.holding


def test_logs_are_the_newest_lines_that_fit(stage):
    stage.lines = [f"line {number} " + "x" * 100 for number in range(1_000)]
    detail = stage.do(CommandName.SEND_LOGS, lines=500).detail
    lines = detail.split("\n")
    assert lines == stage.lines[-len(lines) :]
    assert LOG_BYTES - 200 < len(detail) <= LOG_BYTES < RESULT_DETAIL_BYTES
    assert stage.do(CommandName.SEND_LOGS, lines=2).detail == "\n".join(stage.lines[-2:])
    stage.lines = []
    assert stage.do(CommandName.SEND_LOGS, lines=2) == Outcome(ok=True)


def test_a_release_is_wanted_by_the_commands_id(stage):
    assert stage.do(CommandName.UPDATE, release=1_002_003) == Outcome(ok=True)
    assert stage.done == [(1_002_003, bytes(16).hex())]


def test_a_machine_that_takes_no_releases_says_so(tmp_path):
    stage = Stage(tmp_path, updates=False)
    outcome = stage.do(CommandName.UPDATE, release=1_002_003)
    assert (outcome.ok, outcome.detail.split(":")[0]) == (False, "unsupported")
    stage.hold.stop()


def test_log_bytes_are_counted_as_bytes(stage):
    stage.lines = ["码" * 1_000] * 100
    assert len(stage.do(CommandName.SEND_LOGS, lines=500).detail.encode()) <= LOG_BYTES
