"""One target, fuzzed: `python tests/fuzz/fuzz.py NAME --runs N --seed S --corpus DIR`.

Ends with 0 after N executions, and with another code at the first crash, whose input then lies in DIR.crashes.
"""

import argparse
import logging
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # The code of this folder is tested, not what may be installed elsewhere.

from tests.fuzz import kept  # noqa: E402
from tests.fuzz.tracing import Tracing  # noqa: E402

UNIT_S = 1.0
"""An input that takes longer is a crash: the usual one takes 0.1 ms."""
HANG_S = 24 * 3600
"""libFuzzer's own limit, for what hangs inside C. It goes by the clock on the wall, also while a run is stopped: with an
hour, a campaign that had been stopped while something else was measured came back with two crashes that were none."""
MEMORY_MB = 1024


class SlowError(Exception):
    """One execution took longer than `UNIT_S` of the processor."""


class Watch:
    """Runs a target, and ends an execution that two ticks of the process's own time find unfinished."""

    def __init__(self, run: Callable[[bytes], None]) -> None:
        self._run = run
        self._begun = self._seen = 0
        signal.signal(signal.SIGVTALRM, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, UNIT_S, UNIT_S)

    def __call__(self, data: bytes) -> None:
        self._begun += 1
        try:
            self._run(data)
        except BaseException:
            # The process ends now, and its handler before its timer.
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            raise

    def _tick(self, *_: object) -> None:
        if self._begun == self._seen:
            self._begun += 1
            raise SlowError
        self._seen = self._begun


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--compares", action="store_true", help="trace comparisons too")
    given = parser.parse_args()
    given.corpus.mkdir(parents=True, exist_ok=True)

    import atheris

    tracing = Tracing(compares=given.compares)
    with tracing:
        from tests.fuzz.find import find

        target = find(given.name)
    logging.disable(logging.CRITICAL)
    crashes = given.corpus.with_name(given.corpus.name + ".crashes")
    crashes.mkdir(exist_ok=True)
    if not any(given.corpus.iterdir()):
        for at, seed in enumerate((*target.seeds(), *kept.load(target.name).inputs)):
            (given.corpus / f"seed-{at:04}").write_bytes(seed)
    with tempfile.NamedTemporaryFile("w", suffix=".dict") as words:
        for word in target.words:
            words.write('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n')
        words.flush()
        arguments = [
            sys.argv[0],
            str(given.corpus),
            f"-artifact_prefix={crashes}/",
            f"-max_len={target.bytes_max}",
            f"-timeout={HANG_S}",
            f"-report_slow_units={HANG_S}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-seed={given.seed}",
            *([f"-dict={words.name}"] if target.words else []),
            "-print_final_stats=1",
            "-verbosity=1",
            "-reload=0",
            f"-runs={given.runs}",
        ]
        atheris.Setup(arguments, Watch(target.run))
        tracing.begin()
        atheris.Fuzz()


if __name__ == "__main__":
    main()
