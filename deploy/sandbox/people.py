"""Who comes to the gates: a seed -> the same people with the same troubles, every time. Pure."""

import random
from dataclasses import dataclass
from enum import StrEnum

from protocol.reasons import Reason
from protocol.terms import Colour, Verdict

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高"
_GIVEN_ONE = "伟芳娜敏静磊洋勇艳杰涛明超霞平刚"
_GIVEN_TWO = ("桂英", "秀兰", "建华", "志强", "海燕", "晓东", "雨桐", "浩然", "子轩", "思远", "欣怡", "一诺")
_GIVEN = (*_GIVEN_ONE, *_GIVEN_TWO)
ADVERT = "https://example.com/half-price-noodles"


class Showing(StrEnum):
    """What a person holds before the camera."""

    LIVE = "live"
    CARD = "card"
    SPECIMEN = "specimen"
    EXPIRED = "expired"
    BAD_ISSUER = "bad_issuer"
    FORGED = "forged"
    ADVERT = "advert"
    BORROWED = "borrowed"
    TWO_CODES = "two_codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the gate must answer. `silent`: no answer at all is right too, for it may be no code."""

    colour: Colour
    verdict: Verdict
    reason: Reason
    silent: bool = False


_LIVE = {
    Colour.GREEN: Expected(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK),
    Colour.NOTICE: Expected(colour=Colour.NOTICE, verdict=Verdict.HOLD, reason=Reason.NOTICE),
    Colour.YELLOW: Expected(colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.COLOUR_YELLOW),
    Colour.RED: Expected(colour=Colour.RED, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED),
}
_TROUBLE = {
    Showing.SPECIMEN: Reason.SPECIMEN,
    Showing.EXPIRED: Reason.EXPIRED,
    Showing.BAD_ISSUER: Reason.UNKNOWN_ISSUER,
    Showing.FORGED: Reason.BAD_SIGNATURE,
    Showing.ADVERT: Reason.MALFORMED,
    Showing.BORROWED: Reason.ALREADY_USED,
    Showing.TWO_CODES: Reason.SEVERAL_CODES,
}

# Shares in a thousand. The rest hold a green live code.
_SHARES: tuple[tuple[int, Showing, Colour], ...] = (
    (50, Showing.LIVE, Colour.YELLOW),
    (40, Showing.LIVE, Colour.RED),
    (40, Showing.LIVE, Colour.NOTICE),
    (20, Showing.BORROWED, Colour.GREEN),
    (15, Showing.EXPIRED, Colour.GREEN),
    (15, Showing.FORGED, Colour.GREEN),
    (15, Showing.CARD, Colour.GREEN),
    (10, Showing.TWO_CODES, Colour.GREEN),
    (10, Showing.ADVERT, Colour.GREEN),
    (10, Showing.SPECIMEN, Colour.GREEN),
    (10, Showing.BAD_ISSUER, Colour.GREEN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One visitor. `colour` is what the platform's stand-in will sign for them."""

    number: int
    name: str
    colour: Colour
    showing: Showing

    @property
    def expected(self) -> Expected:
        """The answer the gate owes this person."""
        if self.showing in {Showing.LIVE, Showing.CARD}:
            return _LIVE[self.colour]
        return Expected(
            colour=Colour.GREY,
            verdict=Verdict.HOLD,
            reason=_TROUBLE[self.showing],
            silent=self.showing is Showing.ADVERT,
        )

    @property
    def masked(self) -> tuple[str, str, str]:
        """What the platform would allow a register to show."""
        return self.name[0], f"{self.number % 90 + 10}", f"{self.number * 7 % 90 + 10}"


def crowd_of(count: int, *, seed: int) -> list[Person]:
    """`count` people, shuffled by `seed`; from 100 on, everyone of the list above is among them.

    Nobody borrows a code before somebody had one: the first of all holds a green live code.
    """
    rng = random.Random(seed)  # noqa: S311 - a repeatable crowd, no secret
    roles: list[tuple[Showing, Colour]] = []
    owed = 0.0
    for per_mille, showing, colour in _SHARES:
        # Rounding each share alone would lose all the small ones; what is owed is carried on.
        owed += count * per_mille / 1000
        roles += [(showing, colour)] * int(owed)
        owed -= int(owed)
    roles += [(Showing.LIVE, Colour.GREEN)] * (count - len(roles))
    rng.shuffle(roles)
    first_green = roles.index((Showing.LIVE, Colour.GREEN)) if count else 0
    if count:
        roles[0], roles[first_green] = roles[first_green], roles[0]
    return [
        Person(
            number=number,
            name=rng.choice(_SURNAMES) + rng.choice(_GIVEN),
            colour=colour,
            showing=showing,
        )
        for number, (showing, colour) in enumerate(roles, start=1)
    ]
