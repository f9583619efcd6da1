import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from device.hardware.ports import LightSignal, Tune
from device.hardware.sim.buzzer import SimBuzzer
from device.hardware.sim.gate import SimGate
from device.hardware.sim.journal import HISTORY_CHANGES, Journal
from device.hardware.sim.lights import SimLights

GREEN = (0.0, 1.0, 0.0)


def test_parts_tell_one_story_in_order(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path=path)
    lights, buzzer, gate = SimLights(journal=journal), SimBuzzer(journal=journal), SimGate(journal=journal)
    lights.show(LightSignal(steps=((GREEN, 5000),), repeat=False, total_ms=5000, colour_name="green"))
    gate.open(5000)
    buzzer.play(Tune(steps=((960, 5000),)))
    for part in (gate, lights, buzzer):
        part.shutdown()
    told = [(change.part, change.name, change.value) for change in journal.changes]
    assert told == [
        ("lights", "dark", (0.0, 0.0, 0.0)),
        ("buzzer", "silent", 0),
        ("gate", "shut", False),
        ("lights", "green", GREEN),
        ("gate", "open", True),
        ("buzzer", "960 Hz", 960),
        ("gate", "shut", False),
        ("lights", "dark", (0.0, 0.0, 0.0)),
        ("buzzer", "silent", 0),
    ]
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(c["part"], c["name"]) for c in written] == [(part, name) for part, name, _ in told]
    assert written[3]["value"] == [0.0, 1.0, 0.0]
    assert [c["at_mono_ns"] for c in written] == sorted(c["at_mono_ns"] for c in written)
    journal.close()
    journal.close()


def test_memory_is_bounded():
    journal = Journal()
    for tone_hz in range(HISTORY_CHANGES + 5):
        journal.record(part="buzzer", name="x", value=tone_hz)
    assert len(journal.changes) == HISTORY_CHANGES
    assert journal.changes[0].value == 5


def test_a_terminal_gets_colour_and_a_file_plain_text():
    plain = io.StringIO()
    Journal(terminal=plain).record(part="lights", name="green", value=GREEN)
    assert plain.getvalue() == "lights green\n"
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    Journal(terminal=terminal).record(part="lights", name="green", value=GREEN)
    assert terminal.getvalue() == "\x1b[48;2;0;255;0m    \x1b[0m lights green\n"


def test_what_was_switched_is_written_even_when_the_process_is_killed_next(tmp_path):
    path = tmp_path / "journal.jsonl"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from device.hardware.sim.gate import SimGate\n"
        "from device.hardware.sim.journal import Journal\n"
        "SimGate(journal=Journal(path=Path(sys.argv[1]))).open(5000)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=False, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
    )
    assert ended.returncode == -signal.SIGKILL
    assert [json.loads(line)["value"] for line in path.read_text().splitlines()] == [False, True]
