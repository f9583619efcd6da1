"""Vectors of the deltas between two versions of a status list, and of heartbeats."""  # noqa: INP001 - as raw.py

from typing import Any

from protocol import envelope
from protocol.envelope import AAD_BATCH, AAD_STATUS_DELTA, TYP_STATUS_LIST
from protocol.limits import STATUS_ENTRIES
from protocol.statuslist import StatusDelta, seal_delta
from protocol.vectors.make_status import AT_S, URI, given
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, header, refused, sign1, signer, steps, with_pairs


def make_status_deltas() -> list[Vector]:
    """Signed deltas and heartbeats."""
    last = STATUS_ENTRIES - 1
    changes = ((0, 1), (1, 0), (32, 2), (33, 3), (65, 1), (4161, 0), (528_449, 2), (last, 3))
    good = [
        ("changes", "gaps of one to four bytes, and both ends of the longest list",
         StatusDelta(uri=URI, from_version=41, to_version=42, issued_s=AT_S, changes=changes), "issuer"),
        ("one-far", "one change, of four bytes",
         StatusDelta(uri=URI, from_version=1, to_version=9, issued_s=AT_S, changes=((last, 0),)), "issuer"),
        ("heartbeat", "no change and no new version: the version is still the one",
         StatusDelta(uri=URI, from_version=41, to_version=41, issued_s=AT_S), "issuer"),
        ("nothing-changed", "a new version without a change",
         StatusDelta(uri=URI, from_version=41, to_version=43, issued_s=AT_S), "issuer"),
        ("es256", "by a P-256 key",
         StatusDelta(uri=URI, from_version=41, to_version=42, issued_s=AT_S, changes=((7, 1),)), "issuer-p256"),
    ]  # fmt: skip
    made = []
    for name, shows, delta, by in good:
        data = seal_delta(delta, key=signer(by))
        decoded = plain(delta) | {"issuer_kid": signer(by).public.kid.hex()}
        made.append(accepted(name, shows, given(data, AT_S), decoded, steps=steps(data, aad=AAD_STATUS_DELTA)))
    return [*made, *_bad_deltas()]


def _bad_deltas() -> list[Vector]:
    delta = StatusDelta(uri=URI, from_version=41, to_version=42, issued_s=AT_S, changes=((7, 1),))
    good = envelope.parse(seal_delta(delta, key=signer("issuer")), what="status delta", limit=2048).payload

    def sealed(change: dict[int, Any], *, by: str = "issuer", aad: bytes = AAD_STATUS_DELTA) -> bytes:
        return sign1(with_pairs(good, change), key=signer(by), aad=aad)

    fields: list[tuple[str, str, dict[int, Any]]] = [
        ("uri-missing", "no address", {1: None}),
        ("uri-empty", "an empty address", {1: ""}),
        ("from-zero", "versions count from 1", {2: 0}),
        ("to-missing", "no version to go to", {3: None}),
        ("to-before-from", "a version that goes back", {3: 40}),
        ("issued-missing", "no time of issue", {4: None}),
        ("heartbeat-with-changes", "changes without a new version", {3: 41}),
        ("changes-missing", "no byte string of changes, not even an empty one", {5: None}),
        ("changes-array", "changes as an array of pairs", {5: [[7, 1]]}),
        ("change-cut", "the last change lacks a byte", {5: bytes([0x1D, 0x80])}),
        ("change-overlong", "a change in two bytes that needs one", {5: bytes([0x9D, 0x00])}),
        ("change-overlong-three", "a change in three bytes that needs two", {5: bytes([0x80, 0x81, 0x00])}),
        ("change-five-bytes", "a change of five bytes", {5: bytes([0x80, 0x80, 0x80, 0x80, 0x01])}),
        ("index-twice", "an index twice: the gap is 0", {5: bytes([0x1D, 0x02])}),
        ("index-beyond", "index 2^20", {5: bytes([0x80, 0x80, 0x80, 0x02])}),
        ("sum-beyond", "two gaps that lead beyond 2^20 - 1", {5: bytes([0xFC, 0xFF, 0xFF, 0x01, 0x04])}),
        ("unknown-low-key", "unknown key 6", {6: 0}),
    ]
    one = sealed({})
    bad = [
        *((name, shows, sealed(change), "malformed") for name, shows, change in fields),
        ("trailing-byte", "a byte after the end", one + b"\x00", "malformed"),
        ("typ-of-a-list", "the typ of a status list",
         sign1(good, key=signer("issuer"), aad=AAD_STATUS_DELTA,
               protected=header(signer("issuer"), more={16: TYP_STATUS_LIST})), "malformed"),
        ("other-signer", "by a key that is not trusted", sealed({}, by="stranger"), "unknown_key"),
        ("aad-batch", "signed as if it were a batch", sealed({}, aad=AAD_BATCH), "bad_signature"),
        ("es256-high-s", "the high-s form: a delta is no object of another standard",
         sign1(good, key=signer("issuer-p256"), aad=AAD_STATUS_DELTA, high_s=True), "bad_signature"),
        ("signature-flipped", "one bit of the signature", one[:-1] + bytes([one[-1] ^ 1]), "bad_signature"),
    ]  # fmt: skip
    return [
        *(refused(name, shows, given(data, AT_S), reason) for name, shows, data, reason in bad),
        refused("too-long", "more than 65,536 bytes",
                {"hex_repeated": [["d2", 1], ["00", 65_536]], "trusted_keys": ["issuer"], "at_s": AT_S}, "limit"),
    ]  # fmt: skip
