"""Vectors of check-ins and of chains of them."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from protocol import cbor, checkin, envelope
from protocol.checkin import GENESIS, CheckIn, Evidence, hash_of, seal_checkin
from protocol.envelope import AAD_CHECKIN, AAD_RECEIPT
from protocol.keys import SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, flip_s, refused, sign1, signer, steps, with_pairs

AT_MS = 1_795_334_412_345
DEVICE = bytes.fromhex("3fa1c20b7d5e9046")
EPOCH = filler("epoch", 8)
FIRST = CheckIn(
    device=DEVICE, epoch=EPOCH, seq=1, prev=GENESIS, at_ms=AT_MS, clock=Clock.TRUSTED, place="mall-1", gate="north.2",
    direction=Direction.IN, colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK, code=filler("code", 16),
    scheme=Scheme.GATELIGHT, subject=filler("subject", 32),
    evidence=Evidence(issuer_kid=filler("kid", 8), code_issued_s=1_795_334_400, policy_version=3),
)  # fmt: skip
_FULL = replace(
    FIRST, seq=2**63 - 1, prev=filler("prev", 32), masked=("张", "11", "23"), temperature_cc=3652,
    colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.COLOUR_YELLOW,
    evidence=replace(FIRST.evidence, status_version=17, rule="R7/2a"),
)  # fmt: skip
_GREY = replace(
    FIRST, clock=Clock.UNTRUSTED, colour=Colour.GREY, verdict=Verdict.HOLD, reason=Reason.CLOCK_UNTRUSTED,
    direction=Direction.OUT, subject=b"", scheme=Scheme.OPAQUE, evidence=Evidence(),
)  # fmt: skip


def make_checkins() -> list[Vector]:
    """Check-ins one by one, each checked with its device's key."""
    longest = replace(FIRST, place="p" * 32, gate="A-Z_a.z0" * 4, subject=filler("long", 256))
    made = [
        ("first", "the first check-in of an epoch: prev is zeros", FIRST, "device"),
        ("first-es256", "the same, sealed by a key in secure hardware", FIRST, "device-p256"),
        ("full", "every field, and the largest seq", _FULL, "device"),
        ("grey", "an opaque code at a gate whose clock is not trusted: no subject, no evidence", _GREY, "device"),
        ("longest", "place, gate and subject at their limits", longest, "device"),
        ("temperature-highest", "100.00 °C", replace(FIRST, temperature_cc=10_000), "device"),
        ("time-zero", "an unset clock says 1970", replace(FIRST, at_ms=0, clock=Clock.UNTRUSTED), "device"),
    ]
    good = [_accepted(name, shows, seal_checkin(value, key=signer(by)), value, by) for name, shows, value, by in made]
    payload = _payload(FIRST)
    later = with_pairs(payload, {65: "later", 17: {1: filler("kid", 8), 2: 1_795_334_400, 4: 3, 66: [1]}})
    shows = "unknown keys above 64, in the evidence too"
    good.append(_accepted("unknown-keys-ignored", shows, _seal(later), FIRST, "device"))
    return [*good, *_bad_checkins(payload)]


