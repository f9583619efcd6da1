"""The way of a look-up: what is asked, what is believed, and what is dropped."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.trust.resolver import OPEN_MOST, OPEN_MS, Resolver
from protocol import topics
from protocol.keys import Ed25519SigningKey
from protocol.resolve import Resolved, open_query, seal_resolved
from protocol.terms import Colour, Scheme
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey

NOW_S = 1_800_000_000
DEVICE = b"device-1"
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
ANSWERS = Ed25519SigningKey(b"answers " * 4)
CODES = Ed25519SigningKey(b"codes   " * 4)


PUBLIC = PRIVATE.public_key().public_bytes_raw()


def bundle(*, resolver=PUBLIC):
    def trusted(key, use):
        return TrustedKey(key=key.public, uses=frozenset({use}), not_before_s=0, not_after_s=NOW_S + 1000)

    keys = (trusted(ANSWERS, KeyUse.RESOLVED), trusted(CODES, KeyUse.CODE))
    return TrustBundle(
        version=1,
        issued_s=NOW_S,
        expires_s=NOW_S + 1000,
        issuers=(Issuer(name="i", region="r", keys=keys),),
        resolver=resolver,
    )


class Stage:
    def __init__(self):
        self.mono_ms = 0
        self.connected = True
        self.bundle = bundle()
        self.sent = []
        self.ids = iter(range(1, 1000))
        self.resolver = Resolver(
            device=DEVICE,
            place="mall",
            gate="north",
            trust=lambda: self.bundle,
            connected=lambda: self.connected,
            put=lambda *message: self.sent.append(message),
            at_s=lambda: NOW_S,
            mono_ms=lambda: self.mono_ms,
            random_bytes=lambda length: next(self.ids).to_bytes(length, "big"),
        )

    def ask(self, text="11010119900307109X", scheme=Scheme.CARD_NUMBER):
        return self.resolver.ask(text, scheme)

    def answered(self, id_, *, key=ANSWERS, **changes):
        resolved = Resolved(
            id=id_,
            device=DEVICE,
            found=True,
            subject=b"subject-of-16-by",
            colour=Colour.GREEN,
            issued_s=NOW_S,
            expires_s=NOW_S + 60,
        )
        return seal_resolved(replace(resolved, **changes), key=key)


@pytest.fixture
def stage():
    return Stage()


def test_a_question_goes_out_sealed_and_its_answer_comes_back_once(stage):
    id_ = stage.ask()
    ((topic, payload, qos),) = stage.sent
    assert (topic, qos) == (topics.resolve(DEVICE), 0)
    assert b"19900307" not in payload
    query = open_query(payload, private=PRIVATE)
    assert (query.id, query.device, query.place, query.gate) == (id_, DEVICE, "mall", "north")
    assert (query.text, query.scheme) == ("11010119900307109X", Scheme.CARD_NUMBER)
    assert stage.resolver.answer(id_) is None
    stage.resolver.take(stage.answered(id_, masked=("张", "11", "9X"), rule="r1"))
    answer = stage.resolver.answer(id_)
    assert (answer.found, answer.colour, answer.subject) == (True, Colour.GREEN, b"subject-of-16-by")
    assert (answer.masked, answer.rule, answer.issuer_kid) == (("张", "11", "9X"), "r1", ANSWERS.public.kid)
    assert stage.resolver.answer(id_) is None


def test_not_found_is_an_answer(stage):
    id_ = stage.ask()
    stage.resolver.take(stage.answered(id_, found=False, subject=b"", colour=None))
    assert stage.resolver.answer(id_).found is False


def test_nothing_is_asked_when_nobody_could_answer(stage):
    stage.connected = False
    assert stage.ask() is None
    stage.connected = True
    stage.bundle = bundle(resolver=None)
    assert stage.ask() is None
    assert stage.sent == []


@pytest.mark.parametrize("text", ["", "x" * 513, "\ud800"])
def test_what_is_no_look_up_is_not_asked(stage, text):
    assert stage.ask(text, Scheme.OPAQUE) is None
    assert stage.sent == []


def test_only_so_many_are_open_and_each_for_two_seconds(stage):
    ids = [stage.ask() for _ in range(OPEN_MOST)]
    assert None not in ids
    assert stage.ask() is None
    stage.mono_ms = OPEN_MS - 1
    stage.resolver.take(stage.answered(ids[0]))
    assert stage.ask() is None
    stage.mono_ms = OPEN_MS
    assert stage.resolver.answer(ids[0]) is None
    stage.resolver.take(stage.answered(ids[1]))
    assert stage.resolver.answer(ids[1]) is None
    assert stage.resolver.late == 1
    assert stage.ask() is not None


def test_an_answer_that_was_fetched_leaves_room(stage):
    ids = [stage.ask() for _ in range(OPEN_MOST)]
    stage.resolver.take(stage.answered(ids[3]))
    assert stage.resolver.answer(ids[3]).found
    assert stage.ask() is not None


ATTACKS = {
    "another device's": lambda stage, id_: stage.answered(id_, device=b"device-2"),
    "a key for codes": lambda stage, id_: stage.answered(id_, key=CODES),
    "an unknown key": lambda stage, id_: stage.answered(id_, key=Ed25519SigningKey(b"x" * 32)),
    "a broken signature": lambda stage, id_: stage.answered(id_)[:-1] + b"\x00",
    "one that has ended": lambda stage, id_: stage.answered(id_, issued_s=NOW_S - 60, expires_s=NOW_S - 1),
    "bytes behind it": lambda stage, id_: stage.answered(id_) + b"\x00",
    "nothing": lambda stage, id_: b"",
    "junk": lambda stage, id_: b"\xd2\x84" + bytes(200),
    "far too much": lambda stage, id_: bytes(100_000),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_is_not_the_platforms_answer_is_refused_and_the_right_one_still_counts(stage, attack):
    id_ = stage.ask()
    stage.resolver.take(attack(stage, id_))
    assert stage.resolver.answer(id_) is None
    assert stage.resolver.refused == 1
    stage.resolver.take(stage.answered(id_))
    assert stage.resolver.answer(id_).found


def test_an_answer_to_another_question_is_not_even_verified(stage, monkeypatch):
    stage.ask()
    monkeypatch.setattr("device.trust.resolver.open_resolved", lambda *_, **__: pytest.fail("verified"))
    stage.resolver.take(stage.answered(b"never-asked-this"))
    assert (stage.resolver.late, stage.resolver.refused) == (1, 0)


def test_a_second_answer_changes_nothing(stage):
    id_ = stage.ask()
    stage.resolver.take(stage.answered(id_, colour=Colour.RED))
    stage.resolver.take(stage.answered(id_))
    assert stage.resolver.answer(id_).colour is Colour.RED
    stage.resolver.take(stage.answered(id_))
    assert stage.resolver.answer(id_) is None
    assert stage.resolver.late == 2


def test_no_refusal_says_what_was_in_it(stage, caplog):
    id_ = stage.ask()
    stage.resolver.take(stage.answered(id_, key=CODES, rule="secret"))
    (record,) = caplog.records
    assert "secret" not in record.getMessage()
    assert "subject" not in record.getMessage()
