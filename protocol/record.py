"""A value that is made thousands of times a second: frozen for whoever checks types, open at run time.

A frozen dataclass sets each field through `object.__setattr__`, which makes it three times as dear to build. mypy knows
a `record` as frozen and keyword-only; nothing else keeps it from being changed, so it is for the few values that stand
in the way of every check-in.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[Value]) -> type[Value]:
    """The class as a dataclass with slots and keyword-only fields, equal and hashed by its fields."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
