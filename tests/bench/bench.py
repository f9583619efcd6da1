"""Run benches, each in a process of its own, keep what they find, and make docs/performance.md.

    python tests/bench/bench.py [NAME ...] [--quick]

Without names: all. `--quick` takes less of everything, prints and writes nothing. Nothing here passes or fails but
a bench that breaks.
"""

import argparse
import importlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# This checkout comes first, wherever the packages are installed from.
sys.path[:0] = [str(ROOT)]

from report import in_order, render, section
from result import Result, read


def names() -> list[str]:
    """Every module here that can be run as a bench."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if re.search(r"^def run\(\*, quick: bool\)", path.read_text(), re.MULTILINE)
    )


def measure(name: str, *, quick: bool, folder: Path) -> Result | None:
    """One bench in a process of its own."""
    print(f"── {name}", flush=True)
    command = [sys.executable, __file__, "--into", str(folder), *(["--quick"] if quick else []), name]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        return None
    result = read(folder / f"{name}.json")
    print("\n".join(section(result)), flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(args.names) - set(names())
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    if args.into:
        importlib.import_module(args.names[0]).run(quick=args.quick).write(args.into)
        return 0
    docs = ROOT / "docs"
    (docs / "performance").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = {
            name: measure(name, quick=args.quick, folder=Path(scratch) if args.quick else docs / "performance")
            for name in args.names or names()
        }
    broken = [name for name, result in found.items() if result is None]
    for result in in_order([result for result in found.values() if result]):
        print(f"{result.name}: {result.seen or result.title}", {True: "met", False: "MISSED", None: ""}[result.met])
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    if not args.quick:
        print(f"written: {render(docs).relative_to(ROOT)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
