"""The frame of the benches: that it renders, and that every target has its bench. No time is asserted here."""

import sys
from pathlib import Path

import pytest

# Last on the path, so that the benches' names hide nobody else's.
sys.path.append(str(Path(__file__).parent))

import bench
import report
from result import TARGETS, Plot, Result, Row, read


def made(name: str = "scan_work", *, met: bool | None = True, kind: str | None = None) -> Result:
    return Result(
        name=name,
        title="what a frame costs",
        target="≤ 1.6 ×",
        seen="1.25 ×",
        met=met,
        table=[
            Row(what="whole path", ours=1234.5678, unit="µs", baseline="decoder alone", baseline_value=987.654),
            Row(what="a size", ours=42, unit="MB"),
        ],
        method="By turns.",
        notes=["fsync apart"],
        # Without a plot, what is tested here needs no matplotlib.
        series={"ours": [float(n) for n in range(1000)], "theirs": [2.0, 1.0]} if kind else {},
        plot=Plot(kind=kind or "distribution", x_label="ms", labels=("a", "b")),
        machine={"processor": "a processor", "date": "2026-01-01"},
    )


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "performance").mkdir()
    return tmp_path


def test_what_is_written_is_read_back(docs):
    written = made(kind="lines")
    found = read(written.write(docs / "performance"))
    assert found.table[0].ratio == pytest.approx(1.25, abs=0.001)
    assert found.table[1].ratio is None
    assert found.plot == written.plot
    assert found.series == written.series


def test_the_report_names_every_target_and_shows_misses(docs):
    made().write(docs / "performance")
    made("start", met=False).write(docs / "performance")
    made("micro", met=None).write(docs / "performance")
    page = report.render(docs).read_text()
    rows = {
        name: line for line in page.splitlines() for name in TARGETS if line.startswith((f"| [{name}](", f"| {name} |"))
    }
    assert rows.keys() == TARGETS.keys()
    assert rows["scan_work"].endswith("**met** |")
    assert rows["start"].endswith("**missed** |")
    assert rows["ingest"].endswith("not measured |")
    assert "| whole path | 1,235 | µs | decoder alone | 988 | 1.25 |" in page
    assert "| a size | 42 | MB |  |  |  |" in page
    assert page.index("## start") < page.index("## micro")


def test_links_lead_to_headings(docs):
    made().write(docs / "performance")
    assert "(#scan_work-what-a-frame-costs)" in report.render(docs).read_text()


@pytest.mark.parametrize("kind", ["distribution", "lines", "bars"])
def test_a_plot_is_small_and_the_same_every_time(docs, kind):
    pytest.importorskip(
        "matplotlib", reason="MATPLOTLIB IS NOT INSTALLED, no plot was drawn: `deploy/setup proof` installs it"
    )
    result = made(kind=kind)
    if kind == "bars":
        result.series["ours"][:] = [1.0, 3.0]
    result.write(docs / "performance")
    drawn = []
    for _ in range(2):
        report.render(docs)
        drawn.append((docs / "performance" / "scan_work.svg").read_bytes())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) < 40_000


def test_every_target_has_its_bench():
    assert TARGETS.keys() <= set(bench.names())


def test_the_committed_report_is_what_its_figures_give(docs):
    kept = Path(bench.ROOT, "docs")
    for path in (kept / "performance").glob("*.json"):
        (docs / "performance" / path.name).write_bytes(path.read_bytes())
    results = report.in_order([read(path) for path in (docs / "performance").glob("*.json")])
    assert "\n".join(report.text(results)) == (kept / "performance.md").read_text()
