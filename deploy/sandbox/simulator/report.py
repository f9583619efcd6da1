"""The sum of many histories -> its part of docs/reliability.md.

python -m deploy.sandbox.simulator.report docs/reliability/simulator.json docs/reliability.md
"""

import json
import sys
from pathlib import Path
from typing import Any

from deploy.sandbox import rendered


def render(result: dict[str, Any]) -> str:
    """What `gatelight-sandbox simulate --out` kept, as Markdown."""
    last = result["first_seed"] + result["histories"] - 1
    rows = [f"| {kind} | {times:,} |" for kind, times in result["faults"].items()]
    broken = result["broken"]
    return "\n".join(
        [
            (
                f"Run on {result['date']}, {result['machine']}, Python {result['python']}, SQLite {result['sqlite']}, "
                f"in {result['took_s'] / 60:.0f} minutes."
            ),
            "",
            (
                f"Seeds {result['first_seed']} to {last}: **{result['histories']:,} histories**, {result['events']:,} "
                f"events, {result['simulated_h']:,.0f} simulated hours; {result['people']:,} people, of whom "
                f"{result['greens']:,} were shown green and {result['greys']:,} grey; {result['checkins']:,} check-ins."
            ),
            "",
            f"**Histories in which something did not hold: {len(broken)}.**",
            *[f"- seed {seed}: {what}" for seed, what in broken.items()],
            "",
            "| fault | times |",
            "|---|---:|",
            *rows,
        ]
    )


def main(result: Path, document: Path) -> None:
    """Put the figures of `result` into `document`."""
    rendered.put(document, name="simulated time", text=render(json.loads(result.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
