"""What a gate remembers of the codes it admitted, whatever its clocks do."""

from hypothesis import given
from hypothesis import strategies as st

from device.scan.memory import MEMORY_CODES, Memory

NOW_MS = 1_800_000_000_000
CODE = b"a-code-of-16-byt"


def admitted(for_ms=80_000, memory=None):
    """At 0 on the monotonic clock."""
    memory = memory or Memory()
    memory.admitted(CODE, until_ms=NOW_MS + for_ms, now_ms=NOW_MS, mono_ms=0)
    return memory


def used(memory, *, mono_ms, wall_ms=None, live):
    """Asked when `mono_ms` have passed; the wall clock says the same unless it jumped."""
    return memory.was_used(CODE, now_ms=NOW_MS + (mono_ms if wall_ms is None else wall_ms), mono_ms=mono_ms, live=live)


def test_without_a_jump_a_code_is_remembered_until_its_end():
    for live in (True, False):
        assert used(admitted(), mono_ms=79_999, live=live)
        assert not used(admitted(), mono_ms=80_000, live=live)
        assert not Memory().was_used(CODE, now_ms=NOW_MS, mono_ms=0, live=live)


@given(st.integers(-(10**10), 10**10), st.integers(0, 79_999))
def test_no_jump_of_the_wall_clock_makes_the_gate_forget_early(jump_ms, mono_ms):
    for live in (True, False):
        assert used(admitted(), mono_ms=mono_ms, wall_ms=mono_ms + jump_ms, live=live)


@given(st.integers(-(10**10), 10**10))
def test_no_jump_makes_it_remember_a_card_for_longer(jump_ms):
    assert not used(admitted(), mono_ms=80_000, wall_ms=80_000 + jump_ms, live=False)


@given(st.integers(-(10**10), 0), st.integers(0, 10**7))
def test_a_live_code_that_a_jump_back_makes_valid_again_is_still_known(jump_ms, mono_ms):
    still_valid = mono_ms + jump_ms < 80_000
    assert used(admitted(), mono_ms=mono_ms, wall_ms=mono_ms + jump_ms, live=True) == (still_valid or mono_ms < 80_000)


def loaded(left_ms, *, longest_ms=300_000, mono_ms=1000):
    return Memory.loaded([(CODE, NOW_MS + left_ms)], now_ms=NOW_MS, mono_ms=mono_ms, longest_ms=longest_ms)


def test_after_a_restart_what_is_left_is_counted_on_the_new_monotonic_clock():
    assert used(loaded(5000), mono_ms=5999, wall_ms=0, live=False)
    assert not used(loaded(5000), mono_ms=6000, wall_ms=0, live=False)


def test_after_a_restart_in_the_past_nothing_is_remembered_for_longer_than_anything_ever_is():
    memory = loaded(10**10)
    assert used(memory, mono_ms=300_999, wall_ms=0, live=False)
    assert not used(memory, mono_ms=301_000, wall_ms=0, live=False)
    assert used(memory, mono_ms=301_000, wall_ms=0, live=True), "by that clock it could still pass"


def test_what_was_over_at_the_restart_is_over():
    for live in (True, False):
        assert not used(loaded(-1), mono_ms=1000, wall_ms=0, live=live)


def test_more_than_fits_is_loaded_from_its_late_end():
    rows = [(number.to_bytes(16), NOW_MS + number) for number in range(1, MEMORY_CODES + 3)]
    memory = Memory.loaded(reversed(rows), now_ms=NOW_MS, mono_ms=0, longest_ms=10**9)
    assert len(memory._ends) == MEMORY_CODES
    assert not memory.was_used((2).to_bytes(16), now_ms=NOW_MS, mono_ms=0, live=False)
    assert memory.was_used((3).to_bytes(16), now_ms=NOW_MS, mono_ms=0, live=False)


def test_at_the_bound_what_is_over_goes_first():
    memory = Memory()
    memory.admitted(b"lasting-16-bytes", until_ms=NOW_MS + 10**9, now_ms=NOW_MS, mono_ms=0)
    for number in range(MEMORY_CODES - 1):
        memory.admitted(number.to_bytes(16), until_ms=NOW_MS + 5, now_ms=NOW_MS, mono_ms=0)
    memory.admitted(b"another-16-bytes", until_ms=NOW_MS + 100, now_ms=NOW_MS + 10, mono_ms=10)
    assert list(memory._ends) == [b"lasting-16-bytes", b"another-16-bytes"]


def test_at_the_bound_the_newest_is_never_the_one_to_go():
    """A live code ends soon, a card may count for a day: whoever came last must still be found."""
    memory = Memory()
    for number in range(MEMORY_CODES):
        memory.admitted(number.to_bytes(16), until_ms=NOW_MS + 10**9, now_ms=NOW_MS, mono_ms=0)
    memory.admitted(CODE, until_ms=NOW_MS + 10, now_ms=NOW_MS, mono_ms=0)
    memory.admitted(b"another-16-bytes", until_ms=NOW_MS + 10, now_ms=NOW_MS, mono_ms=0)
    assert memory.was_used(CODE, now_ms=NOW_MS, mono_ms=0, live=True)
    assert memory.was_used((MEMORY_CODES - 1).to_bytes(16), now_ms=NOW_MS, mono_ms=0, live=False)
    assert not memory.was_used((0).to_bytes(16), now_ms=NOW_MS, mono_ms=0, live=False)
    assert len(memory._ends) <= MEMORY_CODES


def test_a_card_that_comes_again_counts_from_then():
    memory = admitted(for_ms=10)
    memory.admitted(CODE, until_ms=NOW_MS + 100, now_ms=NOW_MS + 50, mono_ms=50)
    assert used(memory, mono_ms=99, live=False)
    assert not used(memory, mono_ms=100, live=False)


def test_a_card_that_comes_again_is_new_again():
    memory = Memory()
    for number in range(MEMORY_CODES - 1):
        memory.admitted(number.to_bytes(16), until_ms=NOW_MS + 10**9, now_ms=NOW_MS, mono_ms=0)
    for code in ((0).to_bytes(16), CODE, b"another-16-bytes"):
        memory.admitted(code, until_ms=NOW_MS + 10**9, now_ms=NOW_MS, mono_ms=0)
    assert memory.was_used((0).to_bytes(16), now_ms=NOW_MS, mono_ms=0, live=False)
    assert not memory.was_used((1).to_bytes(16), now_ms=NOW_MS, mono_ms=0, live=False)
