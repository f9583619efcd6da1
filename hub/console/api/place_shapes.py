"""What requests and answers about places look like."""

from typing import Annotated

from pydantic import Field

from hub.console.api.shapes import PlaceId, Shape, TimeMs
from hub.registry.checks import DISPLAY_CHARS, REASON_CHARS
from hub.store.trust_ports import ClosedBy
from protocol.limits import NAME_CHARS

Reason = Annotated[str, Field(min_length=1, max_length=REASON_CHARS)]
GateIdIn = Annotated[str, Field(min_length=1, max_length=NAME_CHARS, pattern=r"^[A-Za-z0-9._-]+$")]
Display = Annotated[str, Field(max_length=DISPLAY_CHARS)]


class ClosingOut(Shape):
    """Who keeps a place closed, since when and why."""

    by: ClosedBy
    why: str
    since_ms: TimeMs


class CodeOut(Shape):
    """A place's code. That with the highest serial is in force; those before are dead."""

    serial: int
    code: str
    issued_ms: TimeMs
    who: str
    why: str


class CountOut(Shape):
    """People since midnight: let in, let out, and not let through at once."""

    entered: int
    left: int
    stopped: int


class GateOut(Shape):
    """One lane with its own count."""

    id: str
    name: str
    today: CountOut


class PlaceOut(Shape):
    """A place as it stands in a list."""

    id: str
    name: str
    region: str
    responsible: str
    gates: int
    serial: int | None
    """Of its code in force; None: it has none."""
    closed: list[ClosingOut]


class PlaceDetail(PlaceOut):
    """A place with everything about it. `today` is the sum of its gates."""

    lanes: list[GateOut]
    today: CountOut
    codes: list[CodeOut]
    application: str | None
    """The application that its code was issued for."""


class NewPlace(Shape):
    """A place without a code of the platform's, as `gatelight-hub place add` registers it."""

    id: PlaceId
    name: Display
    region: Annotated[str, Field(max_length=12, description="Administrative division code.")] = ""
    responsible: Display = ""


class NewGate(Shape):
    """A lane that is not there yet."""

    id: GateIdIn
    name: Display = ""


class GateName(Shape):
    """What a lane is called."""

    name: Display


class Why(Shape):
    """A reason, for gates, people and the audit log."""

    reason: Reason


class Reissue(Why):
    """Why a new code is needed. The same `request` asks for the same code again."""

    request: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$", description="32 hex digits, or nothing.")] = ""
