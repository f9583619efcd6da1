from dataclasses import replace
from itertools import combinations

import pytest

from device.hardware.ports import OPEN_MAX_MS, SIGNAL_MAX_MS
from device.hardware.sim.buzzer import SimBuzzer
from device.hardware.sim.gate import SimGate
from device.hardware.sim.journal import Journal
from device.hardware.sim.lights import SimLights
from device.scan.indicate import (
    ENROLLED,
    FACES,
    GREEN_HELD,
    LOCATE,
    LOCATE_MAX_S,
    NOTICE_ADMITTED,
    REFUSED,
    UNENROLLED,
    WAITING,
    WAITING_MS,
    Indicator,
    face_of,
)
from device.scan.online import BUDGET_MS
from protocol.policy import GatePolicy, QuietHours
from protocol.reasons import Reason
from protocol.terms import Colour, Verdict
from protocol.verdict import Decision, grey

POLICY = GatePolicy(device=bytes(8), version=1, issued_s=0, place="p", gate="g", light_ms=1000, open_ms=1000)
NIGHT = QuietHours(from_min=22 * 60, to_min=6 * 60, utc_offset_min=8 * 60)
MIDNIGHT_MS, NOON_MS = 16 * 3_600_000, 4 * 3_600_000
"""In a place eight hours ahead of UTC."""

OPENS = (1760, 120)
GREEN = Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK)
RED = Decision(colour=Colour.RED, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED)


class Gate:
    def __init__(self):
        self.journal = Journal()
        self.lights = SimLights(journal=self.journal)
        self.buzzer = SimBuzzer(journal=self.journal)
        self.relay = SimGate(journal=self.journal)
        self.indicator = Indicator(lights=self.lights, buzzer=self.buzzer, gate=self.relay)

    def show(self, decision, *, now_ms=NOON_MS, **policy):
        self.indicator.show(decision, policy=replace(POLICY, **policy), now_ms=now_ms)

    def lit(self):
        return [change.name for change in self.journal.changes if change.part == "lights"][-1]


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    for part in (gate.lights, gate.buzzer, gate.relay):
        part.shutdown()


def test_every_colour_has_its_own_rhythm_and_tune():
    assert set(FACES) == set(Colour)
    faces = [*FACES.values(), NOTICE_ADMITTED, UNENROLLED, LOCATE]
    for one, other in combinations(faces, 2):
        assert one.tune is None or one.tune != other.tune
        on_off = [tuple((rgb != (0, 0, 0), ms) for rgb, ms in face.rhythm) for face in (one, other)]
        assert on_off[0] != on_off[1], "told apart without seeing colours"
    assert WAITING.tune is None
    assert {rgb for rgb, _ in WAITING.rhythm} == {(0.0, 0.0, 1.0)}


@pytest.mark.parametrize("colour", Colour)
@pytest.mark.parametrize("verdict", Verdict)
def test_the_tone_of_an_open_gate_sounds_when_it_opens_and_only_then(gate, colour, verdict):
    face = face_of(Decision(colour=colour, verdict=verdict, reason=Reason.OK))
    possible = verdict is Verdict.ADMIT and colour in {Colour.GREEN, Colour.NOTICE}
    if verdict is not Verdict.ADMIT or possible:
        assert (OPENS in face.tune.steps) == possible
    assert all(OPENS not in face.tune.steps for face in (ENROLLED, REFUSED))


def test_green_opens(gate):
    gate.show(GREEN)
    assert gate.lights.rgb == (0.0, 1.0, 0.0)
    assert gate.relay.energised
    assert gate.buzzer.tone_hz == 1760


def test_a_green_that_policy_holds_neither_opens_nor_looks_as_if_it_did(gate):
    gate.show(Decision(colour=Colour.GREEN, verdict=Verdict.HOLD, reason=Reason.OK))
    assert not gate.relay.energised
    assert gate.lit() == "green_held"
    assert gate.buzzer.tone_hz == 880
    assert (GREEN_HELD.rhythm, GREEN_HELD.tune) == (FACES[Colour.NOTICE].rhythm, FACES[Colour.NOTICE].tune)


def test_a_notice_that_policy_admits_opens_and_sounds_so(gate):
    gate.show(Decision(colour=Colour.NOTICE, verdict=Verdict.ADMIT, reason=Reason.NOTICE))
    assert gate.relay.energised
    assert gate.lit() == "notice_admitted"
    assert NOTICE_ADMITTED.tune.steps[-1] == OPENS


@pytest.mark.parametrize("colour", Colour)
@pytest.mark.parametrize("verdict", [Verdict.HOLD, Verdict.REFUSE])
def test_whatever_is_not_admitted_never_opens(gate, colour, verdict):
    gate.show(Decision(colour=colour, verdict=verdict, reason=Reason.NOTICE))
    assert not gate.relay.energised


def test_the_next_person_never_shuts_the_gate_on_the_one_before(gate):
    gate.show(GREEN)
    gate.show(RED)
    assert gate.relay.energised
    assert gate.lights.rgb == (1.0, 0.0, 0.0)


