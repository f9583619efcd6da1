"""What a pattern reads, `parse_checkin` reads too, with the same result; whatever else comes is left to it."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import checkin, familiar
from protocol.checkin import GENESIS, CheckIn, Evidence, hash_of, parse_checkin, seal_checkin
from protocol.errors import ProtocolError
from protocol.familiar import Familiar
from protocol.keys import Ed25519SigningKey
from protocol.limits import INT64_MAX, TIME_MAX_MS
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

KEY = Ed25519SigningKey(bytes(range(32)))
FIRST = CheckIn(
    device=b"device-1",
    epoch=b"epoch--1",
    seq=300,
    prev=bytes(32),
    at_ms=1_790_000_000_000,
    clock=Clock.TRUSTED,
    place="mall",
    gate="north",
    direction=Direction.IN,
    colour=Colour.GREEN,
    verdict=Verdict.ADMIT,
    reason=Reason.OK,
    code=bytes(16),
    scheme=Scheme.GATELIGHT,
    subject=bytes(48),
    evidence=Evidence(issuer_kid=bytes(8), code_issued_s=1_790_000_000, policy_version=3),
    temperature_cc=3650,
)


def sealed(**changes):
    return seal_checkin(dataclasses.replace(FIRST, **changes), key=KEY)


def outcome(parse, data):
    try:
        return parse(data)
    except ProtocolError as error:
        return (type(error), error.reason, str(error))


@pytest.fixture
def strict_reads(monkeypatch):
    """How often the strict reader was asked."""
    asked = []

    def counted(data):
        asked.append(data)
        return parse_checkin(data)

    monkeypatch.setattr(familiar, "parse_checkin", counted)
    return asked


def test_the_next_check_in_of_a_gate_is_read_by_the_pattern_of_the_one_before(strict_reads):
    reader = Familiar()
    chain, prev = [], GENESIS
    for seq in range(300, 400):
        chain.append(
            sealed(
                seq=seq,
                prev=prev,
                at_ms=FIRST.at_ms + seq,
                code=seq.to_bytes(16, "big"),
                subject=seq.to_bytes(48, "big"),
                temperature_cc=3600 + seq % 90,
                evidence=dataclasses.replace(FIRST.evidence, code_issued_s=1_790_000_000 + seq),
            )
        )
        prev = hash_of(chain[-1])
    assert [reader.parse(data) for data in chain] == [parse_checkin(data) for data in chain]
    assert strict_reads == chain[:1]


def test_one_byte_changed_anywhere_to_anything_is_judged_as_the_strict_reader_does():
    one = sealed(seq=1000)
    for at in range(len(one)):
        reader = Familiar()
        reader.parse(sealed(seq=2000))
        for value in {0, 1, 0x17, 0x18, 0x1B, 0x3F, 0x40, 0x58, 0x5F, 0x7F, 0xFF, one[at] ^ 1, one[at] ^ 0x80}:
            data = one[:at] + bytes((value,)) + one[at + 1 :]
            assert outcome(reader.parse, data) == outcome(parse_checkin, data)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("seq", [1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, INT64_MAX, INT64_MAX + 1, 2**64 - 1]),
        ("at_ms", [0, 23, 2**32 - 1, 2**32, TIME_MAX_MS, TIME_MAX_MS + 1, 2**64 - 1]),
        ("temperature_cc", [0, 255, 256, 10_000, 10_001, 65_535]),
        ("code_issued_s", [0, 65_535, 65_536, 2**32 - 1, 2**32, 253_402_300_800]),
    ],
)
def test_numbers_at_every_bound_are_judged_as_the_strict_reader_does(field, values, monkeypatch):
    """Made without the sealer's own check, which would refuse them."""
    monkeypatch.setattr(checkin, "_read_checkin", lambda _payload: None)
    made = []
    for value in values:
        if field == "code_issued_s":
            made.append(sealed(evidence=dataclasses.replace(FIRST.evidence, code_issued_s=value)))
        else:
            made.append(sealed(**{field: value}))
    monkeypatch.undo()
    for first in made:
        for second in made:
            reader = Familiar()
            assert outcome(reader.parse, first) == outcome(parse_checkin, first)
            assert outcome(reader.parse, second) == outcome(parse_checkin, second)


def test_integers_in_a_longer_form_than_they_need_are_refused():
    """Bytes that fit the pattern of a large number, with a small one in them."""
    reader = Familiar()
    wide = sealed(seq=2**33, at_ms=2**33)
    reader.parse(wide)
    for small in (0, 1, 2**32 - 1):
        data = wide.replace((2**33).to_bytes(8, "big"), small.to_bytes(8, "big"))
        assert len(data) == len(wide)
        with pytest.raises(ProtocolError):
            reader.parse(data)


def test_names_are_read_strictly_each_time(strict_reads):
    reader = Familiar()
    first, second = sealed(masked=("张", "11", "23")), sealed(masked=("李", "11", "23"))
    assert [reader.parse(first), reader.parse(second)] == [parse_checkin(first), parse_checkin(second)]
    assert len(strict_reads) == 2


def test_the_verdicts_of_a_gate_have_patterns_in_bounded_number(strict_reads):
    reader = Familiar()
    kinds = [(colour, verdict) for colour in (Colour.GREEN, Colour.YELLOW, Colour.RED) for verdict in Verdict]
    for colour, verdict in kinds:
        data = sealed(colour=colour, verdict=verdict)
        assert reader.parse(data) == parse_checkin(data)
        assert len(reader._patterns) <= familiar._PATTERNS_MAX
    assert len(strict_reads) == len(kinds)
    for colour, verdict in kinds[-familiar._PATTERNS_MAX :]:
        reader.parse(sealed(colour=colour, verdict=verdict, seq=301))
    assert len(strict_reads) == len(kinds)


@given(seed=st.integers(0, 2**32))
def test_any_two_check_ins_one_after_the_other(seed):
    rng = random.Random(seed)

    def one():
        evidence = Evidence(
            issuer_kid=rng.choice((None, rng.randbytes(8))),
            code_issued_s=rng.choice((None, rng.randrange(2**33))),
            status_version=rng.choice((None, rng.randrange(300))),
            rule=rng.choice((None, "R1", "规则")),
        )
        return sealed(
            seq=rng.choice((rng.randrange(1, 300), rng.randrange(1, 2**40))),
            at_ms=rng.randrange(TIME_MAX_MS),
            place=rng.choice(("mall", "station")),
            colour=rng.choice(list(Colour)),
            reason=rng.choice(list(Reason)),
            code=rng.randbytes(16),
            subject=rng.randbytes(rng.choice((0, 16, 23, 24, 48, 255))),
            masked=rng.choice((None, None, ("张", "11", "23"))),
            evidence=evidence,
            temperature_cc=rng.choice((None, rng.randrange(10_001))),
        )

    reader = Familiar()
    for _ in range(3):
        for data in (one(), one()):
            assert reader.parse(data) == parse_checkin(data)
            cut = data[: rng.randrange(len(data))]
            assert outcome(reader.parse, cut) == outcome(parse_checkin, cut)
            at = rng.randrange(len(data))
            other = data[:at] + rng.randbytes(1) + data[at + 1 :]
            assert outcome(reader.parse, other) == outcome(parse_checkin, other)
