"""Red that should not be, and what lights and relays say by themselves."""

import json

from deploy.sandbox.crowd import Passage, Scan
from deploy.sandbox.faults.people import Lit, Meetings, lit
from deploy.sandbox.people import Person, Showing
from protocol.terms import Colour


def met(meetings, colour, shown):
    person = Person(number=1, name="王伟", colour=colour, showing=Showing.LIVE)
    scan = Scan(seq=1, colour=shown, verdict="refuse", reason="x", frame_to_light_ms=1.0, spool=0)
    meetings.passed(Passage(person=person, lane=0, scan=scan))


def test_red_is_wrong_for_whoever_is_not_red():
    meetings = Meetings()
    met(meetings, Colour.RED, "red")
    met(meetings, Colour.GREEN, "grey")
    assert not meetings.wrongly_red
    met(meetings, Colour.GREEN, "red")
    assert len(meetings.wrongly_red) == 1
    assert (meetings.people, meetings.reds, meetings.greys, meetings.greens) == (3, 2, 1, 0)


def test_lights_that_blink_are_one_showing_and_a_torn_last_line_is_none(tmp_path):
    path = tmp_path / "G1.lights"
    changes = [
        ("lights", "red"),
        ("lights", "red"),
        ("buzzer", "off"),
        ("lights", "dark"),
        ("lights", "red"),
        ("gate", "open"),
        ("gate", "shut"),
        ("gate", "open"),
    ]
    lines = [json.dumps({"part": part, "name": name}) + "\n" for part, name in changes]
    path.write_text("".join(lines) + '{"part": "gate", "na')
    assert lit(path) == Lit(red=2, opened=2)
