"""What a terminal shows, and what a log file gets."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from deploy.sandbox.counters import Counters
from deploy.sandbox.crowd import CrowdCount, Passage, Scan
from deploy.sandbox.gate import GatePlan, SandboxGate
from deploy.sandbox.people import Person, Showing
from deploy.sandbox.readings import parse_metrics
from deploy.sandbox.view import SiteView, gate_panel, pace_per_min
from protocol.terms import Colour


def scan(colour="green", verdict="admit", reason="ok", seq=1):
    return Scan(seq=seq, colour=colour, verdict=verdict, reason=reason, frame_to_light_ms=12.34, spool=2)


@pytest.fixture
def gate(tmp_path):
    plan = GatePlan(
        device_id=bytes(8),
        place="mall",
        place_name="江北商场 Mall",
        gate="G1",
        direction="in",
        config=tmp_path,
        camera_socket=tmp_path,
    )
    return SandboxGate(plan, command=["true"], log_file=tmp_path / "log")


@pytest.fixture
def site(gate):
    other = gate
    return SimpleNamespace(
        gates=[gate, other],
        joined=[],
        broker=SimpleNamespace(pid=1),
        count=CrowdCount(people=7, shown=8),
        layout=SimpleNamespace(pages_url="http://pages", hub_url="http://hub"),
    )


def drawn(renderable):
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="truecolor")
    console.print(renderable)
    return console.file.getvalue()


def plain(renderable):
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [
        ("green", "20;150;70"),
        ("red", "190;40;40"),
        ("yellow", "230;180;20"),
        ("notice", "150;190;60"),
        ("grey", "70;90;150"),
    ],
)
def test_the_light_of_the_last_answer_stands_for_a_while_and_then_goes_out(gate, colour, rgb):
    gate.scans.append(scan(colour=colour))
    gate.recent_s.append(100.0)
    assert f"48;2;{rgb}" in drawn(gate_panel(gate, now_s=101.0))
    assert f"48;2;{rgb}" not in drawn(gate_panel(gate, now_s=104.0))


def test_a_gate_shows_its_answer_its_milliseconds_and_its_spool(gate):
    gate.scans.append(scan(colour="grey", verdict="hold", reason="already_used"))
    gate.recent_s.append(100.0)
    text = plain(gate_panel(gate, now_s=100.1))
    for part in ("G1", "江北商场", "hold · already_used", "12.3 ms", "此码刚刚已使用", "2"):
        assert part in text


def test_a_gate_without_answers_or_with_an_unknown_reason_is_drawn_too(gate):
    assert "restarting" in plain(gate_panel(gate, now_s=1.0))
    gate.scans.append(scan(reason="brand_new"))
    assert "brand_new" in plain(gate_panel(gate, now_s=1.0))


def test_the_picture_holds_everything(site):
    counters = Counters(hub_up=True, platform_up=False, hub={"checkins_stored_total": 41.0, "outbox_rows": 3.0})
    view = SiteView(site, counters=counters, console=Console(file=io.StringIO()))
    person = Person(number=1, name="张伟", colour=Colour.GREEN, showing=Showing.BORROWED)
    view.passed(Passage(person=person, lane=0, scan=scan()))
    view.passed(Passage(person=person, lane=1, scan=None))
    view.note("note")
    text = plain(view._picture(1.0))
    for part in ("Gatelight", "41", "outbox 3", "张伟", "borrowed", "http://pages", "restarting", "note"):
        assert part in text


def test_without_a_terminal_there_are_lines(site, gate):
    console = Console(file=io.StringIO(), width=40)
    view = SiteView(site, counters=Counters(platform={"distinct": 5}), console=console)
    gate.scans.append(scan(colour="red"))
    assert view._plain_line() == "people=7 shown=8 G1:red/1 G1:red/1 hub=0 outbox=0 platform=5 again=0"
    view.note("a long sentence that would not fit into forty columns at all")
    assert console.file.getvalue().count("\n") == 1


def test_the_pace_is_that_of_the_last_minute(gate):
    assert pace_per_min(gate, now_s=0) == 0
    gate.recent_s.extend([0.0, 100.0, 110.0, 120.0])
    assert pace_per_min(gate, now_s=130.0) == pytest.approx(3 * 60 / 30)


def test_metrics_are_read_by_name_and_labelled_or_broken_ones_are_not():
    text = '# HELP x\ngatelight_hub_outbox_rows 3.0\ngatelight_hub_refused_total{reason="x"} 1.0\nother 2\ngatelight_hub_bad x\n'
    assert parse_metrics(text) == {"outbox_rows": 3.0}
