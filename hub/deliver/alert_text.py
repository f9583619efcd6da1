"""Alert -> what somebody is told who is not at a screen. Pure.

Place, gate, time, colour and slip number: no name, no identity.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from hub.deliver.guidance import steps_of, title_of
from hub.store.live_ports import RED, Alert, Level
from protocol.terms import Colour

_LEVELS: Final = {
    Level.COMMUNITY: ("社区（村）", "community or village"),
    Level.REGULATOR: ("行业主管部门", "trade's regulator"),
    Level.HEADQUARTERS: ("县级指挥部", "county headquarters"),
}
LATE_MS: Final = 600_000
"""A check-in that comes later than this was kept by a gate that was cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What an alert's ids are called."""

    site: str
    place: str
    gate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent."""

    title: str
    body: str


def message(alert: Alert, *, named: Named, zone: tzinfo, language: str, url: str) -> Message:
    """One alert in one language.

    Args:
        alert: what happened.
        named: the names of site, place and gate.
        zone: in which people there read times.
        language: `zh` or `en`.
        url: of the console, without a path; empty: none to look at.
    """
    zh = language == "zh"
    where = " / ".join(part for part in (named.place or named.site, named.gate) if part)
    at = datetime.fromtimestamp(alert.at_ms / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    lines = [("地点：" if zh else "Where: ") + where, ("时间：" if zh else "When: ") + at]
    if alert.kind == RED:
        lines.append(f"颜色：红（{Colour.RED.wire_name}）" if zh else f"Colour: {Colour.RED.wire_name}")
        lines.append(f"凭证号：{alert.slip}" if zh else f"Slip: {alert.slip}")
        if late(alert):
            lines.append("该扫码机曾离线，记录为事后补传。" if zh else "The gate was cut off; this came later.")
    elif alert.detail:
        lines.append(("扫码机：" if zh else "Scanner: ") + alert.detail)
    lines.append(("级别：" if zh else "Level: ") + _LEVELS[alert.level][0 if zh else 1])
    lines += [f"{number}. {step}" for number, step in enumerate(steps_of(alert.kind, language), 1)]
    if url:
        lines.append(f"{url}/alerts/{alert.alert_id}")
    title = f"{title_of(alert.kind, language)} · {where}"
    return Message(title=f"【{title}】" if zh else title, body="\n".join(lines))


def test_message(*, site: str, language: str) -> Message:
    """What a new channel is tried with."""
    if language == "zh":
        return Message(title=f"【测试】{site}", body="这是一条测试消息：告警会发送到这里。")
    return Message(title=f"Test: {site}", body="This is a test: alerts will come here.")


def late(alert: Alert) -> bool:
    """Whether a red came so late that nobody is at the gate any more."""
    return alert.kind == RED and alert.raised_ms - alert.at_ms > LATE_MS


def level_name(level: Level, language: str) -> str:
    """Who a level is."""
    return _LEVELS[level][0 if language == "zh" else 1]
