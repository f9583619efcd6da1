import pytest

from hub.trust.clockhint import ClockHint
from protocol import topics
from protocol.timehint import open_time

DEVICE, SESSION = b"device-1", b"session1"


@pytest.fixture
def make_hint(shelf, hub_key, now):
    def make(*, trusted=True):
        return ClockHint(board=shelf, key=hub_key, trusted=lambda: trusted, now_ms=now.ms)

    return make


def test_a_device_that_comes_is_told_the_time_for_its_session(make_hint, broker, hub_key, now):
    make_hint().present(DEVICE, SESSION)
    (data,) = broker.live(topics.time(DEVICE))
    keys = {hub_key.public.kid: hub_key.public}
    assert open_time(data, hub_keys=keys, device=DEVICE, session=SESSION).at_ms == now.ms()
    assert broker.retained == {}


def test_a_hub_that_does_not_trust_its_clock_says_nothing(make_hint, broker):
    make_hint(trusted=False).present(DEVICE, SESSION)
    assert broker.sent == []


def test_a_device_cannot_keep_the_hub_signing(make_hint, broker, now):
    hint = make_hint()
    for number in range(1000):
        hint.present(DEVICE, number.to_bytes(8, "big"))
        now.s += 0.01
    assert 95 <= len(broker.sent) <= 105, "ten a second"
    broker.sent.clear()
    for _ in range(1000):
        hint.present(DEVICE, SESSION)
        now.s += 0.01
    assert 9 <= len(broker.sent) <= 11, "one a second for the same session"


def test_a_clock_that_is_set_back_does_not_silence_it(make_hint, broker, now):
    hint = make_hint()
    hint.present(DEVICE, SESSION)
    now.s -= 3600
    hint.present(DEVICE, SESSION)
    assert len(broker.sent) == 2


def test_what_was_not_sent_is_told_at_the_next_presence(make_hint, broker):
    hint = make_hint()
    broker.there = False
    hint.present(DEVICE, SESSION)
    broker.there = True
    hint.present(DEVICE, SESSION)
    assert len(broker.sent) == 1
