"""`gatelight-device`, by its shortest way to a running gate: the decoder's child starts first, and beside it all else.

A child takes as long to start as the rest of the gate, on another core. So `run` begins one before it imports what it
is made of; `commands.py` has this and every other command. `safe` imports nothing of all that: until it has run, a
relay may be energised.
"""

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.scan.decoder.process import Begun


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run one command; its exit code: 0 done, 1 failed, 2 what was given cannot be used."""
    given = list(sys.argv[1:] if argv is None else argv)
    match given:
        case ["safe"] | ["safe", "--config", _]:
            from device.hardware.pi import safe

            return safe.main(given[1:])
    # What is imported stays: looking through it for garbage, now or ever, takes time and finds none.
    gc.disable()
    try:
        begun = _begin(given)
        from device import commands

        gc.freeze()
    finally:
        gc.enable()
    return commands.main(given, begun=begun)


def _begin(given: list[str]) -> "Begun | None":
    """A decoder's child for `run --config FILE`; None for every other form, which starts its own when it needs one."""
    match given:
        case ["run", "--config", path]:
            pass
        case _:
            return None
    from pathlib import Path

    from device.config import ConfigError, load_machine
    from device.scan.decoder.process import ChildFailedError, begin

    try:
        decoder = load_machine(Path(path)).decoder
        return begin(engine=decoder.engine, frame_px_max=decoder.frame_px_max)
    except (ConfigError, ChildFailedError, OSError):
        # Whatever is wrong is met again, and told, where it belongs.
        return None


if __name__ == "__main__":
    sys.exit(main())