def test_the_policy_in_force_says_how_long(gate, monkeypatch):
    opened, lit = [], []
    monkeypatch.setattr(gate.relay, "open", opened.append)
    monkeypatch.setattr(gate.lights, "show", lambda signal: lit.append(signal.total_ms))
    gate.show(GREEN, light_ms=5000, open_ms=OPEN_MAX_MS)
    gate.show(GREEN, light_ms=1, open_ms=1)
    gate.show(RED, light_ms=60_000)
    assert (opened, lit) == ([OPEN_MAX_MS, 1], [5000, 1, 60_000])


@pytest.mark.parametrize("decision", [GREEN, grey(Reason.EXPIRED), replace(RED, colour=Colour.YELLOW)])
def test_in_quiet_hours_it_only_lights(gate, decision):
    gate.show(RED, quiet=NIGHT, now_ms=MIDNIGHT_MS)
    assert gate.buzzer.tone_hz == 960, "the siren is for everybody around"
    gate.show(decision, quiet=NIGHT, now_ms=MIDNIGHT_MS)
    assert gate.buzzer.tone_hz == 0, "and was for the person before"
    assert gate.lit() == decision.colour.wire_name
    gate.show(decision, quiet=NIGHT, now_ms=NOON_MS)
    assert gate.buzzer.tone_hz != 0


def test_quiet_hours_begin_and_end_on_the_minute_of_the_place(gate):
    for now_ms, quiet in [(0, True), (-1, True), (14 * 3_600_000, True), (14 * 3_600_000 - 1, False)]:
        gate.show(GREEN, quiet=replace(NIGHT, to_min=8 * 60 + 1), now_ms=now_ms)
        assert (gate.buzzer.tone_hz == 0) == quiet, now_ms


def test_waiting_is_steady_blue_for_longer_than_any_answer_takes_and_silent(gate):
    gate.indicator.waiting()
    assert (gate.lit(), gate.lights.rgb, gate.buzzer.tone_hz) == ("waiting", (0.0, 0.0, 1.0), 0)
    assert WAITING_MS > BUDGET_MS
    assert not gate.relay.energised


def test_the_life_of_a_device_has_its_faces(gate):
    gate.indicator.unenrolled()
    assert (gate.lit(), gate.buzzer.tone_hz) == ("unenrolled", 0)
    gate.indicator.enrolled()
    assert (gate.lit(), gate.buzzer.tone_hz) == ("enrolled", 659)
    first, last = (tone for tone in ENROLLED.tune.steps if tone[0])
    assert first[0] < last[0], "rising"
    gate.indicator.refused()
    assert (gate.lit(), gate.buzzer.tone_hz) == ("refused", 220)
    assert not gate.relay.energised


@pytest.mark.parametrize("seconds", [1, 2, 31, 32, 33, 299, LOCATE_MAX_S])
def test_a_gate_is_located_by_light_and_beeps_for_as_long_as_asked(gate, monkeypatch, seconds):
    lit, played = [], []
    monkeypatch.setattr(gate.lights, "show", lit.append)
    monkeypatch.setattr(gate.buzzer, "play", played.append)
    gate.indicator.locate(seconds)
    gate.indicator.locate(seconds, quiet=True)
    assert [signal.total_ms for signal in lit] == [seconds * 1000] * 2
    assert len(played) == 1
    assert 0.9 * seconds * 1000 < played[0].total_ms <= seconds * 1000 <= SIGNAL_MAX_MS


@pytest.mark.parametrize("seconds", [0, -1, LOCATE_MAX_S + 1])
def test_nobody_is_located_for_ever(gate, seconds):
    with pytest.raises(ValueError):
        gate.indicator.locate(seconds)


class Words:
    def __init__(self, journal):
        self.journal, self.told = journal, []

    def tell(self, prompt, *, total_ms, quiet):
        self.told.append((prompt.name, total_ms, quiet, len(self.journal.changes)))

    def shutdown(self):
        pass


@pytest.fixture
def speaking(gate):
    words = Words(gate.journal)
    gate.indicator = Indicator(lights=gate.lights, buzzer=gate.buzzer, gate=gate.relay, prompters=(words,))
    return words


def test_words_come_after_light_gate_and_sound_for_as_long_as_the_light(gate, speaking):
    before = len(gate.journal.changes)
    gate.show(GREEN, light_ms=1234)
    [(name, total_ms, quiet, changes)] = speaking.told
    assert (name, total_ms, quiet) == ("admit", 1234, False)
    assert changes - before >= 3, "light, relay and tone were there first"


def test_a_voice_is_told_of_quiet_hours_also_for_red(gate, speaking):
    gate.show(RED, quiet=NIGHT, now_ms=MIDNIGHT_MS)
    gate.show(GREEN, quiet=NIGHT, now_ms=NOON_MS)
    assert [told[2] for told in speaking.told] == [True, False]


def test_the_words_of_an_enrolment_stay_until_they_are_compared(gate, speaking):
    gate.indicator.fingerprint(("anchor", "violet", "museum", "candle"), "山河日月")
    gate.indicator.enrolled()
    gate.indicator.waiting()
    gate.indicator.refused()
    assert [told[0] for told in speaking.told] == ["words", "enrolled", "looking", "failed"]
    assert speaking.told[0][1] == SIGNAL_MAX_MS
