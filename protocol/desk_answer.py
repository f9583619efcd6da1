"""The platform's answer to a desk (`desk.py`): a signed receipt for the hub, and in it what is for the browser alone.

The hub learns of a registration that it is stored, and its colours as a gate's check-ins would tell them; of a look-up
that it was answered. Whose colour is whose, and any look-up's colour, is sealed to the key that the question brought.
"""

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor, envelope
from protocol.desk import DESK_ID_BYTES, DESK_NONCE_BYTES, Ask, Question, read_people
from protocol.envelope import AAD_DESK_ANSWER
from protocol.errors import MalformedError
from protocol.keys import SigningKey
from protocol.limits import DESK_ANSWER_BYTES, DESK_TOLD_PADDED_BYTES
from protocol.padding import pad, unpad
from protocol.reasons import Reason
from protocol.sealing import SEALING_BYTES, open_sealed, seal_to
from protocol.terms import Colour, Direction
from protocol.trust import KeyUse, TrustBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the attendant is told of one person. Grey: the platform does not know the number."""

    colour: Colour
    reason: Reason
    list_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The platform's answer before it is sealed: `people` in the order of the question."""

    id: bytes
    ask: Ask
    at_ms: int
    issued_s: int
    people: tuple[Told, ...]
    direction: Direction | None = None
    """Of a registration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the hub can read of an answer. To a registration it says: stored, and nothing of it needs to be kept.

    `colours` and `direction` are those of a visit, the colours ascending and without order of persons, as a gate's
    check-ins tell them; of a look-up, which is nobody's visit, there are none. `sealed` is for the browser.
    """

    id: bytes
    ask: Ask
    at_ms: int
    colours: tuple[Colour, ...] = ()
    direction: Direction | None = None
    sealed: bytes = field(repr=False)
    issuer_kid: bytes = b""


def seal_answer(answer: Answer, *, question: Question, key: SigningKey) -> bytes:
    """Answer -> signed bytes, as the platform makes them: a receipt, with what is told sealed to the browser.

    Raises:
        MalformedError: an answer that a hub or a browser would refuse.
    """
    plain = cbor.encode(
        {1: question.nonce, 2: [_told_map(told) for told in answer.people], 3: answer.issued_s},
    )
    _read_told(plain, nonce=question.nonce)
    padded = pad(plain, step=DESK_TOLD_PADDED_BYTES)
    sealed = seal_to(question.reply, padded, info=AAD_DESK_ANSWER + answer.id, where="reply")
    fields: dict[int, Any] = {1: answer.id, 2: answer.ask, 3: answer.at_ms, 4: sealed}
    if answer.ask is Ask.REGISTRATION:
        fields[5] = sorted(told.colour for told in answer.people)
        if answer.direction is not None:
            fields[6] = answer.direction
    payload = cbor.encode(fields)
    _read_receipt(payload, issuer_kid=key.public.kid)
    return envelope.seal(payload, key=key, aad=AAD_DESK_ANSWER)


def open_receipt(data: bytes, *, trust: TrustBundle, at_s: int, id: bytes, ask: Ask) -> Receipt:  # noqa: A002 - as the field
    """Bytes -> receipt, as the hub reads it.

    1. The envelope, within its limit.
    2. Signed by a key that may sign answers at this time.
    3. The receipt, each field within its bounds.
    4. To this question, and of its kind.

    Args:
        data: the bytes as received.
        trust: the bundle in force.
        at_s: now.
        id: of the question, 16 bytes.
        ask: its kind.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a receipt, or to another question.
        UnknownKeyError: signed by no trusted key.
        KeyUseError: the key is not for this, or not now.
        SignatureError: the signature does not fit.
    """
    # 1.
    sealed = envelope.parse(data, what="desk answer", limit=DESK_ANSWER_BYTES)
    # 2.
    key = trust.find(sealed.kid, use=KeyUse.RESOLVED, at_s=at_s)
    envelope.verify(sealed, key=key, aad=AAD_DESK_ANSWER)
    # 3.
    receipt = _read_receipt(sealed.payload, issuer_kid=sealed.kid)
    # 4.
    if (receipt.id, receipt.ask) != (id, ask):
        raise MalformedError("desk answer.id", "the answer to another question")
    return receipt