def _bad_checkins(payload: bytes) -> list[Vector]:
    sealed = _seal(payload)
    es256 = seal_checkin(FIRST, key=signer("device-p256"))
    fields: list[tuple[str, str, dict[Any, Any]]] = [
        *((f"missing-{name}", f"no {name}", {key: None}) for key, name in _REQUIRED.items()),
        ("device-short", "a device id of 7 bytes", {1: DEVICE[:7]}),
        ("seq-zero", "seq counts from 1", {3: 0}),
        ("seq-2-to-63", "a seq that no database holds", {3: 2**63}),
        ("seq-true", "true is not 1", {3: True}),
        ("prev-short", "a prev of 31 bytes", {4: bytes(31)}),
        ("at-year-10000", "a time beyond the year 9999", {5: 253_402_300_800_000}),
        ("clock-two", "clock 2", {6: 2}),
        ("place-empty", "an empty place", {7: ""}),
        ("place-long", "a place id of 33 characters", {7: "p" * 33}),
        ("place-slash", "a place id that would leave its topic", {7: "a/b"}),
        ("place-not-ascii", "a place id in other letters", {7: "商场"}),
        ("gate-space", "a gate id with a space", {8: "gate 1"}),
        ("gate-newline", "a gate id with a line feed at its end", {8: "gate\n"}),
        ("direction-two", "direction 2", {9: 2}),
        ("colour-five", "colour 5", {10: 5}),
        ("verdict-three", "verdict 3", {11: 3}),
        ("reason-unknown", "reason 4 does not exist", {12: 4}),
        ("code-long", "a code hash of 17 bytes", {13: bytes(17)}),
        ("scheme-unknown", "scheme 4", {14: 4}),
        ("subject-long", "a subject of 257 bytes", {15: bytes(257)}),
        ("masked-text", "masked as one text", {16: "张1123"}),
        ("evidence-array", "evidence that is an array", {17: []}),
        ("evidence-low-key", "unknown key 6 in the evidence", {17: {6: 1}}),
        ("evidence-kid-short", "an issuer kid of 7 bytes", {17: {1: bytes(7)}}),
        ("evidence-rule-empty", "an empty rule", {17: {5: ""}}),
        ("temperature-negative", "below 0 °C", {18: -1}),
        ("temperature-high", "above 100 °C", {18: 10_001}),
        ("unknown-low-key", "unknown key 19 may not be ignored", {19: 1}),
    ]
    made = [
        *((name, shows, _seal(with_pairs(payload, change)), "malformed") for name, shows, change in fields),
        ("float-at", "a time with a decimal point", _seal(_float_at(payload)), "malformed"),
        ("too-long", "more than 1,024 bytes", _seal(with_pairs(payload, {65: bytes(800)})), "limit"),
        ("trailing-byte", "a byte after the end", sealed + b"\x00", "malformed"),
        ("tag-missing", "no tag 18", sealed[1:], "malformed"),
        ("empty", "no bytes at all", b"", "malformed"),
        ("signature-flipped", "one bit of the signature", sealed[:-1] + bytes([sealed[-1] ^ 1]), "bad_signature"),
        ("other-key", "signed by another device",
         sign1(payload, key=signer("stranger"), aad=AAD_CHECKIN), "bad_signature"),
        ("aad-empty", "signed as if it were a code", sign1(payload, key=signer("device"), aad=b""), "bad_signature"),
        ("aad-receipt", "signed as if it were a receipt",
         sign1(payload, key=signer("device"), aad=AAD_RECEIPT), "bad_signature"),
    ]  # fmt: skip
    bad = [refused(name, shows, {"hex": data.hex(), "key": "device"}, reason) for name, shows, data, reason in made]
    high = es256[:-64] + flip_s(es256[-64:])
    shows = "the high-s form of first-es256: valid for the curve, refused here, for its hash is another"
    return [*bad, refused("es256-high-s", shows, {"hex": high.hex(), "key": "device-p256"}, "bad_signature")]


