"""Vectors of the attendant's desk: sealed questions, signed answers with what is told inside."""  # noqa: INP001 - as raw.py

import hashlib
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor, envelope
from protocol.desk import Ask, LookUp, Person, Registration, SealedQuestion
from protocol.desk_answer import Receipt, Told
from protocol.envelope import AAD_DESK_ANSWER
from protocol.reasons import Reason
from protocol.terms import Colour, Direction
from protocol.vectors import hpke
from protocol.vectors.faults import Changes, all_bad, faults, missing
from protocol.vectors.make_gate import AT_S, GATE, PLACE
from protocol.vectors.make_resolve import NOBODY, RESOLVER, RESOLVER_PUBLIC
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, refused, signer, steps

REPLY = X25519PrivateKey.from_private_bytes(filler("gatelight vectors: reply", 32))
_REPLY_PUBLIC = REPLY.public_key().public_bytes_raw()
_EPHEMERAL = filler("gatelight vectors: desk ephemeral", 32)
_OTHER_ID = filler("other desk question", 16)
_HEAD: dict[str, Any] = {
    "nonce": filler("desk", 16), "place": PLACE, "gate": GATE, "at_ms": AT_S * 1000, "reply": _REPLY_PUBLIC
}  # fmt: skip
_TENTH = "11010120991231004X"
REGISTRATION = Registration(**_HEAD, direction=Direction.IN, people=(Person(name="无名氏", number=NOBODY),))
FAMILY = replace(
    REGISTRATION,
    direction=Direction.OUT,
    people=(*REGISTRATION.people, Person(name="No One", number=_TENTH), Person(name="小名", number="")),
    phone="+86-023-63800000",
)
LARGEST = replace(
    FAMILY, place="p" * 32, gate="g" * 32, people=(Person(name="😀" * 64, number=NOBODY),) * 9, phone="0" * 20
)
LOOK_UP = LookUp(**_HEAD, number=NOBODY)
TOLD = (
    Told(colour=Colour.GREEN, reason=Reason.OK, list_version=7),
    Told(colour=Colour.GREY, reason=Reason.NOT_FOUND),
    Told(colour=Colour.RED, reason=Reason.COLOUR_RED, list_version=7),
)


def plain_question(question: Registration | LookUp, **changes: Any) -> bytes:
    """What is sealed, before padding; `_5=1` replaces field 5, `_5=None` leaves it out."""
    ask = Ask.REGISTRATION if isinstance(question, Registration) else Ask.LOOK_UP
    fields: dict[int, Any] = {
        1: question.nonce, 2: ask, 3: question.place, 4: question.gate, 5: question.at_ms, 6: question.reply
    }  # fmt: skip
    if isinstance(question, Registration):
        people = [[person.name, person.number] for person in question.people]
        fields |= {7: question.direction, 8: people, 9: question.phone}
    else:
        fields |= {10: question.number, 11: True}
    fields |= {int(key[1:]): value for key, value in changes.items()}
    return cbor.encode({key: value for key, value in fields.items() if value is not None})


def id_of(inner: bytes) -> bytes:
    """The id that follows from what is sealed."""
    return hashlib.sha256(b"gatelight/desk-id/1" + inner).digest()[:16]


def padded(inner: bytes, step: int) -> bytes:
    """0x80 and zeros."""
    inner += b"\x80"
    return inner + bytes(-len(inner) % step)


def sealed_question(inner: bytes, *, to: bytes = RESOLVER_PUBLIC, unpadded: bool = False, **outer: Any) -> bytes:
    """A sealed question of any content, always the same bytes; `_3="x"` changes what stands outside."""
    fields: dict[int, Any] = {1: id_of(inner), 2: 0, 3: PLACE, 4: GATE}
    fields |= {int(key[1:]): value for key, value in outer.items()}
    text = inner if unpadded else padded(inner, 1024)
    sealed = hpke.seal(text, to=to, ephemeral=_EPHEMERAL, info=b"gatelight/desk/1" + id_of(inner))
    return cbor.encode({key: value for key, value in ({5: sealed} | fields).items() if value is not None})


