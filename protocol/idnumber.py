"""Whether a scanned number is that of a Chinese identity card, so that a gate knows what it may look up."""

import re

_FORM = re.compile(r"[1-9][0-9]{5}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]", re.ASCII)
PROVINCES = frozenset(
    {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83}
)
"""The first two digits of a division's code (GB/T 2260)."""
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def is_id_number(text: str) -> bool:
    """Whether a text is a resident identity number of 18 characters (GB 11643-1999).

    Province (GB/T 2260) and date must be possible, and the last character must be the check digit (ISO 7064,
    MOD 11-2), with X in upper case for ten. Numbers of foreigners with permanent residence have a 9 before the
    province.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        return False
    province = int(text[1:3] if text[0] == "9" else text[:2])
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text[:17], strict=True))
    return province in PROVINCES and _is_date(*map(int, found.groups())) and text[17] == _CHECKS[total % 11]


def _is_date(year: int, month: int, day: int) -> bool:
    """A day of the 20th or 21st century, in which every bearer of such a number was born."""
    if not (1900 <= year < 2100 and 1 <= month <= 12):
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
