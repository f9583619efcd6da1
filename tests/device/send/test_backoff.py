import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.send.backoff import Backoff


def test_waits_double_up_to_the_bound_and_start_again():
    backoff = Backoff(first_ms=1_000, bound_ms=60_000, random=lambda: 0.0)
    assert [backoff.next_ms() for _ in range(8)] == [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
    backoff.reset()
    assert backoff.next_ms() == 1_000


def test_the_jitter_is_as_wide_as_the_wait():
    backoff = Backoff(first_ms=5_000, bound_ms=60_000, random=lambda: 0.5)
    assert [backoff.next_ms() for _ in range(5)] == [7_500, 15_000, 30_000, 45_000, 45_000]


@given(
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20), st.integers(1, 10_000), st.integers(2, 100)
)
def test_every_wait_is_within_the_bounds(chances, first_ms, factor):
    backoff = Backoff(first_ms=first_ms, bound_ms=first_ms * factor, random=iter(chances).__next__)
    assert all(first_ms <= backoff.next_ms() <= first_ms * factor for _ in chances)


@pytest.mark.parametrize(("first_ms", "bound_ms"), [(0, 10), (10, 19)])
def test_bounds_that_make_no_sense(first_ms, bound_ms):
    with pytest.raises(ValueError, match="back-off"):
        Backoff(first_ms=first_ms, bound_ms=bound_ms, random=lambda: 0.0)