def outer_of(question: Registration | LookUp) -> dict[str, Any]:
    """What stands outside a good one."""
    return {"_2": int(isinstance(question, LookUp)), "_3": question.place, "_4": question.gate}


def make_desk_questions() -> list[Vector]:
    """Sealed questions: to open, for each sealing gives other bytes."""
    private = {"private_hex": RESOLVER.private_bytes_raw().hex()}
    made: list[tuple[str, str, Registration | LookUp]] = [
        ("registration", "one person, no phone", REGISTRATION),
        ("family", "a companion with a number, a child without", FAMILY),
        ("largest", "nine people with the longest names", LARGEST),
        ("look-up", "a number, with consent", LOOK_UP),
    ]
    person = [REGISTRATION.people[0].name, NOBODY]
    changes: list[tuple[str, str, Registration | LookUp, dict[str, Any]]] = [
        *((f"missing-{name}", f"no {name}", REGISTRATION, {f"_{key}": None}) for key, name in enumerate(_NAMES, 1)),
        ("missing-number", "a look-up of nobody", LOOK_UP, {"_10": None}),
        ("missing-consent", "a look-up that says nothing of consent", LOOK_UP, {"_11": None}),
        ("consent-false", "a look-up without consent", LOOK_UP, {"_11": False}),
        ("consent-one", "1 is not true", LOOK_UP, {"_11": 1}),
        ("number-check-digit", "a wrong check digit", LOOK_UP, {"_10": NOBODY[:-1] + "4"}),
        ("number-in-registration", "a look-up's field in a registration", REGISTRATION, {"_10": NOBODY}),
        ("people-in-look-up", "a registration's field in a look-up", LOOK_UP, {"_8": [person]}),
        ("nonce-15", "a nonce of 15 bytes", REGISTRATION, {"_1": bytes(15)}),
        ("reply-31", "a key of 31 bytes", REGISTRATION, {"_6": bytes(31)}),
        ("direction-2", "no such direction", REGISTRATION, {"_7": 2}),
        ("people-none", "nobody", REGISTRATION, {"_8": []}),
        ("people-10", "ten people", REGISTRATION, {"_8": [person] * 10}),
        ("visitor-without-number", "only companions may be children without a number", REGISTRATION,
         {"_8": [["无名氏", ""]]}),
        ("person-in-three", "a third part", REGISTRATION, {"_8": [[*person, ""]]}),
        ("name-empty", "a person without a name", REGISTRATION, {"_8": [["", NOBODY]]}),
        ("name-65", "a name of 65 characters", REGISTRATION, {"_8": [["n" * 65, NOBODY]]}),
        ("companion-number", "a companion's wrong number", REGISTRATION, {"_8": [person, ["x", "1"]]}),
        ("phone-letters", "a phone with a letter", REGISTRATION, {"_9": "0236380000x"}),
        ("phone-21", "a phone of 21 digits", REGISTRATION, {"_9": "0" * 21}),
        ("unknown-low-key", "unknown key 12", REGISTRATION, {"_12": 0}),
    ]  # fmt: skip
    inner = plain_question(REGISTRATION)
    data = sealed_question(inner)
    stranger = X25519PrivateKey.from_private_bytes(filler("gatelight vectors: other resolver", 32))
    other_key = stranger.public_key().public_bytes_raw()
    altered: list[tuple[str, str, bytes, str]] = [
        ("sealed-to-another", "sealed to another key", sealed_question(inner, to=other_key), "bad_signature"),
        ("id-other", "another id outside", sealed_question(inner, _1=_OTHER_ID), "bad_signature"),
        ("ciphertext-flipped", "one bit of the ciphertext", data[:-1] + bytes([data[-1] ^ 1]), "bad_signature"),
        ("ask-other", "a look-up outside, a registration inside", sealed_question(inner, _2=1), "malformed"),
        ("place-other", "another place outside", sealed_question(inner, _3="other"), "malformed"),
        ("gate-other", "another gate outside", sealed_question(inner, _4="other"), "malformed"),
        ("ask-2", "no such question", sealed_question(inner, _2=2), "malformed"),
        ("unpadded", "not padded", sealed_question(inner, unpadded=True), "malformed"),
        ("ciphertext-missing", "no ciphertext", sealed_question(inner, _5=None), "malformed"),
        ("trailing-byte", "a byte after the end", data + b"\x00", "malformed"),
        ("too-long", "more than 4,096 bytes", sealed_question(plain_question(REGISTRATION, _65=bytes(4000))), "limit"),
    ]
    return [
        *(
            accepted(
                name, shows,
                {"hex": sealed_question(plain_question(question), **outer_of(question)).hex()} | private,
                plain(question), plaintext_hex=padded(plain_question(question), 1024).hex(),
                ephemeral_private_hex=_EPHEMERAL.hex(),
                info_hex=(b"gatelight/desk/1" + id_of(plain_question(question))).hex(),
            )
            for name, shows, question in made
        ),
        *(
            refused(name, shows, {
                "hex": sealed_question(plain_question(question, **changed), **outer_of(question)).hex()
            } | private, "malformed")
            for name, shows, question, changed in changes
        ),
        *(refused(name, shows, {"hex": bad.hex()} | private, reason) for name, shows, bad, reason in altered),
    ]  # fmt: skip