def open_told(receipt: Receipt, *, private: X25519PrivateKey, nonce: bytes) -> tuple[tuple[Told, ...], int]:
    """Receipt -> what is told of each person, and when it was so, in seconds: as the browser reads it.

    1. The ciphertext opens with the key that the question named, for this id, and is padded.
    2. What is told, each field within its bounds, by whoever read the question's nonce.
    3. The colours of a visit are those that the hub was told.

    Raises:
        MalformedError: not what is told, or of another question.
        SignatureError: sealed to another key or id, or altered.
    """
    # 1.
    padded = open_sealed(receipt.sealed, private=private, info=AAD_DESK_ANSWER + receipt.id, where="desk answer.sealed")
    plain = unpad(padded, "desk answer.sealed", step=DESK_TOLD_PADDED_BYTES)
    # 2.
    people, issued_s = _read_told(plain, nonce=nonce)
    # 3.
    colours = tuple(sorted(told.colour for told in people))
    if receipt.ask is Ask.REGISTRATION and colours != receipt.colours:
        raise MalformedError("desk answer.colours", "not those that are told")
    return people, issued_s


def _told_map(told: Told) -> dict[int, int]:
    fields: dict[int, int] = {1: told.colour, 2: told.reason}
    if told.list_version is not None:
        fields[3] = told.list_version
    return fields


def _read_told(plain: bytes, *, nonce: bytes) -> tuple[tuple[Told, ...], int]:
    what = "desk told"
    fields = cbor.fields(cbor.decode(plain, what=what, limit=DESK_ANSWER_BYTES), what=what, known=frozenset({1, 2, 3}))
    if cbor.sized_bytes(fields.get(1), f"{what}.nonce", DESK_NONCE_BYTES) != nonce:
        raise MalformedError(f"{what}.nonce", "of another question")
    return read_people(fields.get(2), f"{what}.people", _read_one), cbor.time_s(fields.get(3), f"{what}.issued")


def _read_one(value: Any, where: str, _at: int) -> Told:
    fields = cbor.fields(value, what=where, known=frozenset({1, 2, 3}))
    return Told(
        colour=cbor.member(fields.get(1), f"{where}.colour", Colour),
        reason=cbor.member(fields.get(2), f"{where}.reason", Reason),
        list_version=cbor.seq(fields[3], f"{where}.version") if 3 in fields else None,
    )


def _read_receipt(payload: bytes, *, issuer_kid: bytes) -> Receipt:
    what = "desk answer"
    fields = cbor.fields(
        cbor.decode(payload, what=what, limit=DESK_ANSWER_BYTES), what=what, known=frozenset(range(1, 7))
    )
    ask = cbor.member(fields.get(2), f"{what}.ask", Ask)
    colours: tuple[Colour, ...] = ()
    direction = None
    if ask is Ask.REGISTRATION:
        colours = read_people(fields.get(5), f"{what}.colours", _read_colour)
        direction = cbor.member(fields.get(6), f"{what}.direction", Direction)
        if tuple(sorted(colours)) != colours:
            raise MalformedError(f"{what}.colours", "not ascending")
    elif fields.keys() & {5, 6}:
        raise MalformedError(f"{what}.colours", "a look-up's are told to nobody but the browser")
    least = DESK_TOLD_PADDED_BYTES + SEALING_BYTES
    return Receipt(
        id=cbor.sized_bytes(fields.get(1), f"{what}.id", DESK_ID_BYTES),
        ask=ask,
        at_ms=cbor.time_ms(fields.get(3), f"{what}.at"),
        colours=colours,
        direction=direction,
        sealed=cbor.sized_bytes(fields.get(4), f"{what}.sealed", least, DESK_ANSWER_BYTES),
        issuer_kid=issuer_kid,
    )


def _read_colour(value: Any, where: str, _at: int) -> Colour:
    return cbor.member(value, where, Colour)
