"""Vectors of what travels between hub and platform: batches and batch receipts."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from protocol import envelope
from protocol.batch import Batch, BatchReceipt, seal_batch, seal_batch_receipt
from protocol.checkin import seal_checkin
from protocol.envelope import AAD_BATCH, AAD_BATCH_RECEIPT, AAD_CHECKIN
from protocol.reasons import Reason
from protocol.vectors.make_checkins import AT_MS, FIRST
from protocol.vectors.plain import plain
from protocol.vectors.raw import (
    Vector,
    accepted,
    filler,
    header,
    refused,
    sign1,
    signer,
    steps,
    to_be_signed,
    with_pairs,
)

_HUB, _ID = filler("hub", 8), filler("batch", 16)
_ANSWER = BatchReceipt(batch_id=_ID, stored=2, rejected=(), at_ms=AT_MS)


def make_batches() -> list[Vector]:
    """A signed list of sealed check-ins, which are not looked into here."""
    one = seal_checkin(FIRST, key=signer("device"))
    two = seal_checkin(FIRST, key=signer("device-p256"))
    batch = Batch(hub=_HUB, batch_id=_ID, checkins=(one, two))
    good = []
    for name, shows, value, by in (
        ("two", "two check-ins of two devices", batch, "hub"),
        ("two-es256", "the same by a P-256 key", batch, "hub-p256"),
        ("one-byte", "an entry is not looked into: even one byte is an entry",
         replace(batch, checkins=(b"\x00",)), "hub"),
    ):  # fmt: skip
        data = seal_batch(value, key=signer(by))
        given = {"hex": data.hex(), "key": by}
        good.append(accepted(name, shows, given, plain(value), steps=steps(data, aad=AAD_BATCH)))
    sealed = seal_batch(batch, key=signer("hub"))
    payload = envelope.parse(sealed, what="batch", limit=2048).payload
    bad = [
        ("empty", "no check-ins", _batch(with_pairs(payload, {3: []})), "malformed"),
        ("checkins-missing", "no list", _batch(with_pairs(payload, {3: None})), "malformed"),
        ("hub-short", "a hub id of 7 bytes", _batch(with_pairs(payload, {1: bytes(7)})), "malformed"),
        ("id-missing", "no batch id", _batch(with_pairs(payload, {2: None})), "malformed"),
        ("id-long", "a batch id of 17 bytes", _batch(with_pairs(payload, {2: bytes(17)})), "malformed"),
        ("entry-empty", "an empty entry", _batch(with_pairs(payload, {3: [one, b""]})), "malformed"),
        ("entry-long", "an entry of 1,025 bytes", _batch(with_pairs(payload, {3: [bytes(1025)]})), "malformed"),
        ("entry-text", "an entry that is a text", _batch(with_pairs(payload, {3: ["00"]})), "malformed"),
        ("unknown-low-key", "unknown key 4", _batch(with_pairs(payload, {4: 0})), "malformed"),
        ("trailing-byte", "a byte after the end", sealed + b"\x00", "malformed"),
        ("other-signer", "signed by a device", seal_batch(batch, key=signer("device")), "bad_signature"),
        ("aad-checkin", "signed as if it were a check-in",
         sign1(payload, key=signer("hub"), aad=AAD_CHECKIN), "bad_signature"),
        ("signature-flipped", "one bit of the signature", sealed[:-1] + bytes([sealed[-1] ^ 1]), "bad_signature"),
    ]  # fmt: skip
    return [
        *good,
        _many("thousand", "1,000 entries, the most", 1000, b"\x41\x07", None),
        _many("thousand-and-one", "1,001 entries", 1001, b"\x41\x07", "malformed"),
        _many("over-a-mebibyte", "more than 1,048,576 bytes", 1000, b"\x59\x04\x1b" + b"\x07" * 1051, "limit"),
        *(refused(name, shows, {"hex": data.hex(), "key": "hub"}, reason) for name, shows, data, reason in bad),
    ]


def _many(name: str, shows: str, count: int, entry: bytes, reason: str | None) -> Vector:
    """A batch of equal entries, written with a count so that the file stays small."""
    start = b"\xa3\x01\x48" + _HUB + b"\x02\x50" + _ID + b"\x03\x99" + count.to_bytes(2, "big")
    payload = start + entry * count
    length = len(payload)
    protected = header(signer("hub"))
    size = b"\x59" + length.to_bytes(2, "big") if length < 65536 else b"\x5a" + length.to_bytes(4, "big")
    before = b"\xd2\x84" + bytes([0x40 | len(protected)]) + protected + b"\xa0" + size + start
    signature = b"\x58\x40" + signer("hub").sign(to_be_signed(protected, AAD_BATCH, payload))
    given = {"hex_repeated": [[before.hex(), 1], [entry.hex(), count], [signature.hex(), 1]], "key": "hub"}
    if reason is not None:
        return refused(name, shows, given, reason)
    decoded = {"hub": _HUB.hex(), "batch_id": _ID.hex(), "checkins_count": count, "checkins_each": entry[1:].hex()}
    return accepted(name, shows, given, decoded)


def make_batch_receipts() -> list[Vector]:
    """The platform's answer to a batch."""
    some = replace(_ANSWER, stored=1, rejected=((0, Reason.BAD_SIGNATURE), (999, Reason.MALFORMED)))
    good = []
    for name, shows, value, by in (
        ("all-stored", "all are stored", _ANSWER, "platform"),
        ("some-rejected", "two are rejected, the last of a full batch among them", some, "platform"),
        ("all-stored-es256", "by a P-256 key", _ANSWER, "issuer-p256"),
    ):
        data = seal_batch_receipt(value, key=signer(by))
        given = {"hex": data.hex(), "key": by}
        good.append(accepted(name, shows, given, plain(value), steps=steps(data, aad=AAD_BATCH_RECEIPT)))
    sealed = seal_batch_receipt(_ANSWER, key=signer("platform"))
    payload = envelope.parse(sealed, what="batch receipt", limit=2048).payload
    fields: list[tuple[str, str, dict[Any, Any]]] = [
        ("id-short", "a batch id of 15 bytes", {1: bytes(15)}),
        ("stored-missing", "no count", {2: None}),
        ("stored-negative", "a negative count", {2: -1}),
        ("stored-many", "more stored than a batch holds", {2: 1001}),
        ("rejected-missing", "no list", {3: None}),
        ("rejected-descending", "indices that descend", {3: [[1, 20], [0, 20]]}),
        ("rejected-twice", "an index twice", {3: [[1, 20], [1, 22]]}),
        ("rejected-index-1000", "an index beyond the largest batch", {3: [[1000, 20]]}),
        ("rejected-reason-unknown", "a reason that does not exist", {3: [[0, 4]]}),
        ("rejected-not-pairs", "an index without a reason", {3: [[0]]}),
        ("unknown-low-key", "unknown key 5", {5: 0}),
    ]
    bad = [
        *((name, shows, _answer(with_pairs(payload, change)), "malformed") for name, shows, change in fields),
        ("trailing-byte", "a byte after the end", sealed + b"\x00", "malformed"),
        ("other-signer", "signed by the hub itself", seal_batch_receipt(_ANSWER, key=signer("hub")), "bad_signature"),
        ("aad-batch", "signed as if it were a batch",
         sign1(payload, key=signer("platform"), aad=AAD_BATCH), "bad_signature"),
        ("signature-flipped", "one bit of the signature", sealed[:-1] + bytes([sealed[-1] ^ 1]), "bad_signature"),
    ]  # fmt: skip
    return [
        *good,
        *(refused(name, shows, {"hex": data.hex(), "key": "platform"}, reason) for name, shows, data, reason in bad),
        refused(
            "too-long",
            "more than 65,536 bytes",
            {"hex_repeated": [["d2", 1], ["00", 65_536]], "key": "platform"},
            "limit",
        ),
    ]


def _batch(payload: bytes) -> bytes:
    return sign1(payload, key=signer("hub"), aad=AAD_BATCH)


def _answer(payload: bytes) -> bytes:
    return sign1(payload, key=signer("platform"), aad=AAD_BATCH_RECEIPT)
