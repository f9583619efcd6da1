"""Stored rows -> HTML. Every value is escaped; there is no script; the page loads itself again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from deploy.sandbox.platform.lookup import id_number
from deploy.sandbox.platform.store import ChainState, Row
from protocol.reasons import Reason, sentence
from protocol.terms import Colour, Direction, Verdict

NEWEST_ROWS = 60
PEOPLE_ROWS = 5
DESK_ROWS = 20
REFRESH_S = 2
STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")

_COLOURS = {
    Colour.GREEN: "绿 green",
    Colour.RED: "红 red",
    Colour.YELLOW: "黄 yellow",
    Colour.NOTICE: "提示 notice",
    Colour.GREY: "灰 grey",
}
_VERDICTS = {Verdict.ADMIT: "放行 admit", Verdict.HOLD: "等候 hold", Verdict.REFUSE: "拦下 refuse"}
_DIRECTIONS = {Direction.IN: "进 in", Direction.OUT: "出 out"}
_COUNTERS = (
    ("distinct", "登记 check-ins"),
    ("again", "重复到达 came again"),
    ("batches", "批次 batches"),
    ("gaps", "缺号 missing"),
    ("chain_breaks", "断链 chain breaks"),
    ("forks", "分叉 forks"),
    ("bad_signatures", "坏签名 bad signatures"),
    ("malformed", "损坏 malformed"),
    ("unknown_devices", "未知设备 unknown devices"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Everything the front page shows, read in one go."""

    totals: dict[str, int]
    chains: list[ChainState]
    tally: list[tuple[str, str, int, int, int]]
    newest: list[Row]
    desk: list[tuple[int, str, str, int, str, int]]
    names: dict[int, str]
    issuers: dict[bytes, str]


def front(view: Front) -> str:
    """The front page."""
    return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{REFRESH_S}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatelight · 演示平台 stand-in platform</title><link rel="stylesheet" href="/style.css"></head>
<body>
<header><h1>演示平台 <small>stand-in platform</small></h1>
<p>这不是政府平台，仅供演示与测试。Not a government platform: for demonstration and tests only.
<a href="/traces">溯源 Trace</a></p></header>
<section class="counters">{_counters(view.totals)}</section>
<section><h2>设备链 <small>chains, one per gate and spool</small></h2>{_chains(view.chains)}</section>
<section><h2>合计 <small>totals</small></h2>{_tally(view.tally)}</section>
<section><h2>最新登记 <small>latest check-ins</small></h2>{_newest(view)}</section>
<section><h2>可申领场所码的人 <small>people who may apply for a place code</small></h2>{_people(view.names)}</section>
<section><h2>人工台登记 <small>registered at desks, scheme attendant</small></h2>{_desk(view.desk)}</section>
</body></html>
"""


def _counters(totals: dict[str, int]) -> str:
    bad = {"again", "gaps", "chain_breaks", "forks", "bad_signatures", "malformed", "unknown_devices"}
    return "".join(
        f'<div class="counter{" bad" if name in bad and totals[name] else ""}">'
        f"<b>{totals[name]}</b>{escape(label)}</div>"
        for name, label in _COUNTERS
    )


def _chains(chains: list[ChainState]) -> str:
    rows = [
        (
            escape(f"{chain.place} · {chain.gate}"),
            f"<code>{chain.device.hex()}</code>",
            f"<code>{chain.epoch.hex()}</code>",
            str(chain.count),
            str(chain.max_seq),
            "完整 whole" if chain.count == chain.max_seq else '<span class="fault">有缺 has gaps</span>',
            f"<code>{chain.head_hash.hex()[:16]}…</code>",
        )
        for chain in chains
    ]
    heads = ("闸机 gate", "设备 device", "epoch", "条数 count", "最大序号 max seq", "链 chain", "链头 head")
    return _table(heads, rows)


def _tally(tally: list[tuple[str, str, int, int, int]]) -> str:
    rows = [
        (escape(place), escape(gate), _chip(colour), escape(_verdict(verdict)), str(count))
        for place, gate, colour, verdict, count in tally
    ]
    return _table(("场所 place", "闸机 gate", "颜色 colour", "结果 verdict", "人次 count"), rows)


def _people(names: dict[int, str]) -> str:
    """Some of the made-up people with their made-up numbers, for whoever tries the console."""
    rows = [(escape(names[person]), f"<code>{id_number(person)}</code>") for person in sorted(names)[:PEOPLE_ROWS]]
    return _table(("姓名 name", "身份证号 ID number"), rows)


def _newest(view: Front) -> str:
    rows = [
        (
            escape(_time(row.at_ms)),
            escape(f"{row.place} · {row.gate}"),
            escape(_DIRECTIONS.get(Direction(row.direction), "?")),
            _chip(row.colour),
            escape(_verdict(row.verdict)),
            _reason(row.reason),
            escape(_person(view, row)),
            escape(view.issuers.get(row.issuer_kid or b"", "—")),
            str(row.seq),
            f"{row.received_ms - row.at_ms} ms",
        )
        for row in view.newest
    ]
    heads = (
        "时间 time",
        "闸机 gate",
        "方向",
        "颜色 colour",
        "结果 verdict",
        "原因 reason",
        "人 person",
        "签发方 issuer",
        "seq",
        "到达 arrived after",
    )
    return _table(heads, rows)


def _desk(visits: list[tuple[int, str, str, int, str, int]]) -> str:
    rows = [
        (
            escape(_time(at_ms)),
            escape(f"{place} · {gate}"),
            escape(_DIRECTIONS.get(Direction(direction), "?")),
            _chip(colour),
            escape(name),
        )
        for at_ms, place, gate, direction, name, colour in visits
    ]
    return _table(("时间 time", "闸机 gate", "方向", "颜色 colour", "人 person"), rows)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Cells of `rows` are HTML already; `heads` is our own text."""
    if not rows:
        return "<p>尚无数据 Nothing yet.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _chip(colour: int) -> str:
    known = Colour(colour)
    return f'<span class="chip {known.name.lower()}">{escape(_COLOURS[known])}</span>'


def _verdict(verdict: int) -> str:
    return _VERDICTS[Verdict(verdict)]


def _reason(number: int) -> str:
    reason = Reason(number)
    hint = escape(f"{sentence(reason, 'zh')} {sentence(reason, 'en')}", quote=True)
    return f'<span title="{hint}">{escape(reason.wire_name)}</span>'


def _person(view: Front, row: Row) -> str:
    # Only the platform can say this: the gate and the hub saw sealed bytes.
    if row.person is None:
        return "—"
    return view.names.get(row.person, f"#{row.person}")


def _time(at_ms: int) -> str:
    # A broken clock may name any moment; the page must show the row all the same.
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return f"{at_ms} ms"
