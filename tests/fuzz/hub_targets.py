"""Targets of the hub's side to its gates: the broker's bytes, devices' messages and requests."""

import json
from typing import Any

import mqtt5

from hub.broker.access import AccessControl
from hub.broker.wire import BrokerError, MqttSession, Outgoing, State
from hub.ingest.receive import CheckIns, read_payload, read_topic
from hub.registry.checks import RegistryError
from hub.registry.requests import checked_csr
from hub.trust.inbound import Inbound
from protocol import topics
from tests.fuzz import x509
from tests.fuzz.seeds import wholes
from tests.fuzz.stand_ins import SILENT
from tests.fuzz.target import Target, require
from tests.fuzz.words import JSON_WORDS
from tests.fuzz.world import DEVICE


def _ingest(data: bytes) -> None:
    """Topic, a zero byte, payload, as the hub's ingest takes them."""
    topic, _, payload = data.partition(b"\x00")
    found = read_topic(topic.decode(errors="surrogateescape"))
    if found is None:
        return
    _, leaf = found
    read = read_payload(leaf, payload)
    require(not isinstance(read, CheckIns) or 1 <= len(read.entries) <= 64, "more check-ins than a message holds")


def _ingests():
    for data in wholes("messages")():
        yield topics.checkins(DEVICE).encode() + b"\x00" + data
    for data in wholes("presence")():
        yield topics.presence(DEVICE).encode() + b"\x00" + data
    yield topics.health(DEVICE).encode() + b"\x00\xa0"


WILL = Outgoing(topic="gatelight/1/hub/presence", payload=b"away", qos=1, retain=True)


def _session() -> MqttSession:
    session = MqttSession(client_id="hub", will=WILL, keep_alive_s=30, receive_max=3, packet_bytes_max=4096)
    session.connect()
    return session


def _fed(pieces: list[bytes]) -> tuple[list[Any], str, MqttSession]:
    """What a session makes of the pieces: its events, and why it ended."""
    session, events = _session(), []
    try:
        for piece in pieces:
            events += session.receive(piece)
    except BrokerError as error:
        require(session.state is State.CLOSED, "broken, and not closed")
        return events, error.reason, session
    return events, "", session


def _mqtt(data: bytes) -> None:
    """The broker's bytes, at once and cut in two at the place that the first byte names: both must say the same."""
    if not data:
        return
    cut, data = data[0] % len(data), data[1:]
    whole, why, session = _fed([data])
    parts, why_parts, _ = _fed([data[:cut], data[cut:]])
    require(why == why_parts, "ends otherwise when it comes in two pieces")
    require(not why or len(whole) <= len(parts), "an event is lost when it comes in two pieces")
    require(why or whole == parts, "says otherwise when it comes in two pieces")
    if not why and session.state is State.READY:
        numbers = [event.packet_id for event in whole if getattr(event, "packet_id", None)]
        session.acknowledge(numbers)
        require(not session.unacknowledged, "a message that cannot be acknowledged")
        require(0 < session.keep_alive_s + 1 < 65537, "a keep-alive beyond 16 bits")


def _mqtts():
    welcome = mqtt5.ConnAckPacket(receive_max=2).write()
    yield b"\x03" + welcome
    yield b"\x05" + mqtt5.ConnAckPacket(server_keep_alive=7, reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED).write()
    message = mqtt5.PublishPacket(
        topics.presence(DEVICE), b"x", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=9, user_properties=[("a", "b")]
    ).write()
    yield b"\x07" + welcome + message + mqtt5.PublishPacket("a/b", b"y").write()
    granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
    yield b"\x20" + welcome + mqtt5.SubAckPacket(1, [granted]).write() + mqtt5.PingRespPacket().write()
    yield b"\x21" + welcome + mqtt5.PubAckPacket(1).write()
    yield b"\x22" + welcome + mqtt5.DisconnectPacket().write()


def _access(data: bytes) -> None:
    """The broker's answer about its clients: nothing may be raised, and what is sent then fits into a packet."""
    sent: list[Outgoing] = []

    def publish(messages: Any) -> bool:
        sent.extend(messages)
        return True

    control = AccessControl(publish=publish)
    control.connected()
    control.want({DEVICE: "mall-1"})
    control.take(data)
    for message in sent:
        commands = json.loads(message.payload)["commands"]
        require(1 <= len(commands) <= 40, "more commands than a message holds")


def _accesses():
    page = {"totalCount": 2, "clients": [{"username": "hub", "roles": [{"rolename": "hub"}]}, {"username": "ab"}]}
    listed = {"command": "listClients", "correlationData": "1", "data": page}
    for responses in ([listed], [{"command": "createRole", "error": "Role already exists"}], []):
        yield json.dumps({"responses": responses}).encode()
    yield json.dumps({"responses": [{"command": "deleteClient", "error": "Client not found"}, listed]}).encode()


class _Roster:
    def speaks(self, device: bytes) -> bool:
        """Half of them."""
        return device[0] < 0x80

    def find(self, _device: bytes) -> None:
        """Nobody."""


def _inbound(data: bytes) -> None:
    """Topic, a zero byte, payload, as the hub takes what devices say beside check-ins: nothing may be raised."""
    topic, _, payload = data.partition(b"\x00")
    inbound = Inbound(
        roster=_Roster(), fleet=SILENT, commands=SILENT, resolve=SILENT, clock_hint=SILENT, metrics=SILENT
    )
    inbound.take(topic.decode(errors="surrogateescape"), payload)


def _inbounds():
    for leaf, name in (("presence", "presence"), ("health", "health"), ("results", "results"), ("resolve", "queries")):
        for data in list(wholes(name)())[:6]:
            yield f"gatelight/1/d/3f/{DEVICE.hex()}/{leaf}".encode() + b"\x00" + data


HUB_TARGETS = (
    Target(
        name="ingest",
        decoder="hub.ingest.receive.read_topic, read_payload",
        check=_ingest,
        seeds=_ingests,
        bytes_max=640,
    ),
    Target(
        name="mqtt-session",
        decoder="hub.broker.wire.MqttSession.receive",
        check=_mqtt,
        seeds=_mqtts,
        bytes_max=160,
        words=(),
    ),
    Target(
        name="broker-access",
        decoder="hub.broker.access.AccessControl.take",
        check=_access,
        seeds=_accesses,
        bytes_max=320,
        words=JSON_WORDS,
    ),
    Target(
        name="inbound",
        decoder="hub.trust.inbound.Inbound.take",
        check=_inbound,
        seeds=_inbounds,
        bytes_max=320,
    ),
    Target(
        name="csr",
        decoder="hub.registry.requests.checked_csr",
        check=lambda data: checked_csr(data) and None,
        seeds=lambda: (x509.request(),),
        bytes_max=400,
        words=(),
        refuses=(RegistryError,),
    ),
)
