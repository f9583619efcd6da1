"""A proof -> the table that ends a run."""

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.sandbox.proof import Proof


def summary_table(proof: Proof, *, restarts: dict[str, int]) -> RenderableType:
    """Numbers in the order of the way, then the verdict and what is behind it."""
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    light = proof.frame_to_light_ms
    again = f"其中再次出示 shown again {proof.shown_again}" if proof.shown_again else ""
    rows: tuple[tuple[str, object, str], ...] = (
        ("人 people", proof.people, f"如预期 as expected {proof.as_expected}"),
        ("出示 shown", proof.shown, again),
        ("判定 decided", proof.decided, f"闸机亮灯 lit; 广告不理 adverts ignored: {proof.ignored}"),
        (
            "封签 sealed",
            proof.sealed,
            f"闸机链头 chain heads; 多码不记 several codes: {proof.unrecorded}",
        ),
        ("入库 stored", proof.stored, "汇聚端 hub"),
        ("转发 forwarded", proof.forwarded, "平台收到 arrived at the platform"),
        ("回执 receipted", proof.receipted, "平台签收 signed for by the platform"),
        ("丢失 lost", proof.lost, ""),
        ("重复 doubled", proof.doubled, ""),
        ("不符 differing", proof.differing, "灯、链、记录互不一致 light, chain and rows that disagree"),
        ("帧到灯 frame→light", f"{_ms(light.p50)} / {_ms(light.p95)} / {_ms(light.p99)}", "ms, p50 / p95 / p99"),
    )
    for name, value, remark in rows:
        table.add_row(name, str(value), remark)
    notes = [Text(f"• {problem}", style="red") for problem in proof.problems]
    notes += [Text(f"• {name} died {times} times unasked", style="red") for name, times in restarts.items()]
    notes += [Text(f"· {surprise}", style="dim") for surprise in proof.surprises]
    if proof.holds and not restarts:
        title, colour = "[bold]无一遗漏，无一重复 Nothing lost, nothing doubled[/bold]", "rgb(20,150,70)"
    else:
        title, colour = "[bold]未能证明 NOT PROVED[/bold]", "red"
    return Panel(Group(table, *notes), title=title, border_style=colour, expand=False)


def _ms(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"
