"""The client against a real Mosquitto over TLS."""

import asyncio
import threading
from contextlib import asynccontextmanager

import paho.mqtt.client as paho
import pytest

from hub.broker.client import BrokerClient, Presence
from hub.broker.wire import Outgoing
from hub.main import mutual_tls

pytestmark = [pytest.mark.sockets, pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def client_of(mosquitto, authority):
    cert, key = authority.issue("hub")
    sessions = iter(range(1, 100))

    def presence():
        session = b"%d" % next(sessions)
        return Presence(
            online=Outgoing(topic="hub", payload=b"on " + session, qos=1, retain=True),
            offline=Outgoing(topic="hub", payload=b"off " + session, qos=1, retain=True),
        )

    def make(**changes):
        settings = {
            "host": "127.0.0.1",
            "port": mosquitto.port,
            "tls": mutual_tls(ca=authority.ca, cert=cert, key=key),
            "client_id": "hub",
            "filters": ("in/#",),
            "presence": presence,
        }
        return BrokerClient(**(settings | changes))

    return make


@asynccontextmanager
async def running(client):
    task = asyncio.create_task(client.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def other(mosquitto, authority):
    """Somebody else at the broker: what it sees of `hub` and `out/#`, and a way to publish."""
    cert, key = authority.issue("other")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="other", protocol=paho.MQTTv5)
    client.tls_set(str(authority.ca), str(cert), str(key))
    client.seen = []
    client.on_message = lambda _c, _d, message: client.seen.append((message.topic, message.payload))
    client.on_connect = lambda *_: client.subscribe([("hub", 1), ("out/#", 1)])
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    client.connect("127.0.0.1", mosquitto.port)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.loop_start()
    assert subscribed.wait(10)
    yield client
    client.disconnect()
    client.loop_stop()


async def receive(client, wait_s=5):
    return await client.receive(messages_max=1000, bytes_max=1 << 20, wait_s=wait_s)


async def test_messages_come_and_go_and_the_farewell_is_orderly(eventually, client_of, other):
    client = client_of()
    async with running(client):
        await eventually(lambda: client.ready)
        await eventually(lambda: ("hub", b"on 1") in other.seen)
        for n in range(50):
            other.publish("in/a", b"%d" % n, qos=1)
        got = []
        while len(got) < 50:
            got += await receive(client)
        assert [delivery.payload for delivery in got] == [b"%d" % n for n in range(50)]
        client.acknowledge(got)
        assert client.publish([Outgoing(topic="out/b", payload=b"1"), Outgoing(topic="out/b", payload=b"2")])
        await eventually(lambda: ("out/b", b"2") in other.seen)
    assert not client.ready
    await eventually(lambda: ("hub", b"off 1") in other.seen)
    assert await receive(client, wait_s=0.01) == []


async def test_it_says_again_that_it_is_there(eventually, client_of, other):
    """A broker may drop even a retained message, and gates send nothing before they have heard it."""
    client = client_of(presence_s=0.1)
    async with running(client):
        await eventually(lambda: other.seen.count(("hub", b"on 1")) >= 3)
        assert client.ready


async def test_messages_not_acknowledged_hold_the_broker_back(eventually, client_of, other, monkeypatch):
    monkeypatch.setattr("hub.broker.client._RECEIVE_MAX", 10)
    client = client_of()
    async with running(client):
        await eventually(lambda: client.ready)
        for n in range(30):
            other.publish("in/a", b"%d" % n, qos=1)
        got = []
        while len(got) < 10:
            got += await receive(client)
        assert await receive(client, wait_s=0.3) == []
        client.acknowledge(got)
        while len(got) < 30:
            taken = await receive(client)
            client.acknowledge(taken)
            got += taken
        assert [delivery.payload for delivery in got] == [b"%d" % n for n in range(30)]


async def test_a_full_inbox_stops_the_reading(eventually, client_of, other):
    client = client_of(inbox_messages=8)
    async with running(client):
        await eventually(lambda: client.ready)
        for _ in range(3000):
            other.publish("in/a", bytes(2000), qos=0)
        await eventually(lambda: len(client._inbox) >= 8)
        await asyncio.sleep(1)
        held = len(client._inbox)
        await asyncio.sleep(0.5)
        assert len(client._inbox) == held < 3000
        got = 0
        while got < 3000:
            taken = await receive(client)
            assert taken
            got += len(taken)


async def test_a_broker_that_was_killed_is_found_again_with_a_new_session(eventually, client_of, other, mosquitto):
    client = client_of()
    async with running(client):
        await eventually(lambda: client.ready)
        mosquitto.kill()
        await eventually(lambda: not client.ready)
        assert not client.publish([Outgoing(topic="out/b", payload=b"lost")])
        assert client.dropped == 1
        mosquitto.start()
        await eventually(lambda: client.ready)
        await eventually(lambda: ("hub", b"on 2") in other.seen or ("hub", b"on 3") in other.seen)
        await eventually(other.is_connected)
        other.publish("in/a", b"again", qos=1)
        assert [delivery.payload for delivery in await receive(client)] == [b"again"]


async def test_old_acknowledgements_do_not_reach_a_new_connection(eventually, client_of, other, mosquitto):
    client = client_of()
    async with running(client):
        await eventually(lambda: client.ready)
        other.publish("in/a", b"1", qos=1)
        old = await receive(client)
        mosquitto.kill()
        await eventually(lambda: not client.ready)
        mosquitto.start()
        await eventually(lambda: client.ready)
        client.acknowledge(old)
        await eventually(other.is_connected)
        other.publish("in/a", b"2", qos=1)
        client.acknowledge(await receive(client))
        assert client.ready


async def test_without_the_right_certificate_there_is_no_connection(
    eventually, client_of, foreign_authority, authority, caplog
):
    cert, key = foreign_authority.issue("hub")
    client = client_of(tls=mutual_tls(ca=authority.ca, cert=cert, key=key))
    async with running(client):
        await eventually(lambda: caplog.messages)
        assert not client.ready


async def test_a_silent_broker_is_given_up(eventually, client_of, mosquitto, monkeypatch, caplog):
    """Connected through a door that is then shut without a word."""
    monkeypatch.setattr("hub.broker.link.KEEP_ALIVE_S", 1)
    open_door = True

    pumps = []

    async def pump(reader, writer, *, door):
        try:
            while data := await reader.read(65536):
                if open_door or not door:
                    writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    async def through(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", mosquitto.port)
        pumps.extend(
            (
                asyncio.create_task(pump(reader, there_writer, door=False)),
                asyncio.create_task(pump(there_reader, writer, door=True)),
            )
        )

    server = await asyncio.start_server(through, "127.0.0.1", 0)
    client = client_of(port=server.sockets[0].getsockname()[1], keep_alive_s=1)
    async with running(client):
        await eventually(lambda: client.ready)
        await asyncio.sleep(2.5)
        assert client.ready
        open_door = False
        await eventually(lambda: any(vars(record).get("reason") == "silent" for record in caplog.records))
        assert not client.ready
    server.close()
    for task in pumps:
        task.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)
    await asyncio.sleep(0.05)
