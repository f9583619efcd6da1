"""The stages of `make hil` need packages of a Debian mirror, and root. One reason alone leaves them out: no mirror."""

import os

import pytest

from deploy.hil import mirror


@pytest.fixture(scope="session", autouse=True)
def _can_be_made():
    why = mirror.unreachable()
    if why is not None:
        pytest.skip(f"NOTHING OF THE FIRMWARE ON A PI WAS TRIED: {why}")
    if os.geteuid():
        pytest.fail("`make hil` makes file systems and boots systemd in them: run it as root, or leave it out by HIL=0")
