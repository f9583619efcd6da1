"""Vectors of messages and of the receipts that answer them."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from protocol import checkin, envelope
from protocol.checkin import GENESIS
from protocol.envelope import AAD_CHECKIN, AAD_RECEIPT
from protocol.receipt import Receipt, seal_receipt
from protocol.vectors.make_checkins import AT_MS, DEVICE, EPOCH, run_of
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, flip_s, head, refused, sign1, signer, steps, with_pairs

_SMALL = Receipt(device=DEVICE, epoch=EPOCH, seq=5, hash=filler("hash", 32), at_ms=AT_MS)


def make_messages() -> list[Vector]:
    """Payloads of one MQTT message; the entries are not looked into."""
    run = [data.hex() for data in run_of(signer("device"), 3)]
    good = [("one", "one check-in", run[:1]), ("three", "three check-ins", run), ("most", "64 entries", ["00"] * 64)]
    made: list[tuple[str, str, list[list[Any]], str]] = [
        ("none", "an empty array", [["80", 1]], "malformed"),
        ("too-many", "65 entries", [["9841", 1], ["4100", 65]], "malformed"),
        ("map-inside", "a map instead of a byte string", [["81a0", 1]], "malformed"),
        ("text-inside", "a text instead of a byte string", [["816100", 1]], "malformed"),
        ("byte-string", "a byte string instead of an array", [["4100", 1]], "malformed"),
        ("length-long", "the array's length in two bytes", [["98014100", 1]], "malformed"),
        ("indefinite", "an array of indefinite length", [["9f4100ff", 1]], "malformed"),
        ("trailing-byte", "a byte after the end", [["81410000", 1]], "malformed"),
        ("claims-4-billion", "claims 2^32 - 1 entries", [[head(4, 2**32 - 1, 4).hex(), 1]], "malformed"),
        ("too-long", "65,537 bytes", [["815a0000fffb", 1], ["00", 65_531]], "limit"),
        ("empty", "no bytes at all", [], "malformed"),
    ]
    return [
        *(
            accepted(name, shows, {"hex": checkin.encode_message([bytes.fromhex(item) for item in items]).hex()}, items)
            for name, shows, items in good
        ),
        *(refused(name, shows, {"hex_repeated": parts}, reason) for name, shows, parts, reason in made),
    ]


def make_receipts() -> list[Vector]:
    """The hub's "stored up to here"."""
    nothing = replace(_SMALL, seq=0, hash=GENESIS)
    made = [
        ("stored", "stored up to 5", _SMALL, "hub"),
        ("stored-es256", "the same by a P-256 key", _SMALL, "hub-p256"),
        ("nothing", "nothing is stored: seq 0 and a hash of zeros", nothing, "hub"),
    ]
    good = []
    for name, shows, receipt, by in made:
        data = seal_receipt(receipt, key=signer(by))
        given = {"hex": data.hex(), "key": by}
        good.append(accepted(name, shows, given, plain(receipt), steps=steps(data, aad=AAD_RECEIPT)))
    data = seal_receipt(_SMALL, key=signer("hub"))
    payload = envelope.parse(data, what="receipt", limit=256).payload
    es256 = seal_receipt(_SMALL, key=signer("hub-p256"))

    def seal(**changes: Any) -> bytes:
        changed = with_pairs(payload, {int(key[1:]): value for key, value in changes.items()})
        return sign1(changed, key=signer("hub"), aad=AAD_RECEIPT)

    bad = [
        ("nothing-with-hash", "seq 0, yet a hash", seal(_3=0), "hub", "malformed"),
        ("seq-missing", "no seq", seal(_3=None), "hub", "malformed"),
        ("seq-2-to-63", "a seq that no database holds", seal(_3=2**63), "hub", "malformed"),
        ("hash-short", "a hash of 31 bytes", seal(_4=bytes(31)), "hub", "malformed"),
        ("epoch-long", "an epoch of 9 bytes", seal(_2=bytes(9)), "hub", "malformed"),
        ("at-year-10000", "a time beyond the year 9999", seal(_5=253_402_300_800_000), "hub", "malformed"),
        ("unknown-low-key", "unknown key 6", seal(_6=0), "hub", "malformed"),
        ("too-long", "more than 256 bytes", seal(_65=bytes(128)), "hub", "limit"),
        ("trailing-byte", "a byte after the end", data + b"\x00", "hub", "malformed"),
        ("other-signer", "signed by a device", seal_receipt(_SMALL, key=signer("device")), "hub", "bad_signature"),
        ("aad-checkin", "signed as if it were a check-in",
         sign1(payload, key=signer("hub"), aad=AAD_CHECKIN), "hub", "bad_signature"),
        ("signature-flipped", "one bit of the signature", data[:-1] + bytes([data[-1] ^ 1]), "hub", "bad_signature"),
        ("es256-high-s", "the high-s form of stored-es256",
         es256[:-64] + flip_s(es256[-64:]), "hub-p256", "bad_signature"),
    ]  # fmt: skip
    return [
        *good,
        *(refused(name, shows, {"hex": sealed.hex(), "key": by}, reason) for name, shows, sealed, by, reason in bad),
    ]
