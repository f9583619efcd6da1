"""A row -> cells, in the reader's language and time. The words of colours, verdicts and reasons for every page here."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from hub.console.register.sheets import Cell
from hub.console.web.words import Translate
from hub.model import StoredCheckIn
from protocol.reasons import Reason
from protocol.slip import slip_number
from protocol.terms import Clock, Colour, Direction, Verdict

COLOURS: Final = {
    Colour.GREEN: "Green",
    Colour.NOTICE: "Notice",
    Colour.YELLOW: "Yellow",
    Colour.RED: "Red",
    Colour.GREY: "Grey",
}
"""In the order in which people read them."""

VERDICTS: Final = {Verdict.ADMIT: "Admitted", Verdict.HOLD: "Held", Verdict.REFUSE: "Refused"}
DIRECTIONS: Final = {Direction.IN: "In", Direction.OUT: "Out"}

REASONS: Final = {
    Reason.OK: "Nothing against it",
    Reason.COLOUR_YELLOW: "Yellow code",
    Reason.COLOUR_RED: "Red code",
    Reason.NOTICE: "Something to settle",
    Reason.EXPIRED: "Code expired",
    Reason.NOT_YET_VALID: "Code not valid yet",
    Reason.ALREADY_USED: "Code used already",
    Reason.SPECIMEN: "Specimen",
    Reason.TEMPERATURE_HIGH: "Temperature high",
    Reason.BAD_SIGNATURE: "Signature does not fit",
    Reason.UNKNOWN_ISSUER: "Issuer not known",
    Reason.MALFORMED: "Code damaged",
    Reason.UNSUPPORTED: "Kind of code not supported",
    Reason.SEVERAL_CODES: "Several codes in view",
    Reason.CLOCK_UNTRUSTED: "Gate's clock not trusted",
    Reason.STATUS_STALE: "Status list out of date",
    Reason.NOT_FOUND: "Code not found",
    Reason.RESOLVER_TIMEOUT: "Look-up too slow",
    Reason.GATE_DISABLED: "Gate out of service",
    Reason.PLACE_CLOSED: "Place closed",
    Reason.STORAGE_FAILED: "Gate could not record",
    Reason.THERMOMETER_FAILED: "Thermometer failed",
}

TITLES: Final = (
    *("Time", "Gate", "Direction", "Colour", "Verdict", "Reason", "Surname", "ID first digits", "ID last digits"),
    *("Slip number", "Clock", "Arrived"),
)


def moment_text(at_ms: int, zone: ZoneInfo) -> str:
    """`2026-11-23 08:15:02`, where the site is."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def cells(row: StoredCheckIn, *, say: Translate, zone: ZoneInfo) -> tuple[Cell, ...]:
    """The cells of `TITLES`. What a register may not show is not in the row."""
    surname, head, tail = (*(row.masked or ()), "", "", "")[:3]
    return (
        moment_text(row.at_ms, zone),
        row.gate_id,
        say(DIRECTIONS[row.direction]),
        say(COLOURS[row.colour]),
        say(VERDICTS[row.verdict]),
        say(REASONS[row.reason]),
        surname,
        head,
        tail,
        slip_number(row.hash),
        say("set") if row.clock is Clock.TRUSTED else say("not set"),
        moment_text(row.received_ms, zone),
    )


COLOUR_NAMES: Final = {colour.wire_name: words for colour, words in COLOURS.items()}
VERDICT_NAMES: Final = {verdict.wire_name: words for verdict, words in VERDICTS.items()}
DIRECTION_NAMES: Final = {direction.wire_name: words for direction, words in DIRECTIONS.items()}
REASON_NAMES: Final = {reason.wire_name: words for reason, words in REASONS.items()}
"""The same by their names on the wire, as the API says them."""

DEEDS: Final = {"admit": "Let pass", "hold": "Hold for an attendant", "refuse": "Refuse"}
"""What a gate will do."""

HOLDINGS: Final = {
    "live": "code on a phone",
    "card": "printed card",
    "guardian": "code held by a guardian",
    "looked_up": "code looked up online",
    "specimen": "specimen code",
}

CASES: Final = {
    "green": "Green",
    "notice": "Notice",
    "yellow": "Yellow",
    "red": "Red",
    "used": "Green, but used a moment ago",
    "hot": "Green, but too warm",
    "unmeasured": "Green, but the thermometer fails",
    "stale": "The status list is too old",
    "expired": "The code has expired",
    "early": "The code is not valid yet",
    "clock": "The gate cannot trust its clock",
    "specimen": "A specimen",
    "forged": "The signature does not fit",
    "unknown_issuer": "The issuer is not known",
    "damaged": "The code is damaged",
    "several": "Several codes in view",
    "not_found": "Nobody knows the code",
    "no_answer": "The look-up takes too long",
}
"""Of `hub.trust.preview.CASES`."""
