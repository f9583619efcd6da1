import datetime as dt

import pytest

from hub.expiry import Expiry
from hub.health import Health

DAY_MS = 86_400_000


@pytest.fixture
def watch(authority, tmp_path):
    cert, _ = authority.issue("hub-at-broker")
    now = dt.datetime.now(dt.UTC)
    # The authority of these tests issues for a day.
    ends_ms = int((now + dt.timedelta(days=1)).timestamp() * 1000)
    state = {"now_ms": 0}
    health = Health()
    return Expiry(files={"broker": cert}, health=health, now_ms=lambda: state["now_ms"]), health, state, ends_ms, cert


def test_it_warns_at_30_7_and_1_days_and_when_it_is_over(watch, caplog):
    expiry, health, state, ends_ms, _ = watch
    said = []
    for days in (40, 29, 20, 6, 0.5, -1):
        state["now_ms"] = int(ends_ms - days * DAY_MS)
        expiry.step()
        expiry.step()
        said.append(health.warnings().get("certificate broker"))
    assert said == [
        None,
        "ends within 30 days",
        "ends within 30 days",
        "ends within 7 days",
        "ends within 1 days",
        "has ended",
    ]
    assert len(caplog.records) == 4
    assert health.troubles() == {}


@pytest.mark.parametrize("damage", [b"", b"no certificate", b"\xff" * 100_000, None])
def test_a_file_that_is_none_is_said_and_stops_nothing(watch, caplog, damage):
    expiry, health, state, ends_ms, cert = watch
    state["now_ms"] = ends_ms
    if damage is None:
        cert.unlink()
    else:
        cert.write_bytes(damage)
    expiry.step()
    assert health.warnings() == {}
    assert "certificate_unreadable" in caplog.text
