"""The live picture of a site in a terminal, and plain lines where there is none.

Rendering is pure: `picture` takes what is known and the time, and returns something that rich can print.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from rich.align import Align
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from deploy.sandbox.counters import Counters
from deploy.sandbox.crowd import Passage, Scan
from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.people import Showing
from deploy.sandbox.site import Site
from protocol.reasons import Reason, sentence

FRAMES_A_SECOND = 8
PLAIN_LINE_S = 2.0
# As long as a gate's light stands for one person, at most.
LIGHT_S = 3.0
NEWEST_PEOPLE = 8
PANEL_WIDTH = 34

_LIGHTS = {
    "green": ("white on rgb(20,150,70)", "绿"),
    "yellow": ("black on rgb(230,180,20)", "黄"),
    "red": ("white on rgb(190,40,40)", "红"),
    "notice": ("black on rgb(150,190,60)", "提示"),
    "grey": ("white on rgb(70,90,150)", "灰"),
}
_DARK = ("rgb(90,90,90) on rgb(35,35,35)", "·")
_MOODS = {
    Showing.LIVE: "",
    Showing.CARD: "纸质卡 card",
    Showing.SPECIMEN: "样码 specimen",
    Showing.EXPIRED: "过期截图 old screenshot",
    Showing.BAD_ISSUER: "陌生签发方 stranger's code",
    Showing.FORGED: "伪造 forged",
    Showing.ADVERT: "广告 advert",
    Showing.BORROWED: "借来的码 borrowed",
    Showing.TWO_CODES: "两个码 two codes",
}


class SiteView:
    """Shows one site while the `run` of it goes on.

    Args:
        site: what to show.
        counters: hub and platform, kept fresh by somebody else.
        console: where to.
    """

    def __init__(self, site: Site, *, counters: Counters, console: Console) -> None:
        self._site = site
        self._counters = counters
        self._console = console
        self._people: deque[Passage] = deque(maxlen=NEWEST_PEOPLE)
        self._note = ""
        self._steps: tuple[str, ...] = ()

    def passed(self, passage: Passage) -> None:
        """A person is done."""
        self._people.appendleft(passage)

    def note(self, text: str) -> None:
        """A sentence for whoever watches."""
        self._note = text
        if not self._console.is_terminal:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def steps(self, steps: Sequence[str]) -> None:
        """What whoever watches can do, to be seen all the time."""
        self._steps = tuple(steps)
        if not self._console.is_terminal:
            for step in steps:
                self._console.print(step, markup=False, highlight=False, soft_wrap=True)

    async def show(self) -> None:
        """Draws until cancelled."""
        if self._console.is_terminal:
            await self._draw()
        else:
            await self._print_lines()

    async def _draw(self) -> None:
        loop = asyncio.get_running_loop()
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._picture(loop.time()), refresh=True)
                await asyncio.sleep(1 / FRAMES_A_SECOND)

    async def _print_lines(self) -> None:
        while True:
            await asyncio.sleep(PLAIN_LINE_S)
            self._console.print(self._plain_line(), markup=False, highlight=False, soft_wrap=True)

    def _picture(self, now_s: float) -> RenderableType:
        everyone = (*self._site.gates, *self._site.joined)
        gates = [gate_panel(gate, now_s=now_s) for gate in everyone]
        title = Text.assemble(("闸光 Gatelight", "bold"), "  ", ("演示站点 sandbox", "dim"))
        links = Text(f"平台 {self._site.layout.pages_url}   汇聚端 {self._site.layout.hub_url}/metrics", style="dim")
        return Group(
            Rule(title, style="rgb(20,150,70)"),
            Columns(gates, padding=(0, 1)),
            flow(self._site, self._counters),
            people_table(self._people, self._site.gates),
            Text(self._note, style="bold"),
            links,
            *(Text(step) for step in self._steps),
        )

    def _plain_line(self) -> str:
        count, hub, platform = self._site.count, self._counters.hub, self._counters.platform
        gates = " ".join(
            f"{gate.plan.gate}:{gate.scans[-1].colour if gate.scans else '-'}/{len(gate.scans)}"
            for gate in self._site.gates
        )
        return (
            f"people={count.people} shown={count.shown} {gates}"
            f" hub={hub.get('checkins_stored_total', 0):.0f} outbox={hub.get('outbox_rows', 0):.0f}"
            f" platform={platform.get('distinct', 0)} again={platform.get('again', 0)}"
        )


def gate_panel(gate: SandboxGate, *, now_s: float) -> Panel:
    """One gate: its light, its last answer, its pace and its spool."""
    last = gate.scans[-1] if gate.scans else None
    lit = last if last is not None and gate.recent_s and now_s - gate.recent_s[-1] < LIGHT_S else None
    style, sign = _LIGHTS.get(lit.colour, _DARK) if lit is not None else _DARK
    block = Align.center(Text(f"\n{sign}\n", justify="center", style=f"bold {style}"), width=PANEL_WIDTH - 4)
    block.style = style
    body = Table.grid(padding=(0, 1), expand=True)
    body.add_column(style="dim", no_wrap=True)
    body.add_column(justify="right", no_wrap=True)
    body.add_row("帧到灯 frame→light", _ms(last))
    body.add_row("每分钟 per minute", f"{pace_per_min(gate, now_s=now_s):.0f}")
    body.add_row("待发 spool", "—" if last is None or last.spool is None else str(last.spool))
    what = Text(_verdict(last), justify="center", style="bold", overflow="ellipsis", no_wrap=True)
    why = Text(_sentence(last), justify="center", style="italic", overflow="ellipsis", no_wrap=True)
    title = f"[b]{gate.plan.gate}[/b] [dim]{gate.plan.place_name}[/dim]"
    state = "" if gate.process.pid else "[red]重启中 restarting[/red]"
    return Panel(Group(block, what, why, body), title=title, subtitle=state, width=PANEL_WIDTH, border_style="dim")


def flow(site: Site, counters: Counters) -> RenderableType:
    """One line of the way: gates, broker, hub, platform."""
    hub, platform = counters.hub, counters.platform
    sealed = sum(max((scan.seq or 0 for scan in gate.scans), default=0) for gate in site.gates)
    table = Table.grid(expand=True, padding=(0, 1))
    for _ in range(4):
        table.add_column(justify="center", ratio=1)
    table.add_row(
        _part("闸机 gates", sealed, f"{site.count.people} 人 people", up=all(g.process.pid for g in site.gates)),
        _part("消息 broker", "TLS 1.3", "Mosquitto", up=site.broker.pid is not None),
        _part(
            "汇聚端 hub",
            int(hub.get("checkins_stored_total", 0)),
            f"待转 outbox {int(hub.get('outbox_rows', 0))}",
            up=counters.hub_up,
        ),
        _part(
            "平台 platform",
            platform.get("distinct", 0),
            f"again {platform.get('again', 0)} · missing {platform.get('gaps', 0)}",
            up=counters.platform_up,
        ),
    )
    return table


def people_table(people: Sequence[Passage] | deque[Passage], gates: Sequence[SandboxGate]) -> RenderableType:
    """Who passed last. Names are the sandbox's own invention; no gate and no hub ever learns them."""
    table = Table.grid(padding=(0, 2))
    for passage in people:
        scan = passage.scan
        style, _ = _LIGHTS.get(scan.colour, _DARK) if scan is not None else _DARK
        table.add_row(
            Text("  ", style=style),
            Text(passage.person.name),
            Text(gates[passage.lane].plan.gate, style="dim"),
            Text(_verdict(scan)),
            Text(_MOODS[passage.person.showing], style="dim"),
        )
    return Panel(table, title="刚刚 just now", title_align="left", border_style="dim", height=NEWEST_PEOPLE + 2)


def pace_per_min(gate: SandboxGate, *, now_s: float) -> float:
    """Answers of the last minute, extrapolated while the gate is younger than that."""
    recent = [at_s for at_s in gate.recent_s if now_s - at_s <= 60]
    if len(recent) < 2:
        return float(len(recent))
    return len(recent) * 60 / max(now_s - recent[0], 1.0)


def _part(name: str, value: int | str, detail: str, *, up: bool) -> Panel:
    body = Text.assemble((f"{value}\n", "bold"), (detail if up else "重启中 restarting", "dim" if up else "red"))
    body.justify = "center"
    return Panel(body, title=name, border_style="rgb(20,150,70)" if up else "red")


def _verdict(scan: Scan | None) -> str:
    return "—" if scan is None else f"{scan.verdict} · {scan.reason}"


def _ms(scan: Scan | None) -> str:
    return "—" if scan is None or scan.frame_to_light_ms is None else f"{scan.frame_to_light_ms:.1f} ms"


def _sentence(scan: Scan | None) -> str:
    if scan is None:
        return ""
    try:
        return sentence(Reason[scan.reason.upper()], "zh")
    except KeyError:
        return scan.reason
