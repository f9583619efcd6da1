from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor
from protocol.desk import Ask, LookUp, open_question, question_id, read_question, seal_question
from protocol.desk_answer import Answer, Receipt, Told, open_receipt, open_told, seal_answer
from protocol.errors import KeyUseError, LimitError, MalformedError, SignatureError, UnknownKeyError
from protocol.limits import DESK_ANSWER_BYTES, DESK_BYTES
from protocol.reasons import Reason
from protocol.resolve import open_query
from protocol.terms import Colour, Direction
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey
from protocol.vectors.make_desk import (
    FAMILY,
    LARGEST,
    LOOK_UP,
    REGISTRATION,
    REPLY,
    TOLD,
    outer_of,
    outer_value,
    plain_question,
    sealed_question,
)
from protocol.vectors.make_gate import AT_S
from protocol.vectors.make_resolve import NOBODY, RESOLVER, RESOLVER_PUBLIC

STRANGER = X25519PrivateKey.from_private_bytes(b"s" * 32)
QUESTIONS = [REGISTRATION, FAMILY, LARGEST, LOOK_UP]


@pytest.fixture
def bundle(keys):
    def window(key, use):
        return TrustedKey(key=key.public, uses=frozenset({use}), not_before_s=0, not_after_s=AT_S * 2)

    trusted = (window(keys.platform, KeyUse.RESOLVED), window(keys.issuer, KeyUse.CODE))
    issuers = (Issuer(name="platform", region="CN", keys=trusted),)
    return TrustBundle(version=1, issued_s=0, expires_s=AT_S * 2, issuers=issuers)


def answer_to(question, *people):
    ask = Ask.LOOK_UP if isinstance(question, LookUp) else Ask.REGISTRATION
    direction = None if ask is Ask.LOOK_UP else question.direction
    own_id = question_id(question)
    return Answer(id=own_id, ask=ask, at_ms=AT_S * 1000, issued_s=AT_S, people=people, direction=direction)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_comes_back_as_it_was_sealed(question):
    data = seal_question(question, resolver=RESOLVER_PUBLIC)
    assert open_question(data, private=RESOLVER) == question
    assert read_question(data) == replace(outer_value(question), data=data)
    assert len(data) <= DESK_BYTES


def test_nobody_else_can_read_it_and_no_two_are_alike():
    one, two = (seal_question(FAMILY, resolver=RESOLVER_PUBLIC) for _ in range(2))
    assert one != two
    for person in FAMILY.people:
        for text in filter(None, (person.name, person.number, FAMILY.phone)):
            assert text.encode() not in one
    with pytest.raises(SignatureError, match="does not open"):
        open_question(one, private=STRANGER)


def test_nothing_personal_stands_in_a_representation():
    for question in (FAMILY, LOOK_UP):
        assert NOBODY not in repr(question)
        assert "无名氏" not in repr(question)
        assert FAMILY.phone not in repr(question)


def test_the_length_does_not_tell_who_comes_along():
    assert len({len(seal_question(each, resolver=RESOLVER_PUBLIC)) for each in (REGISTRATION, FAMILY, LOOK_UP)}) == 1


def test_an_id_is_that_of_one_question():
    ids = {
        question_id(each)
        for each in (
            *QUESTIONS,
            replace(REGISTRATION, nonce=bytes(16)),
            replace(REGISTRATION, reply=bytes(32)),
            replace(REGISTRATION, gate="other"),
            replace(REGISTRATION, direction=Direction.OUT),
            replace(LOOK_UP, number="11010120991231004X"),
        )
    }
    assert len(ids) == 9


@pytest.mark.parametrize("question", [FAMILY, LOOK_UP])
def test_every_altered_bit_shows(question):
    data = sealed_question(plain_question(question), **outer_of(question))
    for at in range(0, len(data), 3):
        altered = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        with pytest.raises((MalformedError, SignatureError)):
            open_question(altered, private=RESOLVER)


def test_the_hub_judges_by_what_the_platform_holds_it_to():
    inner = plain_question(REGISTRATION)
    for outside in ({"_3": "elsewhere"}, {"_4": "G9"}, {"_2": 1}):
        with pytest.raises(MalformedError, match="another question than stands outside"):
            open_question(sealed_question(inner, **outside), private=RESOLVER)


def test_a_gates_query_is_no_desks_question():
    with pytest.raises((MalformedError, SignatureError)):
        open_query(seal_question(LOOK_UP, resolver=RESOLVER_PUBLIC), private=RESOLVER)


def test_what_is_refused_does_not_quote_what_was_typed():
    wrong = NOBODY[:-1] + "4"
    with pytest.raises(MalformedError) as caught:
        seal_question(replace(LOOK_UP, number=wrong), resolver=RESOLVER_PUBLIC)
    assert wrong not in str(caught.value)


