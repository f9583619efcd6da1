"""Inside the emulated Pi: drives the product's parts as it is told, a line of the console at a time.

wire KEY=VALUE ...   how the gate is wired from now on: `[hardware]` of its device.toml
show NAME ...        the faces of decisions, each after a line that follows, by the real indicator on the real pins
beep N               the buzzer sounds a short tone N times, each after a line that follows
hold TICK_S          a process of the product's opens the gate, lights red and sounds the siren, and stays so
end SIGNAL           that process is sent SIGNAL, and is waited for
end SIGNAL safe      ... and then `gatelight-device safe` runs, as systemd's ExecStopPost= has it
forget               what the gate left for `safe` is gone
safe                 `gatelight-device safe` runs

What drives pins is a process of its own each time, which begins with everything imported that may be: importing takes
the emulated processor seconds. `safe` is a program of its own, started as it is on a Pi.
"""

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

# Only for what follows to have it already. Not lgpio, which starts a thread of its own when it is imported.
import device.hardware.pi.button
import device.hardware.pi.buzzer
import device.hardware.pi.gate
import device.hardware.pi.lights  # noqa: F401
from device import parts
from device.config import load_machine
from device.hardware.ports import OPEN_MAX_MS, LightSignal, Tune
from device.scan.indicate import FACES, Indicator
from device.stop import Stop
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import Colour, Verdict
from protocol.verdict import Decision, grey

CONFIG = Path("/etc/gatelight/device.toml")
RUNTIME = Path("/run/gatelight")
PROGRAM = "/opt/gatelight/bin/gatelight-device"
MACHINE = """
state_dir = "/var/lib/gatelight"
[camera]
kind = "pi"
[hardware]
kind = "pi"
"""

DECISIONS = {
    "admit": Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK),
    "hold": Decision(colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.COLOUR_YELLOW),
    "refuse": Decision(colour=Colour.RED, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED),
    "grey": grey(Reason.UNKNOWN_ISSUER),
}
POLICY = GatePolicy(device=bytes(8), version=1, issued_s=0, place="p", gate="g", light_ms=3000, open_ms=1000)


def say(word: str, **fields: object) -> None:
    """A line that the other side waits for, in one piece: two processes may speak."""
    os.write(1, f"HIL {word} {json.dumps(fields)}\n".encode())


heard = 0
"""The number of the last line that was heard."""


def hear() -> list[str]:
    """The next line's words, once, however often it is sent. A line is `number words... check`, and is answered `got`.

    An emulated serial line drops a byte at times: what does not fit its check was not said.
    """
    global heard  # noqa: PLW0603 - a process apart hears on where the one before has stopped
    # Not `for line in sys.stdin`, which may read on what a process apart is to read.
    while line := sys.stdin.readline():
        text, _, check = line.strip().rpartition(" ")
        if f"{zlib.crc32(text.encode()):08x}" != check:
            continue
        number, *words = text.split()
        say("got", number=int(number))
        if int(number) > heard:
            heard = int(number)
            return words
    raise SystemExit("the console is gone")


def apart(work: Callable[[], None]) -> int:
    """A process of its own that does `work`; its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except Exception as error:
        say("failed", error=repr(error))
        raise
    finally:
        os._exit(code)


def show(names: list[str]) -> None:
    """Each decision, until the next is asked for."""
    with parts.hardware(load_machine(CONFIG).hardware) as hardware:
        indicator = Indicator(lights=hardware.lights, buzzer=hardware.buzzer, gate=hardware.gate)
        say("built", light_ms=POLICY.light_ms, open_ms=POLICY.open_ms)
        for name in names:
            indicator.show(DECISIONS[name], policy=POLICY, now_ms=0)
            say("shown", name=name)
            hear()
    say("dark")


def beep(times: int) -> None:
    """Tones that end anywhere in their wave."""
    with parts.hardware(load_machine(CONFIG).hardware) as hardware:
        for _ in range(times):
            hardware.buzzer.play(Tune(steps=((880, 60),)))
            time.sleep(0.12)
            say("silent")
            hear()
    say("dark")


def hold(tick_s: float) -> None:
    """Everything on, until SIGTERM, as `device.main` does it: the handler asks for the end, and the parts switch off
    on the way out.
    """
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.signalled)
    red = FACES[Colour.RED]
    with parts.hardware(load_machine(CONFIG).hardware) as hardware:
        assert red.tune is not None  # noqa: S101 - the siren
        hardware.buzzer.play(Tune(steps=red.tune.steps * 10))
        hardware.lights.show(LightSignal(steps=red.rhythm, repeat=True, total_ms=OPEN_MAX_MS, colour_name=red.name))
        hardware.gate.open(OPEN_MAX_MS)
        say("open")
        while not stop.wait(tick_s):
            pass


def end(holder: int, name: str, *, safely: bool) -> None:
    """`holder` dies by a signal; `died` tells after how long, and how, and `safe` how long that ran."""
    sent_s = time.monotonic()
    os.kill(holder, signal.Signals[name])
    _, status = os.waitpid(holder, 0)
    died_s = time.monotonic()
    running = safe() if safely else None
    say("died", code=os.waitstatus_to_exitcode(status), after_s=died_s - sent_s)
    if running is not None:
        code = running.wait()
        say("safe", code=code, took_s=time.monotonic() - died_s)


def safe() -> "subprocess.Popen[bytes]":
    """As the unit has it."""
    return subprocess.Popen([PROGRAM, "safe", "--config", str(CONFIG)])


def wire(pairs: list[str]) -> None:
    """A new device.toml."""
    lines = "".join(f"{pair.replace('=', ' = ')}\n" for pair in pairs)
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(MACHINE + lines, encoding="utf-8")


def main() -> None:
    """Do as the console says, until the machine is ended."""
    # As the unit's RuntimeDirectory=.
    os.environ["RUNTIME_DIRECTORY"] = str(RUNTIME)
    RUNTIME.mkdir(parents=True)
    say("ready", kernel=os.uname().release)
    holder = 0
    while True:
        match hear():
            case ["wire", *pairs]:
                wire(pairs)
                say("wired")
            case ["show", *names]:
                os.waitpid(apart(lambda: show(names)), 0)
            case ["beep", times]:
                os.waitpid(apart(lambda: beep(int(times))), 0)
            case ["hold", tick_s]:
                holder = apart(lambda: hold(float(tick_s)))
            case ["end", name, *rest]:
                end(holder, name, safely=bool(rest))
            case ["forget"]:
                (RUNTIME / "off").unlink()
                say("forgotten")
            case ["safe"]:
                say("safe", code=safe().wait())


main()
