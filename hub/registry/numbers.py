"""Numbers that a body or a person is known by in China, each with its check digit. Pure."""

import re
from typing import Final

from protocol.idnumber import PROVINCES

_CREDIT_DIGITS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100-2015 §5.3: without I, O, S, V and Z."""
_CREDIT: Final = re.compile(rf"[{_CREDIT_DIGITS}]{{2}}[0-9]{{6}}[{_CREDIT_DIGITS}]{{10}}", re.ASCII)
_REGISTRATION: Final = re.compile(r"[0-9]{15}", re.ASCII)
_DIVISION: Final = re.compile(r"[0-9]{6}([0-9]{3}([0-9]{3})?)?", re.ASCII)
_PHONE: Final = re.compile(r"1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}", re.ASCII)


def is_credit_code(text: str) -> bool:
    """A unified social credit code, 18 characters (GB 32100-2015 §5.3)."""
    if not _CREDIT.fullmatch(text):
        return False
    total = sum(_CREDIT_DIGITS.index(digit) * pow(3, place, 31) for place, digit in enumerate(text[:17]))
    return _CREDIT_DIGITS[-total % 31] == text[17]


def is_registration_number(text: str) -> bool:
    """A business registration number, 15 digits (GS 15-2006: ISO 7064 MOD 11,10)."""
    if not _REGISTRATION.fullmatch(text):
        return False
    product = 10
    for digit in text[:14]:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return (product + int(text[14])) % 10 == 1


def is_phone(text: str) -> bool:
    """A mobile number, or a fixed one with its area code."""
    return _PHONE.fullmatch(text) is not None


def is_division(text: str) -> bool:
    """An administrative division's code of 6, 9 or 12 digits: down to the district, the township or the village.

    GB/T 2260 and GB/T 10114: the first two digits are a province's, the next four not both zeros.
    """
    return _DIVISION.fullmatch(text) is not None and int(text[:2]) in PROVINCES and text[2:6] != "0000"


def masked(number: str) -> str:
    """What may be shown of a person's number: two characters at each end."""
    return number[:2] + "*" * (len(number) - 4) + number[-2:]
