"""Faults that every signed object can have, and how vectors of them are written."""  # noqa: INP001 - as raw.py

from collections.abc import Callable
from typing import Any

from protocol import envelope
from protocol.envelope import AAD_CHECKIN
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, refused, sign1, signer, steps, with_pairs

Bad = list[tuple[str, str, bytes, str]]
Changes = list[tuple[str, str, dict[Any, Any]]]


def payload_of(sealed: bytes) -> bytes:
    """What was signed."""
    return envelope.parse(sealed, what="thing", limit=1 << 20).payload


def faults(sealed: bytes, aad: bytes, *, by: str, other_signer: str, changes: Changes) -> Bad:
    """Faults of any signed object, and wrong fields in correctly signed ones. `other_signer` is the wrong reason."""
    payload = payload_of(sealed)

    def signed(changed: dict[Any, Any]) -> bytes:
        return sign1(with_pairs(payload, changed), key=signer(by), aad=aad)

    return [
        *((name, shows, signed(changed), "malformed") for name, shows, changed in changes),
        ("unknown-low-key", "unknown key 64", signed({64: 0}), "malformed"),
        ("trailing-byte", "a byte after the end", sealed + b"\x00", "malformed"),
        ("array", "an array instead of a map", sign1(b"\x80", key=signer(by), aad=aad), "malformed"),
        ("other-signer", "signed by a stranger", sign1(payload, key=signer("stranger"), aad=aad), other_signer),
        ("aad-checkin", "signed as if it were a check-in",
         sign1(payload, key=signer(by), aad=AAD_CHECKIN), "bad_signature"),
        ("signature-flipped", "one bit of the signature", sealed[:-1] + bytes([sealed[-1] ^ 1]), "bad_signature"),
    ]  # fmt: skip


def missing(names: dict[int, str]) -> Changes:
    """Every field that must be there, left out in turn."""
    return [(f"missing-{name}", f"no {name}", {key: None}) for key, name in names.items()]


def good(name: str, shows: str, data: bytes, value: Any, aad: bytes, **given: Any) -> Vector:
    """An accepted signed object, with its steps."""
    return accepted(name, shows, {"hex": data.hex()} | given, plain(value), steps=steps(data, aad=aad))


def all_bad(bad: Bad, **given: Any) -> list[Vector]:
    """Refused vectors, all with the same expectations of whoever opens them."""
    return [refused(name, shows, {"hex": data.hex()} | given, reason) for name, shows, data, reason in bad]


def plain_good(values: list[tuple[str, str, Any]], encode: Callable[[Any], bytes]) -> list[Vector]:
    """Accepted objects that are not signed."""
    return [accepted(name, shows, {"hex": encode(value).hex()}, plain(value)) for name, shows, value in values]
