"""What an attendant types at a desk, sealed in the browser so that the hub which passes it on cannot read it.

A *registration* is a visit of somebody without a phone, alone or with companions; a *look-up* asks for somebody's
colour with that person's consent. The browser seals either to the resolver's key of the trust bundle (`sealing.py`);
the platform answers as `desk_answer.py` says.

    browser ── {id, ask, place, gate, sealed} ──► hub ──► platform
    browser ◄── signed {id, ask, at, sealed to the browser's own key, colours of a visit} ── hub ◄── platform

The id is a hash over all that is sealed, with a nonce in it: nobody can put another question under it, and the same
question sent again is known as the same. The browser makes a key pair for each question; its public half travels
inside the seal, so only whoever opened the question can answer it, and the answer proves that by its nonce.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor
from protocol.errors import MalformedError
from protocol.idnumber import is_id_number
from protocol.limits import DESK_BYTES, DESK_COMPANIONS, DESK_NAME_CHARS, DESK_PADDED_BYTES, DESK_PHONE_CHARS
from protocol.padding import pad, unpad
from protocol.sealing import SEALING_BYTES, open_sealed, seal_to
from protocol.terms import Direction
from protocol.trust import RESOLVER_BYTES

Item = TypeVar("Item")
DESK_ID_BYTES: Final = 16
DESK_NONCE_BYTES: Final = 16
_INFO: Final = b"gatelight/desk/1"
_ID: Final = b"gatelight/desk-id/1"
_PHONE: Final = re.compile(rf"[0-9+-]{{5,{DESK_PHONE_CHARS}}}", re.ASCII)


class Ask(IntEnum):
    """What a desk asks."""

    REGISTRATION = 0
    LOOK_UP = 1

    @property
    def wire_name(self) -> str:
        """The name in logs and audit entries."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody at the desk. `number` is empty for a child without one, who is somebody's companion."""

    name: str = field(repr=False)
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What registration and look-up have in common. `reply` is the browser's X25519 public key for the answer."""

    nonce: bytes = field(repr=False)
    place: str
    gate: str
    at_ms: int
    reply: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(Question):
    """A visit. The first of `people` is the one who answers for it; `phone` may be empty, or somebody else's."""

    direction: Direction
    people: tuple[Person, ...]
    phone: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp(Question):
    """Somebody's colour, asked with that person's consent: without it there is no such question on this wire."""

    number: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedQuestion:
    """What the hub can read of a question: it decides who may ask, and knows the answer by the id."""

    id: bytes
    ask: Ask
    place: str
    gate: str
    data: bytes = field(repr=False)


def ask_of(question: Question) -> Ask:
    """Which of the two it is."""
    return Ask.REGISTRATION if isinstance(question, Registration) else Ask.LOOK_UP


def question_id(question: Question) -> bytes:
    """The first 16 bytes of SHA-256 over `gatelight/desk-id/1` and the encoded question."""
    return _id_of(_encode(question))


def seal_question(question: Question, *, resolver: bytes) -> bytes:
    """Question -> `{1: id, 2: ask, 3: place, 4: gate, 5: HPKE ciphertext}`.

    Args:
        question: what is asked.
        resolver: the X25519 public key from the trust bundle, 32 bytes.

    Raises:
        MalformedError: a question that the platform would refuse, or no key that anything can be sealed to.
    """
    plain = _encode(question)
    _read_question(plain)
    own_id = _id_of(plain)
    sealed = seal_to(resolver, pad(plain, step=DESK_PADDED_BYTES), info=_INFO + own_id, where="resolver")
    return cbor.encode({1: own_id, 2: ask_of(question), 3: question.place, 4: question.gate, 5: sealed})


def read_question(data: bytes) -> SealedQuestion:
    """Sealed question -> what is outside the seal.

    Raises:
        LimitError, MalformedError: not a sealed question.
    """
    return _read_sealed(data)[0]


def open_question(data: bytes, *, private: X25519PrivateKey) -> Registration | LookUp:
    """Sealed question -> question, as the platform reads it.

    1. The outer map, within its limit.
    2. The ciphertext opens with this key, for this id, and is padded.
    3. The question, each field within its bounds.
    4. Id, kind, place and gate outside are those that follow from what is inside: the hub judged by them.

    Raises:
        LimitError, MalformedError: not a question.
        SignatureError: sealed to another key or id, or altered.
    """
    # 1.
    outer, sealed = _read_sealed(data)
    # 2.
    padded = open_sealed(sealed, private=private, info=_INFO + outer.id, where="desk question")
    plain = unpad(padded, "desk question", step=DESK_PADDED_BYTES)
    # 3.
    question = _read_question(plain)
    # 4.
    inner = SealedQuestion(
        id=_id_of(plain), ask=ask_of(question), place=question.place, gate=question.gate, data=outer.data
    )
    if inner != outer:
        raise MalformedError("desk question", "another question than stands outside")
    return question


