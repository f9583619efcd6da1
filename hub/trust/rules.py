"""What an operator wants of the gates of a place: typed text <-> checked rules <-> JSON. Pure.

Rules are the fields of a gate policy that are the same at every gate of a place. They have no bounds of their own:
whatever a gate would refuse is refused here, by the same reader.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from hub.registry.checks import RegistryError
from protocol.errors import ProtocolError
from protocol.keys import Ed25519SigningKey
from protocol.policy import GatePolicy, QuietHours, seal_policy
from protocol.terms import Direction, Verdict

_PLAIN: Final = GatePolicy(device=bytes(8), version=1, issued_s=0, place="any", gate="any")
_ANYBODY: Final = Ed25519SigningKey(bytes(32))  # Its signatures are thrown away: only the reader's opinion is wanted.
_NOT_RULES: Final = frozenset({"device", "version", "issued_s", "place", "gate", "direction", "closed"})
_QUIET: Final = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})([+-])(\d{2}):(\d{2})", re.ASCII)
_OFF: Final = "off"
_WORDS: Final = {"yes": True, "no": False}

KEYS: Final = tuple(field.name for field in fields(GatePolicy) if field.name not in _NOT_RULES)
"""The names of all rules, in the order of the wire."""


class Rules:
    """A place's rules, all of them. Built by `defaults`, `from_json` and `changed`, so always acceptable to gates."""

    __slots__ = ("_policy",)

    def __init__(self, policy: GatePolicy) -> None:
        self._policy = policy

    @classmethod
    def defaults(cls) -> "Rules":
        """What holds at a place where nobody has set anything."""
        return cls(_PLAIN)

    @classmethod
    def from_json(cls, text: str) -> "Rules":
        """A row of the store. A rule that it does not name has its default.

        Raises:
            RegistryError: no rules of ours.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"rules: no JSON: {error}") from error
        if not isinstance(value, dict):
            raise RegistryError("rules: not an object")
        return cls.defaults().changed(value)

    def changed(self, changes: Mapping[str, str]) -> "Rules":
        """These rules with some others, as they are typed and as they are stored: everything is text.

        Raises:
            RegistryError: an unknown rule, or a value that gates would refuse.
        """
        values = {}
        for key, text in changes.items():
            if key not in KEYS or not isinstance(text, str):
                raise RegistryError(f"policy: there is no rule {key!r:.40}, or its value is no text")
            values[key] = _read(key, text)
        policy = replace(self._policy, **values)
        try:
            seal_policy(policy, key=_ANYBODY)
        except ProtocolError as error:
            raise RegistryError(f"a gate would refuse this policy: {error}") from error
        return Rules(policy)

    def texts(self) -> dict[str, str]:
        """Every rule as it would be typed."""
        return {key: _write(getattr(self._policy, key)) for key in KEYS}

    def json(self) -> str:
        """The form that the store keeps: complete, so that a later default changes nothing that was set."""
        return json.dumps(self.texts(), ensure_ascii=False)

    def for_gate(
        self, *, device: bytes, place: str, gate: str, direction: Direction | None, closed: bool
    ) -> GatePolicy:
        """One gate's policy, without version and time. A device of both directions counts inwards."""
        return replace(
            self._policy,
            device=device,
            place=place,
            gate=gate,
            direction=Direction.IN if direction is None else direction,
            closed=closed,
        )


def _read(key: str, text: str) -> Any:
    plain = getattr(_PLAIN, key)
    read: Callable[[str], Any]
    if key == "quiet":
        read = _read_quiet
    elif key == "resolve_prefixes":
        read = _read_prefixes
    elif key == "temperature_max_cc":
        read = _read_optional
    elif isinstance(plain, Verdict):
        read = _read_verdict
    elif isinstance(plain, bool):
        read = _WORDS.__getitem__
    else:
        read = int
    try:
        return read(text)
    except (KeyError, ValueError) as error:
        raise RegistryError(f"policy: {key} cannot be {text!r:.80}; now it would be {_write(plain)!r}") from error


def _read_verdict(text: str) -> Verdict:
    return {verdict.wire_name: verdict for verdict in Verdict}[text]


def _read_optional(text: str) -> int | None:
    return None if text == _OFF else int(text)


def _read_prefixes(text: str) -> tuple[str, ...]:
    return () if text == _OFF else tuple(text.split(","))


def _read_quiet(text: str) -> QuietHours | None:
    """`22:00-06:00+08:00`: from, to, and the place's distance from UTC."""
    if text == _OFF:
        return None
    found = _QUIET.fullmatch(text)
    if found is None:
        raise ValueError(text)
    from_h, from_min, to_h, to_min, sign, off_h, off_min = found.groups()
    if max(int(from_h), int(to_h)) > 23 or max(int(from_min), int(to_min), int(off_min)) > 59:
        raise ValueError(text)
    offset_min = int(off_h) * 60 + int(off_min)
    return QuietHours(
        from_min=int(from_h) * 60 + int(from_min),
        to_min=int(to_h) * 60 + int(to_min),
        utc_offset_min=-offset_min if sign == "-" else offset_min,
    )


def _write(value: Any) -> str:
    match value:
        case None | ():
            return _OFF
        case Verdict():
            return value.wire_name
        case bool():
            return "yes" if value else "no"
        case QuietHours():
            sign, offset_min = "-" if value.utc_offset_min < 0 else "+", abs(value.utc_offset_min)
            minutes = (value.from_min, value.to_min, offset_min)
            begin, end, offset = (f"{minute // 60:02}:{minute % 60:02}" for minute in minutes)
            return f"{begin}-{end}{sign}{offset}"
        case tuple():
            return ",".join(value)
        case _:
            return str(value)
