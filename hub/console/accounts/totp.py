"""The second factor: codes of six digits by time (RFC 6238), each good once."""

import re
from typing import Final

import pyotp

STEP_S: Final = 30
_STEPS_EITHER_WAY: Final = 1
"""How far a phone's clock may be away."""
_DIGITS: Final = 6
_SECRET: Final = re.compile(r"[A-Z2-7]{32}", re.ASCII)


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32()


def secret_or_new(text: str) -> str:
    """What a form brought back, if it can be a secret."""
    return text if _SECRET.fullmatch(text) else new_secret()


def address(secret: str, *, name: str, site: str) -> str:
    """What an authenticator scans: `otpauth://totp/...`."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=site)


def step_of(code: str, *, secret: str, now_s: int, after_step: int) -> int | None:
    """The step whose code this is, if it is later than `after_step` and near enough to now; else None."""
    digits = code.replace(" ", "")
    if not _SECRET.fullmatch(secret):
        return None
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp = pyotp.TOTP(secret)
    now = now_s // STEP_S
    for step in range(now - _STEPS_EITHER_WAY, now + _STEPS_EITHER_WAY + 1):
        # `verify` compares in constant time.
        if step > after_step and totp.verify(digits, for_time=step * STEP_S):
            return step
    return None
