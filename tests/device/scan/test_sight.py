"""The state table of device/scan/sight.py, row by row, and what holds for any sequence of frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.scan.sight import GONE_MS, PAUSE_MAX_MS, TOGETHER_MS, Seen, Sight, scheme_of
from protocol.limits import QUERY_TEXT_CHARS
from protocol.policy import GatePolicy
from protocol.terms import Scheme

A, B, C = "GL1:AAAA", "GL1:BBBB", "GL1:CCCC"
LINK = "https://example.org/menu"
NOTHING = Seen()
FRAME_MS = 33


def watch(*frames, sight=None, frame_ms=FRAME_MS):
    """Shows frames (tuples of texts) one after the other, `frame_ms` apart."""
    sight = sight or Sight()
    return [sight.see(texts, now_ms=number * frame_ms) for number, texts in enumerate(frames)]


def empty_for(ms):
    return [()] * (ms // FRAME_MS + 1)


def test_an_empty_view_says_nothing():
    assert watch((), (), ()) == [NOTHING] * 3


def test_a_code_is_answered_in_the_frame_that_shows_it_and_once():
    assert watch((A,), (A,), (A,)) == [Seen(code=A), NOTHING, NOTHING]


def test_the_same_code_read_twice_in_one_frame_is_one_code():
    assert watch((A, A)) == [Seen(code=A)]


def test_frames_that_were_not_read_do_not_end_the_view():
    missed = empty_for(GONE_MS - 2 * FRAME_MS)
    assert watch((A,), *missed, (A,))[-1] == NOTHING


def test_a_code_that_was_away_is_answered_again():
    assert watch((A,), *empty_for(GONE_MS), (A,))[-1] == Seen(code=A)


def test_the_next_person_is_answered_while_the_one_before_is_still_remembered():
    gap = empty_for(TOGETHER_MS)
    assert watch((A,), *gap, (B,), *gap, (A,))[-1] == NOTHING
    assert watch((A,), *gap, (B,))[-1] == Seen(code=B)


def test_two_codes_in_one_frame_are_several_and_nobody_is_guessed():
    assert watch((A, B), (A, B), (A,), (B,)) == [Seen(several=True), NOTHING, NOTHING, NOTHING]


def test_a_second_code_just_after_the_first_is_several():
    assert watch((A,), (B,)) == [Seen(code=A), Seen(several=True)]


def test_a_second_code_beside_an_answered_one_is_several():
    held = [(A,)] * 20
    assert watch(*held, (A, B))[-1] == Seen(several=True)


def test_after_several_the_view_must_empty_before_anybody_is_answered():
    crowd = ((A, B), (A,), *empty_for(GONE_MS - 2 * FRAME_MS))
    assert watch(*crowd, (C,))[-1] == NOTHING
    seen = watch((A, B), *empty_for(GONE_MS), (), (A,))
    assert seen[-1] == Seen(code=A)
    assert sum(one.several for one in seen) == 1


def test_adverts_are_counted_once_while_in_view_and_do_not_hide_a_code():
    assert watch((LINK,), (LINK, A), (LINK,)) == [Seen(foreign=1), Seen(code=A), NOTHING]
    assert watch((LINK,), *empty_for(GONE_MS), (LINK,))[-1] == Seen(foreign=1)
    assert watch((LINK, "WIFI:;", A)) == [Seen(code=A, foreign=2)]


def test_an_advert_in_a_crowd_is_still_counted():
    assert watch((A, B), (A, LINK))[-1] == Seen(foreign=1)


def test_while_somebody_waits_another_code_is_several_however_long_the_first_is_gone():
    sight = Sight()
    assert sight.see((A,), now_ms=0) == Seen(code=A)
    for now_ms in range(100, 600, 100):
        assert sight.see((), now_ms=now_ms, waiting=True) == NOTHING
    assert sight.see((A,), now_ms=600, waiting=True) == NOTHING
    assert sight.see((), now_ms=800, waiting=True) == NOTHING
    assert sight.see((B,), now_ms=900, waiting=True) == Seen(several=True)
    assert sight.see((B,), now_ms=1000) == NOTHING, "until the view is empty"


def test_a_code_for_setting_up_is_a_stranger_told_apart():
    setting_up = "GLE1:ABC"
    assert watch((setting_up,), (setting_up, A)) == [Seen(foreign=1, provisioning=True), Seen(code=A)]
    assert watch((LINK, setting_up, A)) == [Seen(code=A, foreign=2, provisioning=True)]
    assert watch((A, B), (setting_up,))[-1] == Seen(foreign=1, provisioning=True)


POLICY = GatePolicy(
    device=bytes(8),
    version=1,
    issued_s=0,
    place="p",
    gate="g",
    resolve_prefixes=("https://code.example/", "JKM", "GL"),
    resolve_cards=True,
)
NO_ONE = GatePolicy(device=bytes(8), version=1, issued_s=0, place="p", gate="g")
NUMBER = "11010519491231002X"


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        (A, Scheme.GATELIGHT),
        ("GL2:LATER", Scheme.GATELIGHT),
        ("GLE1:SECRET", None),
        ("GLE1:", None),
        ("GLX", Scheme.OPAQUE),
        (NUMBER, Scheme.CARD_NUMBER),
        (NUMBER.lower(), None),
        (NUMBER[:-1] + "1", None),
        (NUMBER + " ", None),
        (NUMBER.translate({ord("1"): "１"}), None),
        ("https://code.example/abc", Scheme.OPAQUE),
        ("HTTPS://CODE.EXAMPLE/abc", None),
        (" https://code.example/abc", None),
        ("https://code.example.org/", None),
        ("JKM" + "x" * (QUERY_TEXT_CHARS - 3), Scheme.OPAQUE),
        ("JKM" + "x" * (QUERY_TEXT_CHARS - 2), None),
        (LINK, None),
        ("", None),
    ],
)
def test_what_is_looked_up_is_what_the_policy_names_and_never_a_secret_of_ours(text, scheme):
    assert scheme_of(text, POLICY) is scheme
    assert scheme_of(text, NO_ONE) is (scheme if scheme is Scheme.GATELIGHT else None)


def test_a_policy_that_comes_while_a_text_is_in_view_makes_it_a_code():
    sight, text = Sight(), "JKM1"
    assert sight.see((text,), now_ms=0) == Seen(foreign=1)
    ours = {"is_ours": lambda text: scheme_of(text, POLICY) is not None}
    assert sight.see((text,), now_ms=30, **ours) == Seen(code=text)
    assert sight.see((text,), now_ms=60, **ours) == NOTHING


def test_a_code_held_through_a_pause_of_the_decoder_is_not_answered_again():
    sight = Sight()
    assert sight.see((A,), now_ms=0) == Seen(code=A)
    assert sight.see((A,), now_ms=5_000) == NOTHING
    assert sight.see((), now_ms=9_000) == NOTHING
    assert sight.see((A,), now_ms=12_000) == NOTHING


@pytest.mark.parametrize("frame_ms", [5, 33, 100, 200])
def test_once_at_any_frame_rate(frame_ms):
    seen = watch(*[(A,)] * 200, frame_ms=frame_ms)
    assert [one.code for one in seen if one.code] == [A]


frames = st.lists(st.frozensets(st.sampled_from([A, B, C, LINK, "x"]), max_size=4), max_size=60)
steps = st.integers(min_value=0, max_value=2000)


@given(st.lists(st.tuples(steps, st.frozensets(st.sampled_from([A, B, C, LINK]))), max_size=80))
def test_any_sequence(sequence):
    sight, now_ms, view_ms = Sight(), 0, 0
    answered: dict[str, int] = {}
    last_shown: dict[str, int] = {}
    for step_ms, texts in sequence:
        now_ms += step_ms
        view_ms += min(step_ms, PAUSE_MAX_MS)
        seen = sight.see(texts, now_ms=now_ms)
        codes = {text for text in texts if text.startswith("GL1:")}
        assert not (seen.code and seen.several)
        if seen.code:
            # Only what is shown, alone, and not within GONE_MS of having been shown.
            assert codes == {seen.code}
            assert view_ms - last_shown.get(seen.code, -GONE_MS) >= GONE_MS or seen.code not in answered
            others = [at for text, at in last_shown.items() if text != seen.code]
            assert all(view_ms - at >= TOGETHER_MS for at in others)
            answered[seen.code] = view_ms
        if len(codes) > 1:
            assert seen.code is None
        assert seen.foreign <= 1
        last_shown |= dict.fromkeys(codes, view_ms)


@given(frames)
def test_a_repeated_frame_never_brings_anything_new(sequence):
    sight, now_ms = Sight(), 0
    for texts in sequence:
        now_ms += FRAME_MS
        sight.see(texts, now_ms=now_ms)
        assert sight.see(texts, now_ms=now_ms) == NOTHING


@given(frames)
def test_memory_is_bounded_by_what_the_last_moments_showed(sequence):
    sight = Sight()
    for number, texts in enumerate(sequence):
        sight.see([f"{text}{number}" for text in texts], now_ms=number * PAUSE_MAX_MS)
        assert len(sight._codes) + len(sight._foreign) <= 4 * (GONE_MS // PAUSE_MAX_MS + 1)
