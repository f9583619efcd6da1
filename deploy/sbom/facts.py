"""What a package says of itself: its licence, and what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Final

from cyclonedx.spdx import is_expression, is_supported_id
from packaging.requirements import Requirement

from deploy.sbom.errors import SbomError

# Classifiers that mean one licence. "BSD License" and "Apache Software License" do not say which, so they stay words.
_CLASSIFIERS: Final = {
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`spdx` where a package names its licence so that it can be one only, else its own words, or neither."""

    name: str
    version: str
    spdx: str | None
    licence_words: str | None
    needs: tuple[Requirement, ...]


# What cannot be installed where this is made. lgpio is for a Pi only; this is what its wheel for aarch64 says.
ELSEWHERE: Final = {
    "lgpio": Facts(name="lgpio", version="0.2.2.0", spdx="Unlicense", licence_words=None, needs=()),
}


def installed(name: str) -> Facts:
    """The facts of `name` as it is installed here, in whichever version.

    Raises:
        SbomError: it is not installed, and is not one of those that only a Pi has.
    """
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    try:
        found = distribution(name)
    except PackageNotFoundError as error:
        raise SbomError(f"{name} is not installed, so nothing is known of its licence: `make setup`") from error
    fields = found.metadata.json
    spdx, words = licence(
        expression=str(fields.get("license_expression", "")),
        words=str(fields.get("license", "")),
        classifiers=[str(line) for line in fields.get("classifier", [])],
    )
    return Facts(
        name=found.name,
        version=found.version,
        spdx=spdx,
        licence_words=words,
        needs=tuple(Requirement(line) for line in found.requires or []),
    )


def licence(*, expression: str, words: str, classifiers: Sequence[str]) -> tuple[str | None, str | None]:
    """A package's three ways to name its licence -> (SPDX, its own words), at most one of them."""
    if expression:
        return expression, None
    # Some put the whole text there.
    short = words.strip() if "\n" not in words.strip() else ""
    if short and (is_supported_id(short) or is_expression(short)):
        return short, None
    named = sorted(line for line in classifiers if line.startswith("License ::"))
    if len(named) == 1 and named[0] in _CLASSIFIERS:
        return _CLASSIFIERS[named[0]], None
    said = [short] if short and short != "UNKNOWN" else [line.rpartition(" :: ")[2] for line in named]
    return None, ", ".join(said) or None
