"""Arguments -> a bill of materials, printed or written."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.sbom.document import write
from deploy.sbom.errors import SbomError
from deploy.sbom.shipped import read_shipped
from deploy.sbom.targets import TARGETS
from deploy.sbom.tree import read_tree

ROOT = Path(__file__).parents[2]


def document(target: str, root: Path = ROOT) -> str:
    """The bill of materials of `target` as JSON, from the checkout at `root`.

    Raises:
        SbomError: requirements.lock, pyproject.toml and shipped.toml do not fit each other.
    """
    wanted = TARGETS[target]
    return write(wanted, tree=read_tree(wanted, root), shipped=read_shipped(wanted, root))


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it was made, 1 with a sentence when it could not be."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sbom", description="A bill of materials, as CycloneDX 1.6.")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--out", type=Path, help="where to; printed if left out")
    chosen = parser.parse_args(arguments)
    try:
        text = document(chosen.target)
    except SbomError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    if chosen.out is None:
        print(text, end="")
    else:
        chosen.out.write_text(text, encoding="utf-8")
    return 0
