import pytest

from hub.broker.backoff import pause_s


@pytest.mark.parametrize(
    ("attempt", "least_s", "most_s"), [(0, 0.1, 0.2), (1, 0.2, 0.4), (4, 1.6, 3.2), (9, 5, 10), (10**6, 5, 10)]
)
def test_pauses_double_up_to_the_cap_and_spread_over_the_upper_half(attempt, least_s, most_s):
    assert pause_s(attempt, cap_s=10, draw=0.0) == pytest.approx(least_s)
    assert pause_s(attempt, cap_s=10, draw=0.999999) == pytest.approx(most_s, rel=1e-3)
