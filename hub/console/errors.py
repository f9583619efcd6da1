"""What the console answers when it does not do what was asked.

ConsoleError                one sentence, a stable reason, and the field it is about
├── NotSignedInError   401
├── ForbiddenError     403
├── NotFoundError      404
├── ConflictError      409   what is there does not allow it
├── InvalidError       422   a value cannot be accepted; `where` names its field
│   └── FieldsError          several of them, a sentence for each
├── TooManyError       429   with the seconds to wait
└── UnavailableError   503   the hub, or the platform behind it, cannot do it now
"""

from collections.abc import Mapping
from typing import Final


class ConsoleError(Exception):
    """Root of what a route raises on purpose."""

    status: int = 400

    def __init__(self, reason: str, what: str, *, where: str = "") -> None:
        super().__init__(what)
        self.reason, self.what, self.where = reason, what, where


class NotSignedInError(ConsoleError):
    """Nobody is signed in, or the session has ended."""

    status = 401

    def __init__(self) -> None:
        super().__init__("not_signed_in", "Sign in first.")


class ForbiddenError(ConsoleError):
    """Somebody is signed in who may not do this."""

    status = 403


class NotFoundError(ConsoleError):
    """There is no such thing, or not for this account: which of the two is not told."""

    status = 404

    def __init__(self, what: str = "There is no such thing.") -> None:
        super().__init__("not_found", what)


class ConflictError(ConsoleError):
    """What is there does not allow it."""

    status = 409


class InvalidError(ConsoleError):
    """A value cannot be accepted."""

    status = 422


class FieldsError(InvalidError):
    """Some values cannot be accepted: a sentence for each, by its field's name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("fields", "Some fields are not right yet.", where=next(iter(fields)))
        self.fields: Final = dict(fields)


class TooManyError(ConsoleError):
    """Asked too often."""

    status = 429

    def __init__(self, wait_s: float) -> None:
        self.wait_s: Final = max(1, round(wait_s + 0.5))
        super().__init__("too_many_requests", f"Too many tries. Wait {self.wait_s} seconds.")


class UnavailableError(ConsoleError):
    """The hub, or the platform behind it, cannot do it now."""

    status = 503
