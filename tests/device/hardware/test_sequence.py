import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.sequence import NS_PER_MS, Sequence

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=5).map(tuple)


@given(steps=STEPS, repeat=st.booleans(), total_ms=st.integers(1, 60), elapsed_ms=st.integers(0, 80))
def test_each_moment_has_the_value_that_writing_it_all_out_gives(steps, repeat, total_ms, elapsed_ms):
    written_out = [value for value, step_ms in steps for _ in range(step_ms)] * (60 if repeat else 1)
    written_out = written_out[:total_ms]
    step = Sequence(steps=steps, repeat=repeat, total_ms=total_ms).at(elapsed_ms * NS_PER_MS)
    if elapsed_ms >= len(written_out):
        assert step is None
    else:
        value, until_ns = step
        assert value == written_out[elapsed_ms]
        assert elapsed_ms * NS_PER_MS < until_ns <= len(written_out) * NS_PER_MS


@pytest.mark.parametrize(
    ("elapsed_ms", "expected"), [(0, ("a", 10)), (9, ("a", 10)), (10, ("b", 30)), (30, ("a", 35)), (35, None)]
)
def test_says_until_when_a_value_holds(elapsed_ms, expected):
    step = Sequence(steps=(("a", 10), ("b", 20)), repeat=True, total_ms=35).at(elapsed_ms * NS_PER_MS)
    assert step == (expected and (expected[0], expected[1] * NS_PER_MS))
