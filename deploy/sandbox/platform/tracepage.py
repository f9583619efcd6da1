"""Traces -> HTML: a form, and what came of each query. Every value is escaped; there is no script."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from deploy.sandbox.platform.traces import Found

_STATES = {"waiting": "等待回复 waiting", "answered": "已回复 answered", "refused": "被拒绝 refused"}


def page(found: Sequence[Found], names: Mapping[int, str]) -> str:
    """The page of traces."""
    return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatelight · 溯源 trace</title><link rel="stylesheet" href="/style.css"></head>
<body>
<header><h1>溯源 <small>trace</small></h1>
<p>由病例的登记记录查同一时间同一场所的人。查询由平台签名，场所只回答已签名的查询。
From a case's check-ins to whoever was there at the same time. The platform signs each query; hubs answer no other.
<a href="/">返回首页 Back</a></p></header>
<section><form method="post" action="/sandbox/trace">
<p><label>病例编号 Case <input name="why" required maxlength="64"></label>
<label>人员编号 Person <input name="person" required inputmode="numeric" pattern="[0-9]+"></label>
<label>天数 Days <input name="days" type="number" min="1" max="14" value="14"></label>
<label>前后秒数 Seconds around <input name="around_s" type="number" min="0" max="86400" value="900"></label>
<label>停留秒数 Seconds of a stay <input name="stay_s" type="number" min="1" max="86400" value="7200"></label>
<button>查询 Trace</button> <a href="/traces">刷新 Look again</a></p></form></section>
{"".join(_one(one, names) for one in found) or "<p>尚无查询 No queries yet.</p>"}
</body></html>
"""


def _one(found: Found, names: Mapping[int, str]) -> str:
    asked = found.asked
    state = _STATES[asked.state] + (f": {asked.reason}" if asked.reason else "")
    counts = (
        f"{found.rows} 条记录 check-ins, {found.bare} 条仅有摘要 without signed bytes,"
        f" {found.unproven} 条无法证实 unproven, {found.missing} 条缺失 missing"
    )
    rows = "".join(
        f"<tr><td>{escape(names.get(visit.person, ''))}</td><td>#{visit.person}</td>"
        f"<td>{_moment(visit.from_ms)}</td><td>{_moment(visit.to_ms)}</td></tr>"
        for visit in found.contacts
    )
    table = (
        "<table><thead><tr><th>姓名 name</th><th>编号 number</th><th>到 from</th><th>离 to</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else "<p>没有同场人员 Nobody else was there.</p>"
    )
    if asked.state != "answered":
        table = ""
    return (
        f"<section><h2>{escape(asked.why)} · {escape(asked.place)} <small>{escape(state)}</small></h2>"
        f"<p>{_moment(asked.from_ms)} – {_moment(asked.to_ms)} UTC · {counts}</p>{table}</section>"
    )


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%m-%d %H:%M:%S")
