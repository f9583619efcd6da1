"""An honest check-in for the tests of the net."""

import pytest

from protocol.checkin import GENESIS, CheckIn
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict


@pytest.fixture
def first_checkin():
    return CheckIn(
        device=bytes(8),
        epoch=bytes(8),
        seq=1,
        prev=GENESIS,
        at_ms=1,
        clock=Clock.TRUSTED,
        place="p",
        gate="g",
        direction=Direction.IN,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        reason=Reason.OK,
        code=bytes(16),
        scheme=Scheme.GATELIGHT,
        subject=b"",
    )
