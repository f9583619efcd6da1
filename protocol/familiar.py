"""Sealed bytes -> SealedCheckIn, quicker for those that look like one read before.

The check-ins of one gate differ from one another in few places: number, hash before, time, code, subject, when the code
was issued, temperature, signature. So one that was read strictly is kept as a pattern: where these places are, and
every byte around them. Bytes of the same length that are the same around those places have the same structure, which is
deterministic, and the same values in all other fields. In the places themselves a byte string may have any content; an
integer has to be in its shortest form, which for a width is a bound below, and within its field's range.

So what a pattern takes, `parse_checkin` takes with the same result; what it does not take is left to `parse_checkin`.
"""

import struct
from typing import Any, Final

from protocol import cbor
from protocol.checkin import TEMPERATURE_MAX_CC, CheckIn, Evidence, SealedCheckIn, hash_of, parse_checkin
from protocol.envelope import Sealed
from protocol.keys import SIGNATURE_BYTES
from protocol.limits import CHECKIN_BYTES, INT64_MAX, TIME_MAX_MS

_PATTERNS_MAX: Final = 4
"""Green and three others, three kilobytes each: of more, the one that was used longest ago goes."""

_SEQ, _PREV, _AT, _CODE, _SUBJECT, _EVIDENCE, _TEMPERATURE = 3, 4, 5, 13, 15, 17, 18
_ISSUED = 2
_BYTES: Final = frozenset({_PREV, _CODE, _SUBJECT})
_WIDTHS: Final = {2: "B", 3: "H", 5: "I", 9: "Q"}
"""Bytes of an integer with its head -> how `struct` names the number behind the head."""
_LEAST: Final = {"B": 24, "H": 1 << 8, "I": 1 << 16, "Q": 1 << 32}
"""A smaller number has a shorter form."""

Place = tuple[int, int, str]
"""Where a value begins, its bytes, and its form for `struct`."""
_NOWHERE: Final = (0, 0, "")


class Familiar:
    """Reads the check-ins of one gate, and remembers what they look like. Nothing is verified here: what one gate sends
    must not take the place of another's patterns.
    """

    def __init__(self) -> None:
        self._patterns: list[_Pattern] = []

    def parse(self, data: bytes) -> SealedCheckIn:
        """As `parse_checkin`, with the same errors."""
        known = self._patterns
        for index, pattern in enumerate(known):
            sealed = pattern.read(data) if len(data) == pattern.size else None
            if sealed is not None:
                if index:
                    known.insert(0, known.pop(index))
                return sealed
        sealed = parse_checkin(data)
        self._learn(sealed)
        return sealed

    def _learn(self, sealed: SealedCheckIn) -> None:
        """Not from a spool's first 23, whose numbers have no bytes of their own, nor where a name stands in each."""
        if sealed.checkin.seq < _LEAST["B"] or sealed.checkin.masked is not None:
            return
        places = _places(sealed)
        if places is None:
            return
        self._patterns.insert(0, _Pattern(sealed, places))
        del self._patterns[_PATTERNS_MAX:]


class _Pattern:
    """One check-in, and where others may differ from it."""

    __slots__ = (
        "_around",
        "_checkin",
        "_cut",
        "_envelope",
        "_issued",
        "_payload",
        "_seq_least",
        "_temperature",
        "size",
    )

    def __init__(self, sealed: SealedCheckIn, places: dict[int, Place]) -> None:
        layout, at = ">", 0
        for start, size, form in places.values():
            layout += f"{start - at}s{form}"
            at = start + size
        self._cut = struct.Struct(layout).unpack
        self._around = self._cut(sealed.data)[::2]
        self._checkin, self._envelope = sealed.checkin, sealed.envelope
        self._payload = slice(*_payload_of(sealed))
        self._seq_least = _LEAST[places[_SEQ][2]]
        self._issued, self._temperature = _EVIDENCE in places, _TEMPERATURE in places
        self.size = len(sealed.data)

    def read(self, data: bytes) -> SealedCheckIn | None:
        """The check-in in these `size` bytes; None if they do not fit."""
        parts: tuple[Any, ...] = self._cut(data)
        if parts[::2] != self._around:
            return None
        like, envelope = self._checkin, self._envelope
        evidence, temperature_cc = like.evidence, like.temperature_cc
        seq, prev, at_ms, code, subject = parts[1:10:2]
        if not (self._seq_least <= seq <= INT64_MAX and _LEAST["Q"] <= at_ms <= TIME_MAX_MS):
            return None
        if self._issued:
            issued_s = parts[11]
            if issued_s < _LEAST["I"]:
                return None
            evidence = Evidence(
                issuer_kid=evidence.issuer_kid,
                code_issued_s=issued_s,
                status_version=evidence.status_version,
                policy_version=evidence.policy_version,
                rule=evidence.rule,
            )
        if self._temperature:
            temperature_cc = parts[-3]
            if not _LEAST["H"] <= temperature_cc <= TEMPERATURE_MAX_CC:
                return None
        return SealedCheckIn(
            data=data,
            envelope=Sealed(
                alg=envelope.alg,
                kid=envelope.kid,
                protected=envelope.protected,
                payload=data[self._payload],
                signature=parts[-1],
            ),
            checkin=CheckIn(
                device=like.device,
                epoch=like.epoch,
                seq=seq,
                prev=prev,
                at_ms=at_ms,
                clock=like.clock,
                place=like.place,
                gate=like.gate,
                direction=like.direction,
                colour=like.colour,
                verdict=like.verdict,
                reason=like.reason,
                code=code,
                scheme=like.scheme,
                subject=subject,
                evidence=evidence,
                temperature_cc=temperature_cc,
            ),
            hash=hash_of(data),
        )


def _payload_of(sealed: SealedCheckIn) -> tuple[int, int]:
    """Where the payload begins and ends: only the signature, with a head of two bytes, comes after it."""
    end = len(sealed.data) - SIGNATURE_BYTES - 2
    return end - len(sealed.envelope.payload), end


def _places(sealed: SealedCheckIn) -> dict[int, Place] | None:
    """Where the fields stand that may differ, by key and in order; None when one of them stands there in another form.

    In a deterministic map with keys below 24 each value begins a byte after the end of the one before.
    """
    fields = cbor.decode(sealed.envelope.payload, what="check-in", limit=CHECKIN_BYTES)
    if len(fields) >= 24:
        return None
    places: dict[int, Place] = {}
    at = _payload_of(sealed)[0] + 1
    for key, value in fields.items():
        at += len(cbor.encode(key))
        size = len(cbor.encode(value))
        if key in _BYTES:
            places[key] = (at + size - len(value), len(value), f"{len(value)}s")
        elif key in {_SEQ, _AT, _TEMPERATURE} and size in _WIDTHS:
            places[key] = (at + 1, size - 1, _WIDTHS[size])
        elif key == _EVIDENCE and _ISSUED in value:
            issued = len(cbor.encode({name: value[name] for name in value if name <= _ISSUED}))
            if len(cbor.encode(value[_ISSUED])) == 5:
                places[key] = (at + issued - 4, 4, "I")
        at += size
    if _SEQ not in places or places.get(_AT, _NOWHERE)[2] != "Q":
        return None
    if _TEMPERATURE in fields and places.get(_TEMPERATURE, _NOWHERE)[2] != "H":
        return None
    places[0] = (len(sealed.data) - SIGNATURE_BYTES, SIGNATURE_BYTES, f"{SIGNATURE_BYTES}s")
    return places
