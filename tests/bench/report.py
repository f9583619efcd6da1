"""docs/performance.md and its plots, from the JSON files beside them. The same files always give the same report."""

from pathlib import Path

from result import TARGETS, Plot, Result, Row, read

POINTS_MAX = 200
SIZE_IN = (6.4, 2.6)
HEAD = ("| what | ours | | baseline | | ratio |", "|---|---:|---|---|---:|---:|")
VERDICTS = {True: "**met**", False: "**missed**", None: "–"}


def render(docs: Path) -> Path:
    """Write docs/performance.md from docs/performance/*.json."""
    folder = docs / "performance"
    results = in_order([read(path) for path in sorted(folder.glob("*.json"))])
    for path in folder.glob("*.svg"):
        path.unlink()
    for result in results:
        if result.series:
            draw(result, folder / f"{result.name}.svg")
    page = docs / "performance.md"
    page.write_text("\n".join(text(results)), "utf-8")
    return page


def in_order(results: list[Result]) -> list[Result]:
    places = {name: place for place, name in enumerate(TARGETS)}
    return sorted(results, key=lambda result: (places.get(result.name, len(places)), result.name))


def text(results: list[Result]) -> list[str]:
    found = {result.name: result for result in results}
    lines = [
        "# Performance",
        "",
        "How fast, how small, and how near to the limit. Each figure stands beside a baseline that was measured in the same run on",
        "the same machine: the ratio is what to look at, for machines differ. Made by `make bench` from `docs/performance/*.json`;",
        "one bench again: `make bench BENCH=scan_work`; a short try that writes nothing: `make bench QUICK=1`. No Raspberry Pi was",
        "measured.",
        "",
        "| bench | target | seen | |",
        "|---|---|---|---|",
    ]
    for name, target in TARGETS.items():
        result = found.get(name)
        seen, verdict = (result.seen, VERDICTS[result.met]) if result else ("", "not measured")
        link = f"[{name}](#{anchor(result)})" if result else name
        lines.append(f"| {link} | {target} | {seen} | {verdict} |")
    lines += ["", *machines(results), ""]
    for result in results:
        lines += [*section(result), ""]
    return lines


def heading(result: Result) -> str:
    return f"{result.name}: {result.title}"


def anchor(result: Result) -> str:
    """As the heading's link is made: lower case, spaces to dashes, no other signs but letters, digits, _ and -."""
    return "".join("-" if sign == " " else sign for sign in heading(result).lower() if sign.isalnum() or sign in " _-")


def machines(results: list[Result]) -> list[str]:
    """Each machine once, with the days on which it ran."""
    dates: dict[tuple[str, ...], list[str]] = {}
    for result in results:
        kind = tuple(value for key, value in result.machine.items() if key != "date")
        dates.setdefault(kind, []).append(result.machine["date"])
    lines = []
    for kind, days in dates.items():
        when = " to ".join(sorted({min(days), max(days)}))
        lines.append(f"Machine: {'; '.join(kind)}; {when}. Other work ran on it now and then.")
    return lines


def section(result: Result) -> list[str]:
    lines = [f"## {heading(result)}", ""]
    if result.target:
        lines += [f"Target: {result.target}. Seen: {result.seen} – {VERDICTS[result.met]}.", ""]
    lines += [*HEAD, *map(row_text, result.table), ""]
    if result.series:
        lines += [f"![{result.title}](performance/{result.name}.svg)", ""]
    if result.method:
        lines += [result.method, ""]
    for note in result.notes:
        lines.append(f"- {note}")
    if result.notes:
        lines.append("")
    lines.append(
        f"Again: `make bench BENCH={result.name}`. Measured {result.machine['date']} on {result.machine['processor']}."
    )
    return lines


def row_text(row: Row) -> str:
    bare = "" if row.baseline_value is None else number(row.baseline_value)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return f"| {row.what} | {number(row.ours)} | {row.unit} | {row.baseline} | {bare} | {ratio} |"


def number(value: float) -> str:
    """Three digits that can be meant, and whole numbers in full."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def draw(result: Result, path: Path) -> None:
    """One small SVG. The same figures give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": result.name, "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=SIZE_IN, layout="constrained")
    plot = result.plot
    KINDS[plot.kind](axes, result.series, plot)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.grid(alpha=0.3)
    if len(result.series) > 1:
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def thinned(values: list[float]) -> list[float]:
    """At most POINTS_MAX of them, first and last among them."""
    if len(values) <= POINTS_MAX:
        return values
    return [values[round(place * (len(values) - 1) / (POINTS_MAX - 1))] for place in range(POINTS_MAX)]


def distribution(axes: object, series: dict[str, list[float]], plot: Plot) -> None:
    for name, values in series.items():
        ordered = thinned(sorted(values))
        axes.step(ordered, [(place + 1) / len(ordered) for place in range(len(ordered))], where="post", label=name)
    if plot.log_x:
        axes.set_xscale("log")
    if plot.x_max is not None:
        axes.set_xlim(right=plot.x_max)
    axes.set_ylim(0, 1.02)


def lines(axes: object, series: dict[str, list[float]], plot: Plot) -> None:
    for name, values in series.items():
        if name != plot.x:
            along = series.get(plot.x) or list(map(float, range(len(values))))
            axes.plot(thinned(along), thinned(values), label=name, linewidth=1)
    if plot.log_x:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)


def bars(axes: object, series: dict[str, list[float]], plot: Plot) -> None:
    width = 0.8 / len(series)
    for place, (name, values) in enumerate(series.items()):
        axes.bar([at + place * width for at in range(len(values))], values, width=width, label=name)
    middle = width * (len(series) - 1) / 2
    axes.set_xticks([at + middle for at in range(len(plot.labels))], plot.labels, rotation=20, ha="right")


KINDS = {"distribution": distribution, "lines": lines, "bars": bars}
