"""What people type as a time -> milliseconds since 1970, by the site's clock. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.console.errors import InvalidError

MINUTE_FORM = "%Y-%m-%dT%H:%M"
DAY_FORM = "%Y-%m-%d"
_LATEST_MS = 2**53


def typed_ms(text: str, zone: ZoneInfo, *, where: str) -> int:
    """`2026-11-23T08:15` (seconds may follow) -> ms. Raises InvalidError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError("malformed", "Not a time.", where=where) from error
    if at.tzinfo is not None:
        raise InvalidError("malformed", "Not a time.", where=where)
    return _ms(at.replace(tzinfo=zone), where)


def typed_day_ms(text: str, zone: ZoneInfo, *, where: str, days_later: int = 0) -> int:
    """`2026-11-23` -> when that day begins, or one later. Raises InvalidError."""
    try:
        day = datetime.strptime(text, DAY_FORM).replace(tzinfo=zone) + timedelta(days=days_later)
    except (ValueError, OverflowError) as error:
        raise InvalidError("malformed", "Not a day.", where=where) from error
    return _ms(day, where)


def local(at_ms: int, zone: ZoneInfo) -> datetime:
    """The time as clocks there show it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)


def _ms(at: datetime, where: str) -> int:
    try:
        at_ms = round(at.timestamp() * 1000)
    except (OverflowError, ValueError) as error:
        raise InvalidError("malformed", "Not a time.", where=where) from error
    if not 0 <= at_ms < _LATEST_MS:
        raise InvalidError("malformed", "Not a time.", where=where)
    return at_ms
