"""Desks' questions, as the stand-in platform answers them. Nobody else can open one; each has one answer for ever."""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from deploy.sandbox.platform.lookup import LookUp as Lists
from deploy.sandbox.platform.store import DeskRow, PlatformStore
from protocol.desk import LookUp, Person, Registration, ask_of, open_question, question_id
from protocol.desk_answer import Answer, Told, seal_answer
from protocol.keys import SigningKey
from protocol.reasons import Reason
from protocol.terms import Colour, Scheme

_REASONS: Final = {
    Colour.GREEN: Reason.OK,
    Colour.RED: Reason.COLOUR_RED,
    Colour.YELLOW: Reason.COLOUR_YELLOW,
    Colour.NOTICE: Reason.NOTICE,
}
_UNKNOWN: Final = Told(colour=Colour.GREY, reason=Reason.NOT_FOUND)


class DeskWindow:
    """Answers what hubs pass on.

    Args:
        private: opens the questions.
        key: signs the answers; a function, for it rolls over.
        lists: people's colours by identity number.
        store: what was asked, and the answers.
    """

    def __init__(
        self, *, private: X25519PrivateKey, key: Callable[[], SigningKey], lists: Lists, store: PlatformStore
    ) -> None:
        self._private, self._key, self._lists, self._store = private, key, lists, store

    def answer(self, data: bytes, *, hub: bytes, now_ms: int) -> bytes:
        """Sealed question -> signed answer; the same one to the same question.

        Raises:
            ProtocolError: it is no question that was sealed to us.
        """
        question = open_question(data, private=self._private)
        own_id = question_id(question)
        before = self._store.desk_answer(own_id)
        if before is not None:
            return before
        people = (Person(name="", number=question.number),) if isinstance(question, LookUp) else question.people
        told = self._told(people)
        direction = question.direction if isinstance(question, Registration) else None
        answer = seal_answer(
            Answer(
                id=own_id, ask=ask_of(question), at_ms=now_ms, issued_s=now_ms // 1000, people=told, direction=direction
            ),
            question=question,
            key=self._key(),
        )
        row = DeskRow(
            id=own_id,
            ask=ask_of(question),
            hub=hub,
            place=question.place,
            gate=question.gate,
            direction=direction,
            scheme=Scheme.ATTENDANT,
            phone=question.phone if isinstance(question, Registration) else "",
            at_ms=question.at_ms,
            received_ms=now_ms,
            answer=answer,
        )
        self._store.keep_desk(
            row, [(person.name, person.number, one.colour) for person, one in zip(people, told, strict=True)]
        )
        return answer

    def _told(self, people: tuple[Person, ...]) -> tuple[Told, ...]:
        first = self._one(people[0].number)
        return (first, *(self._one(person.number) if person.number else first for person in people[1:]))

    def _one(self, number: str) -> Told:
        found = self._lists.colour(number)
        if found is None:
            return _UNKNOWN
        colour, version = found
        return Told(colour=colour, reason=_REASONS[colour], list_version=version)
