"""A firmware's version as one number that only grows: whether one is older is a comparison of integers."""

import re
from typing import Final

from protocol.errors import MalformedError

_PART_MAX: Final = 999
_STEPS: Final = (1_000_000, 1_000, 1)
RELEASE_MAX: Final = 999_999_999
"""999.999.999: nine digits, well within 32 bits."""

_VERSION: Final = re.compile(r"(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})", re.ASCII)


def release_of(version: str) -> int:
    """`1.2.3` -> 1002003. Only what is released has one: `1.2.3rc1` and `1.2` have none.

    Raises:
        MalformedError: not three numbers up to 999, or all of them 0.
    """
    found = _VERSION.fullmatch(version)
    release = sum(int(part) * step for part, step in zip(found.groups(), _STEPS, strict=True)) if found else 0
    if not release:
        raise MalformedError("version", f"{version!r:.40} is not three numbers up to {_PART_MAX}, as in 1.2.3")
    return release


def version_of(release: int) -> str:
    """1002003 -> `1.2.3`.

    Raises:
        MalformedError: not from 1 to `RELEASE_MAX`.
    """
    if not 1 <= release <= RELEASE_MAX:
        raise MalformedError("release", f"not from 1 to {RELEASE_MAX}")
    return ".".join(str(release // step % 1000) for step in _STEPS)