def plain_told(*told: Told, **changes: Any) -> bytes:
    """What is told, before padding."""
    people = []
    for each in told:
        version = {} if each.list_version is None else {3: each.list_version}
        people.append({1: each.colour, 2: each.reason} | version)
    fields: dict[int, Any] = {1: _HEAD["nonce"], 2: people, 3: AT_S}
    fields |= {int(key[1:]): value for key, value in changes.items()}
    return cbor.encode({key: value for key, value in fields.items() if value is not None})


def sealed_told(inner: bytes, question_id: bytes, *, to: bytes = _REPLY_PUBLIC) -> bytes:
    """What is told, sealed to the browser; always the same bytes."""
    return hpke.seal(padded(inner, 256), to=to, ephemeral=_EPHEMERAL, info=AAD_DESK_ANSWER + question_id)


FAMILY_ID = id_of(plain_question(FAMILY))
LOOK_UP_ID = id_of(plain_question(LOOK_UP))


def signed_answer(question_id: bytes, ask: Ask, *told: Told, inner: bytes | None = None, **changes: Any) -> bytes:
    """A signed answer; `inner` replaces what is told, `_5=[0]` what the hub reads."""
    text = plain_told(*told) if inner is None else inner
    fields: dict[int, Any] = {1: question_id, 2: ask, 3: AT_S * 1000, 4: sealed_told(text, question_id)}
    if ask is Ask.REGISTRATION:
        fields |= {5: sorted(each.colour for each in told), 6: Direction.OUT}
    fields |= {int(key[1:]): value for key, value in changes.items()}
    return envelope.seal(cbor.encode(fields), key=signer("platform"), aad=AAD_DESK_ANSWER)


