"""requirements.lock -> which version of a package a machine gets, and the hashes that are let in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.utils import NormalizedName, canonicalize_name

from deploy.sbom.errors import SbomError
from deploy.sbom.targets import Machine

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$")
_HASH = re.compile(r"^    --hash=sha256:(?P<digest>[0-9a-f]{64})(?: \\)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One version of a package. A hash is that of one file of it: of the source, or of the wheel for some machine."""

    name: NormalizedName
    version: str
    marker: Marker | None
    sha256: tuple[str, ...]


class Lock:
    """All that requirements.lock pins; of some packages two versions, for different Pythons."""

    def __init__(self, entries: Mapping[NormalizedName, tuple[Locked, ...]]) -> None:
        self._entries = entries

    def on(self, machine: Machine, name: str) -> Locked:
        """The version of `name` that `machine` gets.

        Raises:
            SbomError: none, or more than one.
        """
        found = [
            entry
            for entry in self._entries.get(canonicalize_name(name), ())
            if entry.marker is None or entry.marker.evaluate(machine.environment())
        ]
        if len(found) != 1:
            raise SbomError(
                f"requirements.lock has {len(found)} versions of {name} for {machine.name}: `make lock` makes it again"
            )
        return found[0]

    def all_on(self, machine: Machine) -> Iterator[Locked]:
        """Every package that `machine` gets if everything in the lock is installed."""
        for entries in self._entries.values():
            for entry in entries:
                if entry.marker is None or entry.marker.evaluate(machine.environment()):
                    yield entry


def read_lock(text: str) -> Lock:
    """Read what `uv pip compile --universal --generate-hashes` writes.

    Raises:
        SbomError: a line that is no entry, no hash and no comment, or an entry without hashes.
    """
    entries: dict[NormalizedName, list[Locked]] = {}
    current: Locked | None = None
    hashes: list[str] = []

    def close() -> None:
        if current is None:
            return
        if not hashes:
            raise SbomError(f"requirements.lock: {current.name} {current.version} has no hashes")
        whole = Locked(
            name=current.name, version=current.version, marker=current.marker, sha256=tuple(sorted(set(hashes)))
        )
        entries.setdefault(whole.name, []).append(whole)

    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if entry := _ENTRY.match(line):
            close()
            hashes = []
            marker = Marker(entry["marker"]) if entry["marker"] else None
            name = canonicalize_name(entry["name"])
            current = Locked(name=name, version=entry["version"], marker=marker, sha256=())
        elif (digest := _HASH.match(line)) and current is not None:
            hashes.append(digest["digest"])
        else:
            raise SbomError(f"requirements.lock, line {number}: neither a package nor a hash: {line[:60]}")
    close()
    return Lock({name: tuple(found) for name, found in entries.items()})
