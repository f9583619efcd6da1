"""Whose is this number? The stand-in's answer to what a gate cannot read itself: another region's opaque code, or the
number of an identity card. Nobody but the platform reads the question.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from deploy.sandbox.platform.statuses import Statuses
from protocol.keys import SigningKey
from protocol.limits import LIVE_CODE_S
from protocol.resolve import Resolved, is_id_number, open_query, seal_resolved
from protocol.statuslist import list_id
from protocol.terms import Colour, Scheme

OPAQUE_PREFIX = "YK:"
_OPAQUE = re.compile(r"YK:([0-9]{1,9})", re.ASCII)
_REGION = "110101"
_FIRST_BIRTHDAY = dt.date(1940, 1, 1)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_BORN_A_DAY = 1_000


def opaque_text(person: int) -> str:
    """What another region's code of this person says: a number that only a look-up can turn into a colour."""
    return f"{OPAQUE_PREFIX}{person}"


def id_number(person: int) -> str:
    """The made-up identity number of a made-up person (GB 11643-1999)."""
    day = _FIRST_BIRTHDAY + dt.timedelta(days=person // _BORN_A_DAY)
    head = f"{_REGION}{day:%Y%m%d}{person % _BORN_A_DAY:03d}"
    return head + _CHECKS[sum(int(digit) * weight for digit, weight in zip(head, _WEIGHTS, strict=True)) % 11]


def person_of_id(text: str) -> int | None:
    """Whose identity number this is; None: nobody's of ours."""
    if not is_id_number(text) or not text.startswith(_REGION):
        return None
    day = dt.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    return (day - _FIRST_BIRTHDAY).days * _BORN_A_DAY + int(text[14:17])


class LookUp:
    """Answers sealed queries.

    Args:
        private: opens them.
        key: signs the answers; a function, for it rolls over.
        statuses: people's colours.
        known: whether there is such a person.
        seal_subject: person -> subject, as in their codes.
    """

    def __init__(
        self,
        *,
        private: X25519PrivateKey,
        key: Callable[[], SigningKey],
        statuses: Statuses,
        known: Callable[[int], bool],
        seal_subject: Callable[[int], bytes],
    ) -> None:
        self._private = private
        self._key = key
        self._statuses = statuses
        self._known = known
        self._seal_subject = seal_subject

    def answer(self, data: bytes, *, now_s: int) -> bytes:
        """Sealed query -> signed answer.

        Raises:
            ProtocolError: it is no query of ours.
        """
        query = open_query(data, private=self._private)
        person = self._person(query.text, query.scheme)
        answer = Resolved(id=query.id, device=query.device, found=False, issued_s=now_s, expires_s=now_s + LIVE_CODE_S)
        if person is not None and self._known(person):
            answer = replace(
                answer, found=True, subject=self._seal_subject(person), colour=self._statuses.colour(person)
            )
        return seal_resolved(answer, key=self._key())

    def colour(self, number: str) -> tuple[Colour, int] | None:
        """Identity number -> the person's colour and the version of the list that says so; None: nobody's."""
        person = self._person(number, Scheme.CARD_NUMBER)
        if person is None or not self._known(person):
            return None
        version = self._statuses.version(list_id(self._statuses.reference(person).uri))
        return self._statuses.colour(person), version or 1

    def _person(self, text: str, scheme: Scheme) -> int | None:
        if scheme is Scheme.CARD_NUMBER:
            return person_of_id(text)
        read = _OPAQUE.fullmatch(text)
        return int(read[1]) if read else None