def make_desk_answers() -> list[Vector]:
    """Answers: verified as the hub does, then opened as the browser does."""
    to_family: dict[str, Any] = {
        "trusted_keys": ["platform"], "at_s": AT_S + 60, "id": FAMILY_ID.hex(), "ask": "registration",
        "reply_private_hex": REPLY.private_bytes_raw().hex(), "nonce": _HEAD["nonce"].hex(),
    }  # fmt: skip
    to_look_up = to_family | {"id": LOOK_UP_ID.hex(), "ask": "look_up"}
    kid = signer("platform").public.kid
    made = [
        ("family", "stored: a green, a grey and a red", FAMILY_ID, Ask.REGISTRATION, TOLD, to_family),
        ("look-up", "one colour, which the hub is not told", LOOK_UP_ID, Ask.LOOK_UP, TOLD[:1], to_look_up),
        ("nine", "nine people: as long as one", FAMILY_ID, Ask.REGISTRATION, TOLD * 3, to_family),
    ]
    sealed = signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD)
    changes: Changes = [
        *missing({1: "id", 2: "ask", 3: "at", 4: "sealed", 5: "colours", 6: "direction"}),
        ("other-question", "to another question", {1: _OTHER_ID}),
        ("other-kind", "to a look-up", {2: 1, 5: None, 6: None}),
        ("direction-in-look-up", "a look-up with a direction", {2: 1, 5: None}),
        ("colours-none", "no colours", {5: []}),
        ("colours-descending", "in another order", {5: [4, 1, 0]}),
        ("colours-in-look-up", "a look-up with colours", {2: 1}),
        ("sealed-short", "too short to hold anything", {4: bytes(303)}),
    ]
    told: list[tuple[str, str, bytes, str]] = [
        ("told-nonce", "of another question",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD, inner=plain_told(*TOLD, _1=_OTHER_ID)), "malformed"),
        ("told-issued", "without a time",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD, inner=plain_told(*TOLD, _3=None)), "malformed"),
        ("told-colour-5", "no such colour",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD, inner=plain_told(_2=[{1: 5, 2: 0}])), "malformed"),
        ("told-reason-99", "no such reason",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD, inner=plain_told(_2=[{1: 0, 2: 99}])), "malformed"),
        ("told-others", "other colours than the hub was told",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD, _5=[0, 0, 0]), "malformed"),
        ("told-to-another-id", "sealed for another question",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD, _4=sealed_told(plain_told(*TOLD), _OTHER_ID)),
         "bad_signature"),
        ("told-to-another", "sealed to another browser",
         signed_answer(FAMILY_ID, Ask.REGISTRATION, *TOLD,
                       _4=sealed_told(plain_told(*TOLD), FAMILY_ID, to=RESOLVER_PUBLIC)), "bad_signature"),
    ]  # fmt: skip
    return [
        *(
            accepted(
                name, shows, {"hex": signed_answer(at, ask, *told_of).hex()} | opener,
                {
                    "receipt": plain(Receipt(
                        id=at, ask=ask, at_ms=AT_S * 1000, sealed=sealed_told(plain_told(*told_of), at),
                        issuer_kid=kid,
                        colours=tuple(sorted(each.colour for each in told_of)) if ask is Ask.REGISTRATION else (),
                        direction=Direction.OUT if ask is Ask.REGISTRATION else None,
                    )),
                    "told": plain(told_of), "issued_s": AT_S,
                },
                steps=steps(signed_answer(at, ask, *told_of), aad=AAD_DESK_ANSWER),
            )
            for name, shows, at, ask, told_of, opener in made
        ),
        *all_bad(
            faults(sealed, AAD_DESK_ANSWER, by="platform", other_signer="unknown_key", changes=changes), **to_family
        ),
        *all_bad(told, **to_family),
        refused("too-long", "more than 1,024 bytes", {"hex": (sealed + bytes(1024)).hex()} | to_family, "limit"),
    ]  # fmt: skip


def outer_value(question: Registration | LookUp) -> SealedQuestion:
    """What the hub reads of a good one."""
    inner = plain_question(question)
    data = sealed_question(inner, **outer_of(question))
    ask = Ask.REGISTRATION if isinstance(question, Registration) else Ask.LOOK_UP
    return SealedQuestion(id=id_of(inner), ask=ask, place=question.place, gate=question.gate, data=data)


_NAMES = ("nonce", "ask", "place", "gate", "at", "reply", "direction", "people", "phone")
