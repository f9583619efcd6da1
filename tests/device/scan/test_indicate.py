from itertools import combinations

import pytest

from device.hardware.sim.buzzer import SimBuzzer
from device.hardware.sim.gate import SimGate
from device.hardware.sim.journal import Journal
from device.hardware.sim.lights import SimLights
from device.model import Decision
from device.scan.indicate import RHYTHMS, TUNES, Indicator
from protocol.reasons import Reason
from protocol.terms import Colour, Verdict


@pytest.fixture
def gate():
    journal = Journal()
    lights, buzzer, relay = SimLights(journal=journal), SimBuzzer(journal=journal), SimGate(journal=journal)
    yield Indicator(lights=lights, buzzer=buzzer, gate=relay, light_ms=1000, open_ms=1000), lights, buzzer, relay
    for part in (lights, buzzer, relay):
        part.shutdown()


def test_every_colour_has_its_own_rhythm_and_tune():
    assert set(RHYTHMS) == set(TUNES) == set(Colour)
    for one, other in combinations(Colour, 2):
        assert TUNES[one] != TUNES[other]
        on_off = [tuple((rgb != (0, 0, 0), ms) for rgb, ms in RHYTHMS[colour]) for colour in (one, other)]
        assert on_off[0] != on_off[1], "told apart without seeing colours"


def test_green_opens(gate):
    indicator, lights, buzzer, relay = gate
    indicator.show(Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK))
    assert lights.rgb == (0.0, 1.0, 0.0)
    assert relay.energised
    assert buzzer.tone_hz == 1760


@pytest.mark.parametrize("colour", [Colour.RED, Colour.YELLOW, Colour.NOTICE, Colour.GREY])
def test_whatever_is_not_admitted_never_opens(gate, colour):
    indicator, _, _, relay = gate
    indicator.show(Decision(colour=colour, verdict=Verdict.HOLD, reason=Reason.NOTICE))
    assert not relay.energised


def test_the_next_person_never_shuts_the_gate_on_the_one_before(gate):
    indicator, lights, _, relay = gate
    indicator.show(Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK))
    indicator.show(Decision(colour=Colour.RED, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED))
    assert relay.energised
    assert lights.rgb == (1.0, 0.0, 0.0)
