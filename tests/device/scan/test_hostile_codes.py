"""Whatever somebody shows: the scan goes on, each code is answered and recorded, and only true codes open the gate.

Half of what is shown is signed by a trusted issuer, whose claims are as wild as its key allows; the rest was made or
changed by somebody without a key. What may be admitted, and what must be, is worked out here from how it was made.
"""

import hashlib
import random

import cbor2
import pytest

from device.model import ListEntry, Resolution
from protocol import base45, cbor, envelope
from protocol.codes import Claims, StatusRef, is_code, seal_code, to_text
from protocol.envelope import AAD_CODE
from protocol.limits import CHECKIN_BYTES, CHECKIN_SUBJECT_BYTES, INT64_MAX, TIME_MAX_MS, UINT64_MAX
from protocol.terms import Colour, Verdict

SHOWN = 10_000
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ODD_TEXT = (
    "",
    "\0",
    "\ud800",
    "é",
    "İ",
    "\u202e",
    "\x1b[2J",
    "\U0001f9ff" * 32,
    "张" * 32,
    "a\nb",
    "\ufeff",
    "{}",
    "%s",
)
NUMBERS = (0, 1, 23, 24, 255, 65535, 2**32, TIME_MAX_MS // 1000, TIME_MAX_MS, INT64_MAX, INT64_MAX + 1, UINT64_MAX, -1)


def hash_of(data):
    return hashlib.sha256(data).digest()[:16]


class Forger:
    """Makes one thing to show after another. `true` and `wild_but_true` hold hashes of codes that may pass."""

    def __init__(self, world, *, seed):
        self.world = world
        self.rng = random.Random(seed)
        self.true = set()
        self.wild_but_true = set()

    def shown(self):
        return self.rng.choice(
            (self.honest, self.changed_text, self.changed_bytes, self.odd_signature, self.noise, self.wild, self.wild)
        )()

    def subject(self):
        return self.rng.randbytes(self.rng.randrange(16, 65))

    def honest(self):
        key = self.rng.choice((self.world.issuer, self.world.second_issuer))
        data = seal_code(self.world.claims(subject=self.subject()), key=key)
        self.true.add(hash_of(data))
        return to_text(data)

    def unsigned(self):
        """A true code that nobody has seen: what is made of it must not pass."""
        key = self.rng.choice((self.world.issuer, self.world.second_issuer))
        return seal_code(self.world.claims(subject=self.subject()), key=key)

    def changed_text(self):
        text = to_text(self.unsigned())
        at = self.rng.randrange(len(text))
        odd = self.rng.choice((*ODD_TEXT, *base45.ALPHABET, "gl1:"))
        deed = self.rng.randrange(4)
        if deed == 0:
            return text[:at]
        if deed == 1:
            return text[:4] + text[4:].lower()
        if deed == 2:
            return f"GL{self.rng.choice((0, 2, 10, 99, 100))}:" + text[4:]
        changed = text[:at] + odd + text[at + self.rng.randrange(2) :]
        return changed if changed != text else text + odd + "0"

    def changed_bytes(self):
        data = bytearray(self.unsigned())
        for _ in range(self.rng.randrange(1, 4)):
            data[self.rng.randrange(len(data))] ^= self.rng.randrange(1, 256)
        return to_text(bytes(data) + self.rng.choice((b"", b"", b"\0")))

    def odd_signature(self):
        numbers = (0, 1, P256_ORDER - 1, P256_ORDER, P256_ORDER + 1, 2**256 - 1, self.rng.getrandbits(256))
        signature = b"".join(self.rng.choice(numbers).to_bytes(32, "big") for _ in "rs")
        protected = {
            1: self.rng.choice((-7, -8)),
            4: self.rng.choice((self.world.issuer, self.world.second_issuer)).public.kid,
        }
        payload = envelope.parse(self.unsigned(), what="code", limit=1024).payload
        return to_text(b"\xd2" + cbor2.dumps([cbor.encode(protected), {}, payload, signature]))

    def noise(self):
        kind = self.rng.randrange(3)
        if kind == 0:
            return to_text(self.rng.randbytes(self.rng.randrange(1100)))
        if kind == 1:
            return "GL1:" + "".join(chr(self.rng.randrange(0x3000)) for _ in range(self.rng.randrange(2100)))
        return self.rng.choice(ODD_TEXT) * self.rng.randrange(1, 60)

    def wild(self):
        """Signed by an issuer, with any claim of any kind and size."""
        now_s = self.world.now_s
        claims = {2: self.subject(), 4: now_s + 50, 6: now_s - 10, -70001: 0}
        for key in self.rng.sample(
            (2, 4, 6, -70001, -70002, -70003, -70004, 65535, 70, 7, -70010), self.rng.randrange(1, 4)
        ):
            claims[key] = self.value()
        if self.rng.randrange(4) == 0:
            del claims[self.rng.choice(list(claims))]
        payload = self.rng.choice((cbor.encode, cbor.encode, cbor2.dumps))(claims)
        data = envelope.seal(payload, key=self.world.issuer, aad=AAD_CODE)
        fit = (
            len(data) <= 1024
            and type(claims.get(2)) is bytes
            and 16 <= len(claims[2]) <= 64
            and type(claims.get(4)) is int
            and type(claims.get(6)) is int
            and claims[6] - 30 <= now_s <= claims[4] + 30
            and 0 < claims[4] - claims[6] <= 120
            and type(claims.get(-70001)) is int
            and claims[-70001] == 0
            and type(claims.get(-70003, 0)) is int
            and claims.get(-70003, 0) in {0, 2}
            and 65535 not in claims
            and 7 not in claims
        )
        if fit:
            self.wild_but_true.add(hash_of(data))
        return to_text(data)

    def value(self, depth=3):
        plain = (
            lambda: self.rng.choice(NUMBERS),
            lambda: self.rng.choice(ODD_TEXT).replace("\ud800", "") * self.rng.randrange(1, 9),
            lambda: self.rng.randbytes(self.rng.randrange(100)),
            lambda: self.rng.choice((True, False)),
            lambda: [self.rng.choice(ODD_TEXT).replace("\ud800", "") for _ in range(3)],
            lambda: {"status_list": {"idx": self.rng.choice(NUMBERS), "uri": self.rng.choice(ODD_TEXT[3:])}},
            lambda: self.world.now_s + self.rng.randrange(-200, 200),
        )
        if depth and self.rng.randrange(4) == 0:
            return [self.value(depth - 1) for _ in range(self.rng.randrange(4))]
        return self.rng.choice(plain)()


@pytest.mark.slow
def test_nothing_that_is_shown_ends_the_scan_or_opens_the_gate_without_right(gate, world):
    forger = Forger(world, seed=20261122)
    codes = 0
    for _ in range(SHOWN):
        text = forger.shown()
        answered = len(gate.scans)
        gate.frames(text)
        assert len(gate.scans) - answered == is_code(text), text
        codes += is_code(text)
        gate.leave_at_once()
    admitted = [draft.code for draft in gate.drafts if draft.verdict is Verdict.ADMIT]
    assert len(admitted) == len(set(admitted))
    assert forger.true <= set(admitted) <= forger.true | forger.wild_but_true
    assert len(forger.true) > SHOWN // 10
    assert set(admitted) & forger.wild_but_true
    assert len(gate.drafts) == codes > SHOWN // 2
    green = [decision for what, decision in gate.happened if what == "light" and decision is Colour.GREEN]
    assert len(green) == len(admitted)


def test_the_largest_code_that_an_issuer_can_sign_fits_into_a_checkin(gate, world):
    longest = "\U0001f9ff"
    gate.at_the_longest_name()
    gate.set_policy(temperature_max_cc=3700)
    gate.temperature_cc = 3650
    gate.lists["u", world.issuer.public.kid] = ListEntry(colour=Colour.GREEN, version=INT64_MAX)
    for colour in Colour.GREEN, Colour.RED:
        claims = Claims(
            subject=bytes(64),
            issued_s=world.now_s,
            expires_s=world.now_s + 120,
            colour=colour,
            masked=(longest * 32, longest * 32, longest * 32),
            rule=longest * 16,
            status=StatusRef(index=UINT64_MAX, uri="u"),
        )
        gate.frames(to_text(seal_code(claims, key=world.issuer)))
        gate.leave()
    assert [draft.colour for draft in gate.drafts] == [Colour.GREEN, Colour.RED]
    assert gate.drafts[0].masked == claims.masked
    assert gate.drafts[0].evidence.status_version == INT64_MAX
    assert max(gate.sealed_bytes) <= CHECKIN_BYTES


def test_the_largest_answer_of_the_platform_fits_into_a_checkin(gate, world):
    longest = "\U0001f9ff"
    gate.at_the_longest_name()
    gate.set_policy(resolve_prefixes=("x",), temperature_max_cc=3700)
    gate.temperature_cc = 3650
    gate.platform.answers["x1"] = Resolution(
        found=True,
        subject=bytes(CHECKIN_SUBJECT_BYTES),
        colour=Colour.GREEN,
        issued_s=TIME_MAX_MS // 1000 - 1,
        expires_s=TIME_MAX_MS // 1000,
        masked=(longest * 32, longest * 32, longest * 32),
        rule=longest * 16,
        issuer_kid=bytes(8),
    )
    gate.frames("x1")
    gate.platform.answers_now()
    gate.frames("x1")
    assert [draft.colour for draft in gate.drafts] == [Colour.GREEN]
    assert len(gate.drafts[0].masked[0]) == 32
    assert max(gate.sealed_bytes) <= CHECKIN_BYTES
