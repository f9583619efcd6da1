import mqtt5
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.broker.wire import BrokerError, Connected, MqttSession, Outgoing, Published, State, Subscribed

# Where text is not UTF-8 the codec panics, and drops its own UnicodeDecodeError on the way.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WILL = Outgoing(topic="hub/presence", payload=b"away", qos=1, retain=True)
LIMIT = 4096


def session(**changes) -> MqttSession:
    settings = {"client_id": "hub", "will": WILL, "keep_alive_s": 30, "receive_max": 3, "packet_bytes_max": LIMIT}
    return MqttSession(**(settings | changes))


def ready(**changes) -> MqttSession:
    made = session(**changes)
    made.connect()
    made.receive(mqtt5.ConnAckPacket(receive_max=2).write())
    return made


def publish(packet_id: int | None = 1, *, topic="a/b", payload=b"x", qos=None, **more) -> bytes:
    qos = (mqtt5.QoS.AT_LEAST_ONCE if packet_id else mqtt5.QoS.AT_MOST_ONCE) if qos is None else qos
    return mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id, **more).write()


def test_connect_asks_for_nothing_to_be_kept():
    packet, _ = mqtt5.read(memoryview(session().connect()))
    assert packet.clean_start
    assert packet.session_expiry_interval == 0
    assert (packet.receive_max, packet.max_packet_size, packet.keep_alive) == (3, LIMIT, 30)
    assert (packet.will.topic, packet.will.payload, packet.will.retain) == ("hub/presence", b"away", True)


def test_the_brokers_keep_alive_counts():
    made = session()
    made.connect()
    assert made.receive(mqtt5.ConnAckPacket(server_keep_alive=7).write()) == [Connected(keep_alive_s=7)]
    assert made.keep_alive_s == 7
    assert made.state is State.READY


def test_a_refused_connection_says_why():
    made = session()
    made.connect()
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
    with pytest.raises(BrokerError, match="not_authorized") as caught:
        made.receive(refusal.write())
    assert caught.value.reason == "refused"
    assert made.state is State.CLOSED


def test_subscriptions_are_all_granted_or_it_is_over():
    made = ready()
    request, _ = mqtt5.read(memoryview(made.subscribe(["a/+", "b"])))
    assert [wanted.pattern for wanted in request.topic_filters] == ["a/+", "b"]
    granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
    assert made.receive(mqtt5.SubAckPacket(request.packet_id, [granted, granted]).write()) == [Subscribed()]
    refused = mqtt5.SubAckPacket(2, [granted, mqtt5.SubAckReasonCode.NOT_AUTHORIZED])
    with pytest.raises(BrokerError, match="subscription"):
        made.receive(refused.write())


def test_messages_come_in_order_and_wait_for_their_acknowledgement():
    made = ready()
    events = made.receive(publish(1) + publish(None, payload=b"y") + publish(2))
    assert events == [
        Published(topic="a/b", payload=b"x", packet_id=1),
        Published(topic="a/b", payload=b"y", packet_id=None),
        Published(topic="a/b", payload=b"x", packet_id=2),
    ]
    assert made.unacknowledged == 2
    acknowledgements = made.acknowledge([1, 2])
    first, used = mqtt5.read(memoryview(acknowledgements))
    second, _ = mqtt5.read(memoryview(acknowledgements)[used:])
    assert (first.packet_id, second.packet_id) == (1, 2)
    assert made.unacknowledged == 0


def test_what_is_done_early_is_acknowledged_in_the_order_in_which_it_came():
    """MQTT 5.0 §4.6. A look-up is done at once, and a live gate's message before one of a long backlog."""
    made = ready()
    made.receive(b"".join(publish(n) for n in (3, 1, 2)))
    assert made.acknowledge([2]) == b""
    assert made.acknowledge([1]) == b""
    assert made.unacknowledged == 3
    data, ids = memoryview(made.acknowledge([3])), []
    while data:
        packet, used = mqtt5.read(data)
        ids.append(packet.packet_id)
        data = data[used:]
    assert ids == [3, 1, 2]
    assert made.unacknowledged == 0


def test_a_broker_that_overshoots_our_receive_maximum_is_borne():
    made = ready()
    assert len(made.receive(b"".join(publish(n) for n in range(1, 9)))) == 8
    assert made.unacknowledged == 8


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_packets_may_arrive_in_pieces(size):
    made = ready()
    stream = publish(1, payload=bytes(300)) + publish(2, payload=bytes(200)) + mqtt5.PingRespPacket().write()
    events = [event for at in range(0, len(stream), size) for event in made.receive(stream[at : at + size])]
    assert [len(event.payload) for event in events] == [300, 200]


