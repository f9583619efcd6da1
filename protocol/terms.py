"""The words of the wire, with their numbers (PROTOCOL §1, §3, §5). The numbers never change."""

from enum import IntEnum


class Colour(IntEnum):
    """A status colour. 0 to 3 are those of a Token Status List with `bits` = 2; grey is ours alone."""

    GREEN = 0
    RED = 1
    YELLOW = 2
    NOTICE = 3
    GREY = 4

    @property
    def wire_name(self) -> str:
        """The name in logs, metrics and exports, e.g. `green`."""
        return self.name.lower()


SEVERITY = {Colour.GREEN: 0, Colour.NOTICE: 1, Colour.YELLOW: 2, Colour.RED: 3}
"""Where a code has both a colour and a list entry, the worse wins (PROTOCOL §3)."""


class Verdict(IntEnum):
    """What the gate does: admit, hold (an attendant decides), refuse."""

    ADMIT = 0
    HOLD = 1
    REFUSE = 2

    @property
    def wire_name(self) -> str:
        """The name in logs, metrics and exports, e.g. `admit`."""
        return self.name.lower()


class Direction(IntEnum):
    """Which way the lane leads."""

    IN = 0
    OUT = 1

    @property
    def wire_name(self) -> str:
        """The name in logs, metrics and exports, e.g. `in`."""
        return self.name.lower()


class Kind(IntEnum):
    """What sort of code a person holds. A specimen is never admitted."""

    LIVE = 0
    CARD = 1
    GUARDIAN = 2
    SPECIMEN = 3


class Scheme(IntEnum):
    """How the person was identified."""

    GATELIGHT = 0
    CARD_NUMBER = 1
    OPAQUE = 2
    ATTENDANT = 3


class Clock(IntEnum):
    """Whether the gate had reason to believe its clock."""

    UNTRUSTED = 0
    TRUSTED = 1


class PlaceKind(IntEnum):
    """What sort of place a code is for."""

    OTHER = 0
    MEDICAL = 1
    PRISON = 2
    CIVIL_AFFAIRS = 3
    CAMPUS = 4
    FARM_MARKET = 5
    MALL = 6
    RESTAURANT = 7
    EXHIBITION = 8
    TOURISM = 9
    CULTURE = 10
    SPORTS = 11
    HOTEL = 12
    STATION = 13
    TRANSPORT = 14
    PARK = 15
    COMMUNITY = 16
    COMPANY = 17
    PHARMACY = 18
    VILLAGE = 19


class CertificateKind(IntEnum):
    """By which number the body that runs a place is known."""

    CREDIT_CODE = 1
    """GB 32100."""
    REGISTRATION = 2
    """GS 15."""
    ID_CARD = 3
    """GB 11643: the body is a person."""
