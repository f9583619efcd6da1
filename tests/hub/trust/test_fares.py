from dataclasses import replace

import pytest

from hub.store.fleet_ports import SLOT_MS
from hub.trust.fares import Fares
from protocol.health import Health, State, Supply

A = b"device-A"
T0 = 1_790_000_000_000 // SLOT_MS * SLOT_MS


def health(**changes):
    counts = dict.fromkeys(
        ("frames", "frames_dropped", "decode_us", "scans", "decoder_restarts", "camera_restarts", "foreign"), 0
    )
    plain = Health(at_ms=1, state=State.IN_SERVICE, clock_trusted=True, spool=7, **counts)
    return replace(plain, **changes)


@pytest.fixture
def fares():
    return Fares()


def tell(fares, ms, **changes):
    fares.heard(A, health(**changes), lists=2, now_ms=T0 + ms)


def row(fares):
    (found,) = fares.due()
    return found


def test_two_messages_tell_frame_rate_and_decode_time(fares):
    tell(fares, 0, frames=0, decoded=0, decode_total_us=0)
    assert (row(fares).frame_rate_c, row(fares).decode_us) == (None, None)
    tell(fares, 30_000, frames=450, decoded=400, decode_total_us=2_000_000)
    assert (row(fares).frame_rate_c, row(fares).decode_us) == (1500, 5000)


def test_messages_close_together_keep_the_rate_they_had(fares):
    tell(fares, 0, frames=0)
    tell(fares, 30_000, frames=450)
    tell(fares, 30_100, frames=450, state=State.OUT_OF_SERVICE)
    assert (row(fares).frame_rate_c, row(fares).state) == (1500, State.OUT_OF_SERVICE)


def test_a_device_that_began_anew_has_no_rate_until_it_speaks_again(fares):
    tell(fares, 0, frames=9000)
    tell(fares, 30_000, frames=10)
    assert row(fares).frame_rate_c is None
    tell(fares, 60_000, frames=310)
    assert row(fares).frame_rate_c == 1000


def test_an_older_device_does_not_tell_how_long_it_decodes(fares):
    tell(fares, 0, frames=0)
    tell(fares, 30_000, frames=300)
    assert row(fares).decode_us is None


def test_rows_are_due_once_a_minute_and_when_something_changed(fares):
    tell(fares, 0)
    fares.kept(fares.due())
    tell(fares, 59_999, spool=9)
    assert fares.due() == ()
    tell(fares, 59_999, supply=Supply.LOW)
    assert len(fares.due()) == 1
    tell(fares, 60_000, spool=9)
    assert len(fares.due()) == 1


def test_a_sample_counts_five_minutes(fares):
    tell(fares, 0, scans=10)
    tell(fares, 290_000, scans=25, spool=3, board_cc=5000)
    assert fares.samples(now_ms=T0 + 299_999) == ()
    (sample,) = fares.samples(now_ms=T0 + 300_000)
    assert (sample.slot, sample.scans, sample.spool, sample.board_cc) == (T0 // SLOT_MS, 15, 3, 5000)
    fares.sampled((sample,))
    assert fares.samples(now_ms=T0 + 300_001) == ()


def test_no_scan_is_lost_between_two_samples_nor_counted_twice(fares):
    total = 0
    for step in range(100):
        tell(fares, step * 30_000, scans=step * 7)
        samples = fares.samples(now_ms=T0 + step * 30_000)
        fares.sampled(samples)
        total += sum(sample.scans for sample in samples)
    (last,) = fares.samples(now_ms=T0 + 100 * 30_000 + SLOT_MS)
    assert total + last.scans == 99 * 7


def test_scans_since_it_began_anew_are_counted(fares):
    tell(fares, 0, scans=1000)
    tell(fares, 100_000, scans=5)
    (sample,) = fares.samples(now_ms=T0 + SLOT_MS)
    assert sample.scans == 5


def test_a_device_that_is_silent_has_no_samples(fares):
    tell(fares, 0)
    fares.sampled(fares.samples(now_ms=T0 + SLOT_MS))
    assert fares.samples(now_ms=T0 + 9 * SLOT_MS) == ()
