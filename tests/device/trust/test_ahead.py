from device.trust.ahead import AHEAD_BYTES, AHEAD_DELTAS, Ahead

KEY, OTHER = ("chongqing", "https://status.example/1"), ("jiangxi", "https://status.example/1")


def test_what_continues_a_version_is_given_once_and_what_is_before_it_is_dropped():
    ahead = Ahead()
    for version in (3, 4, 5):
        ahead.put(KEY, from_version=version, data=b"%d" % version)
        ahead.put(KEY, from_version=version, data=b"%d" % version)
    ahead.put(OTHER, from_version=4, data=b"other")
    assert ahead.take(KEY, version=2) is None
    assert ahead.take(KEY, version=4) == b"4"
    assert ahead.take(KEY, version=3) is None
    assert ahead.take(KEY, version=5) == b"5"
    assert ahead.take(KEY, version=5) is None
    assert ahead.take(OTHER, version=4) == b"other"


def test_the_oldest_goes_when_there_are_too_many():
    ahead = Ahead()
    for version in range(AHEAD_DELTAS + 1):
        ahead.put(KEY, from_version=version, data=b"%d" % version)
    assert len(ahead._kept) == AHEAD_DELTAS
    assert ahead.take(KEY, version=AHEAD_DELTAS) == b"%d" % AHEAD_DELTAS


def test_the_oldest_goes_when_they_are_too_long():
    ahead = Ahead()
    for version in range(9):
        ahead.put(KEY, from_version=version, data=bytes([version]) * (AHEAD_BYTES // 8))
    assert ahead.take(KEY, version=0) is None
    assert ahead.take(KEY, version=1) == b"\1" * (AHEAD_BYTES // 8)
