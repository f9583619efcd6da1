"""Rounds -> a table between two marks of a document."""

import json

from deploy.sandbox.faults.plan import Kind, blow_of
from deploy.sandbox.faults.report import SECTION, Recovery, figures, main
from deploy.sandbox.faults.round import Round

BEGIN, END = f"<!-- {SECTION}: rendered -->", f"<!-- {SECTION}: end -->"
MACHINE = {"date": "2026-11-22", "cpu": "some"}


def row(seed, **changed):
    broken = Round.broken(blow_of(seed), "x").as_json()
    return {**broken, "failures": [], "people": 10, "checkins": 9, **changed}


def test_figures_stand_between_the_marks_and_the_rest_stays(tmp_path):
    results, document = tmp_path / "rounds.jsonl", tmp_path / "page.md"
    lines = [{"machine": MACHINE}, row(0, lost=5), row(0), row(1, recovery_s=2.5, waiting=3), {"machine": MACHINE}]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main(results, document)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("cpu some") == 1
    # The later of two plays of a seed counts.
    assert "| **all** | 2 | 20 | 18 | 0 | 3 | 2.5 / 2.5 / 2.5 | 0 | 0 | 0 | 0 |" in text
    assert "No round failed." in text


def test_a_round_that_failed_is_named():
    found = figures([row(0), row(1, lost=1, failures=["G1: 1 check-ins never reached the platform"])])
    assert [bad["seed"] for bad in found.failed] == [1]
    assert "1 failed" in found.summary()[0]
    assert "lost 1" in found.summary()[0]
    assert list(found.kinds()) == [Kind.KILL, Kind.KILL_TWO]


def test_recovery_counts_rounds_in_which_something_waited():
    rows = [row(n, recovery_s=None if n < 50 else float(n)) for n in range(100)]
    found = Recovery.of(rows)
    assert (found.n, found.p50_s, found.p95_s, found.longest_s) == (50, 75.0, 97.0, 99.0)
    assert str(Recovery.of([])) == "–"
