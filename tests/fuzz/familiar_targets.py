"""A target of its own for what reads check-ins by the pattern of one before: it must say what the strict reader says."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO

from protocol import familiar
from protocol.checkin import TEMPERATURE_MAX_CC, CheckIn, Evidence, SealedCheckIn, parse_checkin, seal_checkin
from protocol.errors import ProtocolError
from protocol.familiar import Familiar
from protocol.keys import SigningKey
from protocol.limits import INT64_MAX, TIME_MAX_MS
from protocol.vectors.make_checkins import FIRST
from protocol.vectors.raw import signer
from tests.fuzz.seeds import wholes
from tests.fuzz.stand_ins import UNSIGNED
from tests.fuzz.target import Target, require
from tests.fuzz.words import CBOR_WORDS


def _learnt(checkin: CheckIn, *, key: SigningKey = UNSIGNED) -> tuple[bytes, list[familiar.Place]]:
    """A check-in that leaves a pattern, and the places in it that a pattern leaves open."""
    data = seal_checkin(checkin, key=key)
    return data, list((familiar._places(parse_checkin(data)) or {}).values())


LEARNT = (
    _learnt(replace(FIRST, seq=24)),
    _learnt(replace(FIRST, seq=300, temperature_cc=3650)),
    _learnt(replace(FIRST, seq=70_000), key=signer("device-p256")),
    _learnt(replace(FIRST, seq=2**33, temperature_cc=256, subject=b"", evidence=Evidence(rule="R7/2a"))),
    _learnt(replace(FIRST, seq=300, evidence=replace(FIRST.evidence, code_issued_s=2**33))),
)
"""Every width of a number, with each of the optional places and without it."""
SOUND = {first: parse_checkin(first) for first, _ in LEARNT}


def made(data: bytes) -> tuple[list[bytes], bytes]:
    """What is learnt, and the bytes that come then.

    The first byte names what is learnt, and the others change it: mutations of a whole check-in nearly never keep the
    bytes around the places. The number behind the last: all are learnt, and the others are what comes.
    """
    number = data[0] % (len(LEARNT) + 1)
    if number == len(LEARNT):
        return [first for first, _ in LEARNT], data[1:]
    first, places = LEARNT[number]
    return [first], _changed(first, places, BytesIO(data[1:]))


def _changed(first: bytes, places: list[familiar.Place], changes: BytesIO) -> bytes:
    """With each change made: the number of a place and what comes there, or that behind the last, a position, a byte."""
    then = bytearray(first)
    while where := changes.read(1):
        number = where[0] % (len(places) + 1)
        if number < len(places):
            at, size, _ = places[number]
        else:
            at, size = int.from_bytes(changes.read(2)) % len(then), 1
        value = changes.read(size)
        then[at : at + len(value)] = value
    return bytes(then)


def _outcome(parse: Callable[[bytes], SealedCheckIn], data: bytes) -> SealedCheckIn | ProtocolError:
    try:
        return parse(data)
    except ProtocolError as error:
        return error


def _same(one: SealedCheckIn | ProtocolError, other: SealedCheckIn | ProtocolError) -> bool:
    return one == other or (isinstance(one, ProtocolError) and (type(one), str(one)) == (type(other), str(other)))


def _familiar(data: bytes) -> None:
    """Read twice, as what is sound leaves a pattern itself, by which those before it may be read then."""
    if not data:
        return
    learnt, then = made(data)
    reader = Familiar()
    for first in learnt:
        reader.parse(first)
    strict = _outcome(parse_checkin, then)
    require(_same(_outcome(reader.parse, then), strict), "not what the strict reader says")
    require(_same(_outcome(reader.parse, then), strict), "not what the strict reader says, when it comes again")
    require(all(reader.parse(first) == SOUND[first] for first in learnt), "what came before reads otherwise since")
    if isinstance(strict, ProtocolError):
        raise strict


def _seeds() -> Iterator[bytes]:
    for at, (first, places) in enumerate(LEARNT):
        for number, (start, size, _) in enumerate(places):
            yield bytes([at, number]) + bytes(byte ^ 1 for byte in first[start : start + size])
            yield bytes([at, len(places)]) + (start - 1).to_bytes(2) + first[start - 1 : start]
    for data in wholes("checkins")():
        yield bytes([len(LEARNT)]) + data


_BOUNDS = (
    *(number.to_bytes(1) for number in (23, 24)),
    *(number.to_bytes(2) for number in (255, 256, TEMPERATURE_MAX_CC, TEMPERATURE_MAX_CC + 1)),
    *(number.to_bytes(4) for number in (2**16 - 1, 2**16)),
    *(number.to_bytes(8) for number in (2**32 - 1, 2**32, TIME_MAX_MS, TIME_MAX_MS + 1, INT64_MAX, INT64_MAX + 1)),
)
TARGETS = (
    Target(
        name="familiar",
        decoder="protocol.familiar.Familiar.parse",
        check=_familiar,
        refuses=(ProtocolError,),
        seeds=_seeds,
        words=(*CBOR_WORDS, *_BOUNDS),
    ),
)
