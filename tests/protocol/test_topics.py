import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import topics
from protocol.errors import MalformedError

LEAVES = ("checkins", "receipts", "presence", "health", "policy", "commands", "results")


@given(st.binary(min_size=8, max_size=8), st.sampled_from(LEAVES))
def test_a_device_s_topic_comes_back(device, leaf):
    topic = getattr(topics, leaf)(device)
    assert topics.parse_device_topic(topic) == (device, leaf)
    assert topic.split("/")[3] == device.hex()[:2]


@pytest.mark.parametrize("leaf", ["checkins", "presence", "health"])
def test_the_hub_s_filters_cover_the_topics(leaf):
    levels = getattr(topics, leaf)(bytes(8)).split("/")
    wanted = getattr(topics, f"{leaf.upper()}_FILTER").split("/")
    assert len(levels) == len(wanted)
    assert all(want in {"+", level} for want, level in zip(wanted, levels, strict=True))


@pytest.mark.parametrize("length", [0, 7, 9])
def test_a_device_id_has_eight_bytes(length):
    with pytest.raises(ValueError, match="8 bytes"):
        topics.device_id_text(bytes(length))


@given(st.text(max_size=60))
def test_any_other_topic_is_refused(topic):
    with pytest.raises(MalformedError, match="topic: not a device's topic"):
        topics.parse_device_topic(topic)


def test_the_topic_of_a_place():
    assert topics.used("mall-1") == "gatelight/1/p/mall-1/used"
