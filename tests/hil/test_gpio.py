"""The product's outputs on an emulated Raspberry Pi 3B, its pins read from outside, by Debian's kernel in both modes.

`persist`: the kernel keeps outputs when their process is gone, as Raspberry Pi's own kernels do.
"""

import itertools

import pytest

from deploy.hil.mirror import ROOT
from deploy.hil.pi import image
from deploy.hil.pi.machine import VirtualPi
from device.gate import WATCH_S
from device.machinefile import PiHardware
from device.parts import pins
from device.scan.indicate import FACES
from protocol.terms import Colour

# One machine at a time, and nothing beside it: a second here is a second.
pytestmark = [pytest.mark.hil, pytest.mark.alone]

PINS = pins(PiHardware())
OUTPUTS = [pin for pin, _ in PINS.off_levels()]
"""All of them active high, as by default: off is low, or not driven."""

WITHIN_S = 1.0
BOOT_S = 60.0


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(False, id="mainline"),
        pytest.param(True, id="persist"),
    ],
)
def pi(request):
    log = ROOT / f".artefacts/hil/gpio-{'persist' if request.param else 'mainline'}.log"
    with VirtualPi(image.build(), persist=request.param, log=log) as machine:
        ready = machine.hear("ready", within_s=BOOT_S)
        assert ready["kernel"].startswith("6.12")
        machine.persist = request.param
        machine.tell("wire")
        machine.hear("wired")
        yield machine


def share(seen, pin):
    """How much of the time a pin was high."""
    spans = [(one.high(pin), other.at_s - one.at_s) for one, other in itertools.pairwise(seen)]
    return sum(span for high, span in spans if high) / sum(span for _, span in spans)


def high_s(seen, pin):
    return share(seen, pin) * (seen[-1].at_s - seen[0].at_s)


def changes(seen, pin):
    return sum(one.high(pin) != other.high(pin) for one, other in itertools.pairwise(seen))


def between(seen, first_s, last_s):
    return [look for look in seen if first_s <= look.at_s - seen[0].at_s <= last_s]


def is_off(look):
    return not any(look.high(pin) for pin in OUTPUTS)


def test_light_tone_and_relay_are_what_each_decision_says(pi):
    pi.tell("show admit hold refuse grey")
    open_s = pi.hear("built")["open_ms"] / 1000
    seen = {}
    for name in ("admit", "hold", "refuse", "grey"):
        assert pi.hear("shown")["name"] == name
        seen[name] = pi.watch(3.5)
        pi.tell("next")
    pi.hear("dark")

    lit = {
        name: [share(between(looks, 0.1, 2.8), pin) for pin in (PINS.red, PINS.green, PINS.blue)]
        for name, looks in seen.items()
    }
    red, green, blue = lit["admit"]
    assert (red, blue) == (0, 0)
    assert green > 0.95, "steady"
    red, green, blue = lit["hold"]
    assert blue == 0
    assert 0.3 < red < 0.7, "yellow, half of each second"
    assert 0.1 < green < red, "red and, at seven tenths, green"
    red, green, blue = lit["refuse"]
    assert (green, blue) == (0, 0)
    assert 0.3 < red < 0.7
    red, green, blue = lit["grey"]
    assert (red, green) == (0, 0)
    assert 0.1 < blue < 0.45, "two flashes a second"
    assert 4 <= changes(seen["hold"], PINS.red) <= 8, "1 Hz"
    assert 16 <= changes(seen["refuse"], PINS.red) <= 28, "4 Hz"

    assert high_s(seen["admit"], PINS.relay) == pytest.approx(open_s, abs=0.25)
    assert changes(seen["admit"], PINS.relay) == 1, "energised when it was first looked at, released by itself"
    for name in ("hold", "refuse", "grey"):
        assert share(seen[name], PINS.relay) == 0, name

    for name, colour in (
        ("admit", Colour.GREEN),
        ("hold", Colour.YELLOW),
        ("refuse", Colour.RED),
        ("grey", Colour.GREY),
    ):
        sounds_s = FACES[colour].tune.total_ms / 1000
        assert changes(between(seen[name], 0, min(sounds_s, 3.0)), PINS.buzzer) >= 20, f"{name}: a tone"
        assert share(between(seen[name], sounds_s + 0.2, 3.5), PINS.buzzer) == 0, f"{name}: silent after its tune"
    assert all(is_off(looks[-1]) for looks in seen.values()), "dark, silent and shut after the light's time"


def test_a_tone_leaves_its_line_low_wherever_in_its_wave_it_ends(pi):
    """lgpio ends a tone where it is: half of them left the line high."""
    times, left_high = 20, 0
    pi.tell(f"beep {times}")
    for _ in range(times):
        pi.hear("silent")
        left_high += pi.look().high(PINS.buzzer)
        pi.tell("next")
    pi.hear("dark")
    assert left_high == 0


def energised(pi):
    # How often `device.gate` looks whether it is to end.
    pi.tell(f"hold {WATCH_S}")
    pi.hear("open")
    assert pi.look().high(PINS.relay)


def test_what_the_kernel_does_with_the_relay_of_a_killed_process(pi):
    """Why `safe` is needed: where outputs persist, nobody releases it."""
    energised(pi)
    pi.tell("end SIGKILL")
    assert pi.hear("died")["code"] == -9
    looks = pi.watch(2.0)
    assert looks[-1].high(PINS.relay) is pi.persist
    assert looks[-1].output(PINS.relay) is pi.persist
    # By the configuration, as the folder that the gate's unit had may be gone.
    pi.tell("forget")
    pi.hear("forgotten")
    pi.tell("safe")
    assert pi.hear("safe")["code"] == 0
    assert is_off(pi.look())


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL safe", "SIGABRT safe"])
@pytest.mark.parametrize("time", range(2))
def test_the_relay_is_off_within_a_second_of_any_death(pi, end, time):
    """SIGTERM: systemd stops it. SIGKILL: memory, or a person. SIGABRT: the watchdog. `safe` is ExecStopPost=."""
    energised(pi)
    pi.tell(f"end {end}")
    looks = pi.watch(10 * WITHIN_S, until=is_off)
    assert is_off(looks[-1]), "relay, light and buzzer"
    off_s = next(look.at_s for look in looks if not look.high(PINS.relay)) - looks[0].at_s
    died = pi.hear("died")
    assert died["code"] == {"SIGTERM": 0, "SIGKILL": -9, "SIGABRT": -6}[end.split()[0]]
    if "safe" in end:
        assert pi.hear("safe")["code"] == 0
    assert off_s < WITHIN_S, f"the relay was energised for {off_s:.2f} s, of the guest's time and ours"
    settled = pi.watch(0.3)
    assert all(map(is_off, settled)), "and it stays off"