def test_our_own_messages_stay_within_the_brokers_receive_maximum():
    made = ready()
    important = Outgoing(topic="t", payload=b"", qos=1, retain=True)
    first, _ = mqtt5.read(memoryview(made.publish(important)))
    made.publish(important)
    with pytest.raises(BrokerError):
        made.publish(important)
    made.receive(mqtt5.PubAckPacket(first.packet_id).write())
    made.publish(important)
    made.publish(Outgoing(topic="t", payload=b""))


def test_a_message_of_ours_that_is_refused_ends_the_connection():
    made = ready()
    sent, _ = mqtt5.read(memoryview(made.publish(Outgoing(topic="t", payload=b"", qos=1))))
    answer = mqtt5.PubAckPacket(sent.packet_id, reason_code=mqtt5.PubAckReasonCode.NOT_AUTHORIZED)
    with pytest.raises(BrokerError, match="refused"):
        made.receive(answer.write())


def test_packet_ids_come_round_without_zero():
    made = ready()
    ids = {mqtt5.read(memoryview(made.subscribe(["a"])))[0].packet_id for _ in range(65_600)}
    assert ids == set(range(1, 65_536))


def test_a_farewell_of_the_broker_has_its_reason():
    bye = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN)
    with pytest.raises(BrokerError, match="server_shutting_down") as caught:
        ready().receive(bye.write())
    assert caught.value.reason == "disconnected"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(publish(1) + publish(1), id="packet id in use"),
        pytest.param(publish(1)[:7] + bytes(2) + publish(1)[9:], id="packet id 0"),
        pytest.param(publish(1, qos=mqtt5.QoS.EXACTLY_ONCE), id="qos 2"),
        pytest.param(publish(1, topic_alias=1), id="topic alias"),
        pytest.param(publish(1, payload=bytes(LIMIT)), id="too large"),
        pytest.param(b"\x30\xff\xff\xff\x7f", id="too large, before it is there"),
        pytest.param(b"\x30\xff\xff\xff\xff\x01", id="a length of five bytes"),
        pytest.param(b"\x32\x05\x00\x01\xff\x00\x01\x00", id="a topic that is not UTF-8"),
        pytest.param(b"\x30\x04\xff\xff\x00\x00", id="a field longer than its packet"),
        pytest.param(b"\x00\x00", id="no packet type"),
        pytest.param(mqtt5.ConnAckPacket().write(), id="a second CONNACK"),
        pytest.param(mqtt5.PubAckPacket(9).write(), id="PUBACK for nothing"),
        pytest.param(mqtt5.PubRecPacket(1).write(), id="PUBREC"),
        pytest.param(mqtt5.ConnectPacket("x").write(), id="a client's packet"),
        pytest.param(mqtt5.PingReqPacket().write(), id="a client's ping"),
        pytest.param(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("a")]).write(), id="a client's subscription"),
        pytest.param(mqtt5.AuthPacket().write(), id="AUTH"),
    ],
)
def test_what_a_broker_may_not_send_ends_the_connection(data):
    made = ready()
    with pytest.raises(BrokerError) as caught:
        made.receive(data)
    assert caught.value.reason == "protocol_error"
    assert made.state is State.CLOSED


@pytest.mark.parametrize("data", [publish(1), mqtt5.PingRespPacket().write(), mqtt5.PubAckPacket(1).write()])
def test_nothing_may_come_before_the_answer_to_connect(data):
    made = session()
    made.connect()
    with pytest.raises(BrokerError, match="protocol_error"):
        made.receive(data)


def feed(made: MqttSession, data: bytes, cuts: list[int]) -> None:
    """Pieces in, and whatever happens, no more is held back than one packet."""
    start = 0
    try:
        for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
            made.receive(data[start:cut])
            assert len(made._rest) <= LIMIT + 5
            start = cut
    except BrokerError:
        assert made.state is State.CLOSED


cuts = st.lists(st.integers(0, 10_000), max_size=5)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(data=st.binary(max_size=200), cuts=cuts)
@example(data=b"\x90\x00", cuts=[])
@example(data=b"\x32\x05\x00\x01\xff\x00\x01\x00", cuts=[1])
def test_random_bytes_are_events_or_an_error(data, cuts):
    feed(ready(), data, cuts)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4),
    cuts=cuts,
)
def test_mutated_packets_are_events_or_an_error(flips, cuts):
    stream = bytearray(
        publish(1, topic="gatelight/1/d/aa/aabbccddeeff0011/checkins", payload=bytes(60), user_properties=[("a", "b")])
        + mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE], reason_str="fine").write()
        + publish(None)
        + mqtt5.PingRespPacket().write()
        + mqtt5.DisconnectPacket(reason_str="bye").write()
    )
    for at, value in flips:
        stream[at % len(stream)] ^= value
    feed(ready(), bytes(stream), cuts)
