"""What requests and answers have in common."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

PAGE_MOST: Final = 500
DAY_MS: Final = 86_400_000
TimeMs = Annotated[int, Field(ge=0, lt=2**53, description="Milliseconds since 1970, UTC.")]
PlaceId = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
GateId = Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9._-]*$")]


class Shape(BaseModel):
    """A frozen body in which an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Shape):
    """A time, its end not included; the last 24 hours, where nothing is said."""

    from_ms: TimeMs | None = None
    to_ms: TimeMs | None = None

    def times(self, now_ms: int) -> tuple[int, int]:
        """Beginning and end."""
        to_ms = now_ms if self.to_ms is None else self.to_ms
        return (max(0, to_ms - DAY_MS) if self.from_ms is None else self.from_ms), to_ms


class Refused(Shape):
    """Every refusal: a stable reason, a sentence, and the field that it is about, if it is about one."""

    error: str
    what: str
    where: str = ""
    fields: dict[str, str] = {}
    """Where several are wrong, a sentence for each."""


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Refused, "description": "Nobody is signed in."},
    403: {"model": Refused, "description": "The account may not do this."},
    404: {"model": Refused, "description": "There is no such thing, or not for this account."},
    409: {"model": Refused, "description": "What is there does not allow it."},
    413: {"model": Refused, "description": "The request is too long."},
    422: {"model": Refused, "description": "A value cannot be accepted; `where` names its field."},
    429: {"model": Refused, "description": "Asked too often; `Retry-After` says how long to wait."},
    503: {"model": Refused, "description": "The hub cannot do this now."},
}
"""For every router."""