def test_nothing_is_sealed_to_what_is_no_key():
    for resolver in (bytes(31), bytes(32)):
        with pytest.raises(MalformedError, match="resolver"):
            seal_question(LOOK_UP, resolver=resolver)


def test_a_question_over_the_limit_is_not_read():
    with pytest.raises(LimitError):
        read_question(bytes(DESK_BYTES + 1))


@pytest.mark.parametrize(("question", "people"), [(FAMILY, TOLD), (LOOK_UP, TOLD[:1]), (LARGEST, TOLD * 3)])
def test_an_answer_comes_back_to_hub_and_browser(keys, bundle, question, people):
    answer = answer_to(question, *people)
    data = seal_answer(answer, question=question, key=keys.platform)
    receipt = open_receipt(data, trust=bundle, at_s=AT_S, id=answer.id, ask=answer.ask)
    visit = answer.ask is Ask.REGISTRATION
    assert receipt.colours == (tuple(sorted(told.colour for told in people)) if visit else ())
    assert open_told(receipt, private=REPLY, nonce=question.nonce) == (people, AT_S)
    assert len(data) <= DESK_ANSWER_BYTES


def test_the_hub_is_told_no_colour_of_a_look_up(keys, bundle):
    """Answers of every colour are alike to it, in length too."""
    seen = set()
    for colour in Colour:
        told = Told(colour=colour, reason=Reason.OK)
        data = seal_answer(answer_to(LOOK_UP, told), question=LOOK_UP, key=keys.platform)
        receipt = open_receipt(data, trust=bundle, at_s=AT_S, id=question_id(LOOK_UP), ask=Ask.LOOK_UP)
        seen.add((receipt.colours, len(receipt.sealed), len(data)))
        with pytest.raises(SignatureError):
            open_told(receipt, private=RESOLVER, nonce=LOOK_UP.nonce)
    assert len(seen) == 1


def test_only_the_platform_answers_and_only_this_question(keys, bundle):
    answer = answer_to(FAMILY, *TOLD)
    own = {"trust": bundle, "at_s": AT_S, "id": answer.id, "ask": answer.ask}
    with pytest.raises(KeyUseError):
        open_receipt(seal_answer(answer, question=FAMILY, key=keys.issuer), **own)
    with pytest.raises(UnknownKeyError):
        open_receipt(seal_answer(answer, question=FAMILY, key=keys.hub), **own)
    data = seal_answer(answer, question=FAMILY, key=keys.platform)
    with pytest.raises(SignatureError):
        open_receipt(data[:-1] + bytes([data[-1] ^ 1]), **own)
    with pytest.raises(MalformedError, match="another question"):
        open_receipt(data, **own | {"id": bytes(16)})
    with pytest.raises(MalformedError, match="another question"):
        open_receipt(data, **own | {"ask": Ask.LOOK_UP})


def test_a_browser_takes_no_answer_from_who_has_not_read_the_question(keys, bundle):
    answer = answer_to(FAMILY, *TOLD)
    guessed = seal_answer(answer, question=replace(FAMILY, nonce=bytes(16)), key=keys.platform)
    receipt = open_receipt(guessed, trust=bundle, at_s=AT_S, id=answer.id, ask=answer.ask)
    with pytest.raises(MalformedError, match="nonce"):
        open_told(receipt, private=REPLY, nonce=FAMILY.nonce)
    assert isinstance(receipt, Receipt)


def test_a_hub_that_is_told_other_colours_shows(keys, bundle):
    answer = answer_to(FAMILY, *TOLD)
    data = seal_answer(answer, question=FAMILY, key=keys.platform)
    receipt = open_receipt(data, trust=bundle, at_s=AT_S, id=answer.id, ask=answer.ask)
    lied = replace(receipt, colours=(Colour.GREEN,) * 3)
    with pytest.raises(MalformedError, match="not those that are told"):
        open_told(lied, private=REPLY, nonce=FAMILY.nonce)


def test_an_answer_that_nobody_could_use_is_not_made(keys):
    for people in ((), TOLD * 4):
        with pytest.raises(MalformedError, match="1 to 9"):
            seal_answer(answer_to(FAMILY, *people), question=FAMILY, key=keys.platform)
    with pytest.raises(MalformedError, match="reply"):
        seal_answer(answer_to(FAMILY, *TOLD), question=replace(FAMILY, reply=bytes(32)), key=keys.platform)


def test_a_look_up_without_consent_cannot_be_written():
    fields = cbor.decode(plain_question(LOOK_UP), what="question", limit=DESK_BYTES)
    assert fields[11] is True
    for consent in (False, None):
        with pytest.raises(MalformedError, match="consent"):
            open_question(sealed_question(plain_question(LOOK_UP, _11=consent), _2=1), private=RESOLVER)
