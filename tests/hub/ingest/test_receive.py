import pytest

from hub.ingest.receive import CheckIns, PresenceSaid, Refused, Unreadable, read_payload, read_topic
from protocol.checkin import encode_message


def test_a_topic_names_device_and_leaf(gate):
    assert read_topic(gate.topic()) == (gate.device, "checkins")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "gatelight/1/d/ab/ab",
        "gatelight/1/d/00/1122334455667788/checkins",
        "gatelight/2/d/11/1122334455667788/checkins",
    ],
)
def test_another_topic_is_no_devices(topic):
    assert read_topic(topic) is None


def test_each_entry_is_read_for_itself(gate):
    good = gate.make(2)
    message = read_payload("checkins", encode_message([good[0], b"\xd2garbage", good[1]]))
    assert isinstance(message, CheckIns)
    assert [type(entry) is Unreadable for entry in message.entries] == [False, True, False]
    assert message.entries[1].reason == "malformed"


@pytest.mark.parametrize(
    "payload", [b"", b"\x80", b"\xa0", b"\x81\x01", b"\x01", bytes(70_000), b"\x98\x41" + b"\x40" * 65]
)
def test_what_is_no_message_is_refused_and_kept(payload):
    message = read_payload("checkins", payload)
    assert isinstance(message, Refused)
    assert message.keep
    assert message.reason in {"malformed", "limit"}


def test_presence_is_read_and_nonsense_is_not_kept(gate):
    said = read_payload("presence", gate.presence(1))
    assert isinstance(said, PresenceSaid)
    assert said.presence.oldest_seq == 1
    refused = read_payload("presence", b"\xff")
    assert isinstance(refused, Refused)
    assert not refused.keep


def test_another_leaf_is_refused():
    assert read_payload("results", b"").reason == "bad_topic"
