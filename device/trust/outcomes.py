"""What became of a genuine list or delta. What is not genuine is an error of `protocol.errors` or `refusals`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Applied:
    """In force: this is the version of the list with that id, confirmed by its issuer."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Behind:
    """The list with that id is not held, or at a version before this begins: a whole one is wanted."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing new: `same`, `older`, or `kept`, which is older and was welcome on disk."""

    why: str