def _id_of(plain: bytes) -> bytes:
    return hashlib.sha256(_ID + plain).digest()[:DESK_ID_BYTES]


def _encode(question: Question) -> bytes:
    fields: dict[int, Any] = {
        1: question.nonce,
        2: ask_of(question),
        3: question.place,
        4: question.gate,
        5: question.at_ms,
        6: question.reply,
    }
    if isinstance(question, Registration):
        fields[7] = question.direction
        fields[8] = [[person.name, person.number] for person in question.people]
        fields[9] = question.phone
    elif isinstance(question, LookUp):
        fields[10] = question.number
        fields[11] = True
    return cbor.encode(fields)


def _read_sealed(data: bytes) -> tuple[SealedQuestion, bytes]:
    what = "sealed desk question"
    fields = cbor.fields(cbor.decode(data, what=what, limit=DESK_BYTES), what=what, known=frozenset(range(1, 6)))
    outer = SealedQuestion(
        id=cbor.sized_bytes(fields.get(1), f"{what}.id", DESK_ID_BYTES),
        ask=cbor.member(fields.get(2), f"{what}.ask", Ask),
        place=cbor.name(fields.get(3), f"{what}.place"),
        gate=cbor.name(fields.get(4), f"{what}.gate"),
        data=data,
    )
    least = DESK_PADDED_BYTES + SEALING_BYTES
    return outer, cbor.sized_bytes(fields.get(5), f"{what}.ciphertext", least, DESK_BYTES)


_COMMON: Final = frozenset(range(1, 7))
_OWN: Final = {Ask.REGISTRATION: frozenset({7, 8, 9}), Ask.LOOK_UP: frozenset({10, 11})}


def _read_question(plain: bytes) -> Registration | LookUp:
    what = "desk question"
    value = cbor.decode(plain, what=what, limit=DESK_BYTES)
    ask = cbor.member(value.get(2) if type(value) is dict else None, f"{what}.ask", Ask)
    fields = cbor.fields(value, what=what, known=_COMMON | _OWN[ask])
    nonce = cbor.sized_bytes(fields.get(1), f"{what}.nonce", DESK_NONCE_BYTES)
    place, gate = cbor.name(fields.get(3), f"{what}.place"), cbor.name(fields.get(4), f"{what}.gate")
    at_ms = cbor.time_ms(fields.get(5), f"{what}.at")
    reply = cbor.sized_bytes(fields.get(6), f"{what}.reply", RESOLVER_BYTES)
    if ask is Ask.LOOK_UP:
        if not cbor.boolean(fields.get(11), f"{what}.consent"):
            raise MalformedError(f"{what}.consent", "nobody is looked up without it")
        number = _read_number(fields.get(10), f"{what}.number")
        return LookUp(nonce=nonce, place=place, gate=gate, at_ms=at_ms, reply=reply, number=number)
    return Registration(
        nonce=nonce,
        place=place,
        gate=gate,
        at_ms=at_ms,
        reply=reply,
        direction=cbor.member(fields.get(7), f"{what}.direction", Direction),
        people=read_people(fields.get(8), f"{what}.people", _read_person),
        phone=_read_phone(fields.get(9), f"{what}.phone"),
    )


def read_people(value: Any, where: str, read: Callable[[Any, str, int], Item]) -> tuple[Item, ...]:
    """A list with one entry for each person at the desk: `read(entry, where, position)`.

    Raises:
        MalformedError: not a list of 1 to 9.
    """
    if type(value) is not list or not 1 <= len(value) <= 1 + DESK_COMPANIONS:
        raise MalformedError(where, f"not a list of 1 to {1 + DESK_COMPANIONS} people")
    return tuple(read(item, f"{where}[{at}]", at) for at, item in enumerate(value))


def _read_person(value: Any, where: str, at: int) -> Person:
    if type(value) is not list or len(value) != 2:
        raise MalformedError(where, "not a name and a number")
    child = at > 0 and value[1] == ""
    return Person(
        name=cbor.text(value[0], f"{where}.name", 1, DESK_NAME_CHARS),
        number="" if child else _read_number(value[1], f"{where}.number"),
    )


def _read_number(value: Any, where: str) -> str:
    if type(value) is not str or not is_id_number(value):
        raise MalformedError(where, "not an identity number")  # which one is told to nobody
    return value


def _read_phone(value: Any, where: str) -> str:
    if type(value) is not str or (value and not _PHONE.fullmatch(value)):
        raise MalformedError(where, f"neither empty nor 5 to {DESK_PHONE_CHARS} digits, + and -")
    return value
