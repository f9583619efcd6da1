"""Linters, where a machine has them."""

import subprocess
import sys
from pathlib import Path

import pytest


def tool(name):
    """A linter, beside this Python or on the PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


@pytest.fixture(scope="session")
def lint():
    """Runs a linter; returns what it complains of. Skips where there is none."""

    def check(name, *arguments):
        try:
            done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip(f"{name} IS NOT INSTALLED: nothing was looked at by it")
        return "" if done.returncode == 0 else (done.stdout + done.stderr or f"{name}: code {done.returncode}")

    return check
