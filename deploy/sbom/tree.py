"""pyproject.toml, requirements.lock, what is installed -> the Python packages of a target, and who needs whom."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from deploy.sbom.errors import SbomError
from deploy.sbom.facts import Facts, installed
from deploy.sbom.lock import Lock, Locked, read_lock
from deploy.sbom.targets import Machine, Target


@dataclass(slots=True, kw_only=True)
class Package:
    """A version of a package, the machines that get it, and the packages it needs, each as (name, version)."""

    locked: Locked
    facts: Facts
    machines: set[Machine] = field(default_factory=set)
    needs: set[tuple[str, str]] = field(default_factory=set)
    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """`version` and `licence` of Gatelight, what it needs itself, and all packages by (name, version)."""

    version: str
    licence: str
    needs: frozenset[tuple[str, str]]
    packages: dict[tuple[str, str], Package]


def read_tree(target: Target, root: Path) -> Tree:
    """Follow extras and markers from Gatelight on, once for each machine of `target`.

    Raises:
        SbomError: requirements.lock lacks something, or something is not installed here.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = read_lock((root / "requirements.lock").read_text(encoding="utf-8"))
    packages: dict[tuple[str, str], Package] = {}
    first: set[tuple[str, str]] = set()
    for machine in target.machines:
        for extras, always in ((target.always, True), (target.always + target.sometimes, False)):
            asked = [need for need in _asked_by_gatelight(project, extras) if _holds(need, machine, frozenset({""}))]
            first |= {_key(lock.on(machine, need.name)) for need in asked}
            _follow(asked, machine=machine, lock=lock, always=always, packages=packages)
    return Tree(
        version=project["version"],
        licence=project["license"],
        needs=frozenset(first),
        packages=dict(sorted(packages.items())),
    )


def _asked_by_gatelight(project: dict[str, Any], extras: Sequence[str]) -> Iterator[Requirement]:
    """What the project itself and its `extras` ask for; where an extra names another of our own, that one's too."""
    yield from (Requirement(line) for line in project["dependencies"])
    for extra in extras:
        if extra not in project["optional-dependencies"]:
            raise SbomError(f"pyproject.toml has no extra {extra}: deploy/sbom/targets.py names it")
        for line in project["optional-dependencies"][extra]:
            need = Requirement(line)
            if need.name == project["name"]:
                yield from _asked_by_gatelight(project, sorted(need.extras))
            else:
                yield need


def _follow(
    asked: Sequence[Requirement],
    *,
    machine: Machine,
    lock: Lock,
    always: bool,
    packages: dict[tuple[str, str], Package],
) -> None:
    waiting = [(need.name, frozenset(need.extras)) for need in asked]
    seen: set[tuple[NormalizedName, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (canonicalize_name(name), extras) in seen:
            continue
        seen.add((canonicalize_name(name), extras))
        locked = lock.on(machine, name)
        package = packages.setdefault(_key(locked), Package(locked=locked, facts=installed(locked.name)))
        package.machines.add(machine)
        package.always = package.always or always
        for need in package.facts.needs:
            if _holds(need, machine, extras | {""}):
                package.needs.add(_key(lock.on(machine, need.name)))
                waiting.append((need.name, frozenset(need.extras)))


def _holds(need: Requirement, machine: Machine, extras: frozenset[str]) -> bool:
    return need.marker is None or any(
        need.marker.evaluate({**machine.environment(), "extra": extra}) for extra in extras
    )


def _key(locked: Locked) -> tuple[str, str]:
    return locked.name, locked.version