def make_chains() -> list[Vector]:
    """Runs of check-ins: is each record good by itself, and does each continue the one before?"""
    run = run_of(signer("device"), 5)
    red = replace(_opened(run[2]), colour=Colour.RED)
    altered = [*run[:2], _put(run[2], red), *run[3:]]
    other_prev = seal_checkin(replace(_opened(run[2]), prev=filler("elsewhere", 32)), key=signer("device"))
    other_epoch = seal_checkin(replace(_opened(run[2]), epoch=filler("other", 8)), key=signer("device"))
    fork = seal_checkin(replace(_opened(run[2]), at_ms=AT_MS + 99), key=signer("device"))
    badly_signed = run[2][:-1] + bytes([run[2][-1] ^ 1])
    unreadable = _seal(with_pairs(_payload(_opened(run[2])), {19: 1}))
    made = [
        ("good", "five check-ins, from the first of an epoch", run, [None] * 5, None),
        ("good-es256", "the same by a P-256 key", run_of(signer("device-p256"), 5), [None] * 5, None),
        ("altered", "a changed colour in the third: its signature fails, and the fourth no longer continues it",
         altered, [None, None, "bad_signature", None, None], 3),
        ("missing", "the third is missing", [*run[:2], *run[3:]], [None] * 4, 2),
        ("reordered", "second and third in turn", [run[0], run[2], run[1], *run[3:]], [None] * 5, 1),
        ("repeated", "the third comes twice", [*run[:3], *run[2:]], [None] * 6, 3),
        ("prev-wrong", "the third, well signed, continues another record", [*run[:2], other_prev], [None] * 3, 2),
        ("epoch-changed", "the third, well signed, is of another epoch", [*run[:2], other_epoch], [None] * 3, 2),
        ("fork", "two different check-ins under seq 3, both well signed", [*run[:3], fork], [None] * 4, 3),
        ("begins-late", "does not begin at seq 1", run[1:], [None] * 4, 0),
        ("poison-signature", "the third has a bad signature, and the chain goes on over its bytes",
         *_over(run[:2], badly_signed, "bad_signature")),
        ("poison-unreadable", "the third has an unknown key, and the chain goes on over its bytes",
         *_over(run[:2], unreadable, "malformed")),
    ]  # fmt: skip
    return [
        {
            "name": name,
            "shows": shows,
            "input": {
                "hex_list": [item.hex() for item in chain],
                "key": "device-p256" if "es256" in name else "device",
            },
            "expected": {"record_reasons": reasons, "chain_broken_at": broken_at},
        }
        for name, shows, chain, reasons, broken_at in made
    ]


_REQUIRED = {
    1: "device", 2: "epoch", 3: "seq", 4: "prev", 5: "at", 6: "clock", 7: "place", 8: "gate", 9: "direction",
    10: "colour", 11: "verdict", 12: "reason", 13: "code", 14: "scheme", 15: "subject", 17: "evidence",
}  # fmt: skip


def run_of(key: SigningKey, length: int, after: tuple[bytes, ...] = ()) -> list[bytes]:
    """Check-ins that continue `after`, or begin an epoch."""
    chain = list(after)
    for seq in range(len(chain) + 1, len(chain) + length + 1):
        prev = hash_of(chain[-1]) if chain else GENESIS
        one = replace(FIRST, seq=seq, prev=prev, at_ms=AT_MS + seq * 1000, code=filler(f"code {seq}", 16))
        chain.append(seal_checkin(one, key=key))
    return chain


def _over(before: list[bytes], poison: bytes, reason: str) -> tuple[list[bytes], list[str | None], None]:
    chain = run_of(signer("device"), 2, (*before, poison))
    return chain, [None, None, reason, None, None], None


def _opened(data: bytes) -> CheckIn:
    return checkin.parse_checkin(data).checkin


def _put(data: bytes, changed: CheckIn) -> bytes:
    """A sealed check-in with another payload under its old signature."""
    protected = envelope.parse(data, what="check-in", limit=1024).protected
    return b"\xd2\x84" + cbor.encode(protected) + b"\xa0" + cbor.encode(_payload(changed)) + data[-66:]


def _float_at(payload: bytes) -> bytes:
    return payload.replace(b"\x05" + cbor.encode(AT_MS), b"\x05\xfb" + bytes.fromhex("4279cf1f8c2e5900"))


def _payload(value: CheckIn) -> bytes:
    return envelope.parse(seal_checkin(value, key=signer("device")), what="check-in", limit=1024).payload


def _seal(payload: bytes) -> bytes:
    return sign1(payload, key=signer("device"), aad=AAD_CHECKIN)


def _accepted(name: str, shows: str, data: bytes, value: CheckIn, by: str) -> Vector:
    decoded = plain(value) | {"hash": hash_of(data).hex()}
    return accepted(name, shows, {"hex": data.hex(), "key": by}, decoded, steps=steps(data, aad=AAD_CHECKIN))
