"""Which archives of a folder go, once a new one is there.

Personal data in a backup end with the retention of the hub's own: an archive whose time is over goes, however many are
to be kept. The newest never goes: it is what a hub would come back from, and the next run takes its place. A hub
whose backups fail therefore keeps one archive beyond its time, until somebody has looked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"gatelight-hub-([0-9a-f]{16})-([0-9]{8}T[0-9]{6}Z)\.tar\.gz\Z", re.ASCII)
_STAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An archive that lies in the folder. `ends_ms` is its manifest's."""

    path: Path
    ends_ms: int | None


def stamp(at_ms: int) -> str:
    """A moment as it stands in names of files: UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(_STAMP)


def archive_name(hub_id: str, *, made_ms: int) -> str:
    """Names sort by time."""
    return f"gatelight-hub-{hub_id}-{stamp(made_ms)}.tar.gz"


def archives_of(folder: Path, hub_id: str) -> list[Path]:
    """This hub's archives in the folder, the oldest first; other files are nobody's business here."""
    found = []
    for path in folder.iterdir():
        named = _NAME.match(path.name)
        if named is not None and named[1] == hub_id and path.is_file():
            found.append(path)
    return sorted(found)


def going(kept: Sequence[Kept], *, keep: int, now_ms: int) -> list[Path]:
    """Of archives sorted from the oldest to the newest, those that go."""
    surplus = len(kept) - keep
    return [
        archive.path
        for index, archive in enumerate(kept[:-1])
        if index < surplus or (archive.ends_ms is not None and archive.ends_ms <= now_ms)
    ]
