"""What runs have found -> the corpus that is kept: `python tests/fuzz/reduce.py --work DIR [NAME ...]`.

Of each target's inputs, those of DIR and those kept before, the shortest that take every branch which all of them
together take; and each input that crashed. libFuzzer's own merge starts the program again by its first argument, which
a Python script does not survive.
"""

import argparse
import contextlib
import hashlib
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # As in fuzz.py.

from tests.fuzz import kept  # noqa: E402
from tests.fuzz.target import Target  # noqa: E402
from tests.fuzz.tracing import Tracing  # noqa: E402


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    tracing = Tracing(compares=False)
    with tracing:
        from tests.fuzz.targets import TARGETS
    logging.disable(logging.CRITICAL)
    for name in given.names or TARGETS:
        before = kept.load(name)
        inputs = fewest((*before.inputs, *_files(given.work / name)), TARGETS[name], tracing)
        known = set(before.crashes.values())
        new = {hashlib.sha256(data).hexdigest()[:16]: data for data in _files(given.work / f"{name}.crashes")}
        crashes = before.crashes | {what: data for what, data in new.items() if data not in known}
        if inputs or crashes:
            kept.save(name, kept.Kept(inputs=inputs, crashes=crashes))
        print(f"{name}: {len(inputs)} inputs, {len(crashes)} crashes", flush=True)


def fewest(inputs: Iterable[bytes], target: Target, tracing: Tracing) -> tuple[bytes, ...]:
    """Those that take a branch which no shorter one has taken."""
    chosen = []
    tracing.forget()
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        before = tracing.count()
        with contextlib.suppress(Exception):
            target.run(data[: target.bytes_max])
        if tracing.count() != before:
            chosen.append(data[: target.bytes_max])
    return tuple(chosen)


def _files(folder: Path) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(folder.iterdir())) if folder.is_dir() else ()


if __name__ == "__main__":
    main()
