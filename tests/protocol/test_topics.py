import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import topics
from protocol.errors import MalformedError

LEAVES = (
    "checkins", "receipts", "presence", "health", "policy", "commands", "results", "resolve", "resolved", "time",
)  # fmt: skip
LIST = "0123456789abcdef"


@given(st.binary(min_size=8, max_size=8), st.sampled_from(LEAVES))
def test_a_device_s_topic_comes_back(device, leaf):
    topic = getattr(topics, leaf)(device)
    assert topics.parse_device_topic(topic) == (device, leaf)
    assert topic.split("/")[3] == device.hex()[:2]


@pytest.mark.parametrize(
    ("topic", "wanted"),
    [
        *(
            (getattr(topics, leaf)(bytes(8)), getattr(topics, f"{leaf.upper()}_FILTER"))
            for leaf in ("checkins", "presence", "health", "results", "resolve")
        ),
        (topics.status_version(LIST), topics.STATUS_VERSION_FILTER),
        (topics.status_delta(LIST), topics.STATUS_DELTA_FILTER),
    ],
)
def test_the_filters_cover_the_topics(topic, wanted):
    levels, wanted = topic.split("/"), wanted.split("/")
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


@given(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.sampled_from(("version", "snapshot", "delta")))
def test_a_status_list_s_topic_comes_back(list_id, leaf):
    topic = getattr(topics, f"status_{leaf}")(list_id)
    assert topic == f"gatelight/1/status/{list_id}/{leaf}"
    assert topics.parse_status_topic(topic) == (list_id, leaf)


@pytest.mark.parametrize("list_id", ["", LIST[:15], LIST + "0", LIST.upper(), "+", f"{LIST}\n", "０" * 16])
def test_a_list_id_has_sixteen_hex_digits(list_id):
    for make in (topics.status_version, topics.status_snapshot, topics.status_delta):
        with pytest.raises(ValueError, match="16 hex digits"):
            make(list_id)


@given(st.text(max_size=60) | st.sampled_from([topics.checkins(bytes(8)), topics.STATUS_DELTA_FILTER, topics.TRUST]))
def test_any_other_topic_is_no_status_list_s(topic):
    with pytest.raises(MalformedError, match="topic: not a status list's topic"):
        topics.parse_status_topic(topic)
