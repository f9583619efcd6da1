"""Targets for the attendant's desk: what the hub reads outside the seals, and what platform and browser read inside."""

from protocol.desk import Ask, _encode, _read_question, question_id, read_question
from protocol.desk_answer import _read_told, open_receipt
from protocol.errors import ProtocolError
from protocol.vectors.make_desk import FAMILY, FAMILY_ID, LOOK_UP, REGISTRATION, TOLD, plain_question, plain_told
from tests.fuzz.seeds import payloads, wholes
from tests.fuzz.stand_ins import ANY_TRUST, sealed
from tests.fuzz.target import Target, require, round_trip


def _sealed(data: bytes) -> None:
    outer = read_question(data)
    require(outer.data == data and len(outer.id) == 16, "an id of another length, or other bytes")


def _question(data: bytes) -> None:
    question = _read_question(data)
    round_trip(question, data, encode=_encode, decode=_read_question)
    require(len(question_id(question)) == 16, "an id of another length")


def _questions():
    yield from map(plain_question, (REGISTRATION, FAMILY, LOOK_UP))


def _receipt(payload: bytes) -> None:
    receipt = open_receipt(sealed(payload), trust=ANY_TRUST, at_s=0, id=FAMILY_ID, ask=Ask.REGISTRATION)
    require(tuple(sorted(receipt.colours)) == receipt.colours, "colours in the order of persons")


def _told(data: bytes) -> None:
    people, _ = _read_told(data, nonce=FAMILY.nonce)
    require(1 <= len(people) <= 9, "more people than a desk can register")


TARGETS = (
    Target(
        name="desk-sealed",
        decoder="protocol.desk.read_question",
        check=_sealed,
        refuses=(ProtocolError,),
        seeds=wholes("desk-questions"),
        bytes_max=1280,
    ),
    Target(
        name="desk-question",
        decoder="protocol.desk, once it is opened",
        check=_question,
        refuses=(ProtocolError,),
        seeds=_questions,
        bytes_max=512,
    ),
    Target(
        name="desk-answer",
        decoder="protocol.desk_answer.open_receipt",
        check=_receipt,
        refuses=(ProtocolError,),
        seeds=payloads("desk-answers"),
        bytes_max=512,
    ),
    Target(
        name="desk-told",
        decoder="protocol.desk_answer.open_told, once it is opened",
        check=_told,
        refuses=(ProtocolError,),
        seeds=lambda: iter((plain_told(*TOLD), plain_told(*TOLD[:1]))),
        bytes_max=256,
    ),
)
