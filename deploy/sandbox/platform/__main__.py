"""`python -m deploy.sandbox.platform --config FILE`: runs the stand-in platform until SIGTERM."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from deploy.sandbox.platform.config import PlatformConfigError, read_config
from deploy.sandbox.platform.web import Platform


async def serve(config_file: Path) -> None:
    """Serves until told to stop."""
    platform = Platform(read_config(config_file))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await platform.start()
    try:
        await stop.wait()
    finally:
        await platform.stop()


def main() -> int:
    """Parses the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox.platform", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the platform's TOML file")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.config))
    except PlatformConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
