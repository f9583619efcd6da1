"""Gates with another MQTT library, a real Mosquitto over TLS, a real database."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from hub.broker.client import BrokerClient
from hub.deliver.aggregate import aggregate
from hub.health import Health, Metrics
from hub.ingest.directory import Directory
from hub.ingest.insist import Insist
from hub.ingest.loop import Ingest
from hub.main import mutual_tls, new_presence
from hub.model import AuditEntry, DeviceState, Gate, Place
from hub.store.errors import StoreWriteError
from hub.store.sqlite import open_store
from protocol import topics

pytestmark = [pytest.mark.sockets, pytest.mark.system, pytest.mark.slow]

AUDIT = AuditEntry(at_ms=0, who="test", action="test", detail="")


@pytest.fixture
async def store(tmp_path, gate):
    opened = await open_store(tmp_path / "hub.sqlite", create=True)
    await opened.add_place(Place(place_id="mall", name="Mall"), audit=AUDIT)
    await opened.add_gate(Gate(place_id="mall", gate_id="north", name="North"), audit=AUDIT)
    await opened.add_device(gate.registered(), audit=AUDIT)
    yield opened
    await opened.close()


@pytest.fixture
def hub_over(store, mosquitto, authority, hub_key):
    """A running hub without its delivering half."""
    cert, key = authority.issue("hub")

    @asynccontextmanager
    async def run():
        health, metrics = Health(), Metrics()
        broker = BrokerClient(
            host="127.0.0.1",
            port=mosquitto.port,
            tls=mutual_tls(ca=authority.ca, cert=cert, key=key),
            client_id="hub",
            filters=(topics.CHECKINS_FILTER, topics.PRESENCE_FILTER),
            presence=new_presence,
        )
        ingest = Ingest(
            broker=broker,
            store=store,
            directory=Directory(store),
            insist=Insist(health=health, metrics=metrics),
            key=hub_key,
            count=aggregate,
            stored=lambda: None,
            health=health,
            metrics=metrics,
            now_ms=lambda: 1_700_000_000_000,
        )
        tasks = [asyncio.create_task(broker.run()), asyncio.create_task(ingest.run())]
        try:
            yield SimpleNamespace(health=health, broker=broker)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return run


async def rows(store):
    found = [row async for row in store.export(place_id=None, from_ms=0, to_ms=2**60, personal=False)]
    return [(row.seq, row.hash) for row in found]


async def receipt_for(client, key, seq, wait_s=10):
    async with asyncio.timeout(wait_s):
        while (receipt := await client.receipt(key)).seq < seq:
            pass
    return receipt


async def test_a_gate_waits_for_the_hub_sends_and_gets_receipts(*, hub_over, connect_gate, store, gate, hub_key):
    gate.make(200)
    client = connect_gate(gate)
    async with hub_over():
        presence = await client.presence()
        assert presence.online
        client.send(gate.message(1, 1))
        assert (await receipt_for(client, hub_key, 1)).seq == 1
        for first in range(2, 201, 64):
            client.send(gate.message(first, min(200, first + 63)))
        receipt = await receipt_for(client, hub_key, 200)
        assert receipt.epoch == gate.epoch
    assert [seq for seq, _ in await rows(store)] == list(range(1, 201))
    assert receipt.hash == (await rows(store))[-1][1]
    gone = await client.presence()
    assert (gone.online, gone.session) == (False, presence.session)


async def test_a_restarted_hub_has_a_new_session_and_duplicates_change_nothing(
    *, hub_over, connect_gate, store, gate, hub_key
):
    gate.make(10)
    client = connect_gate(gate)
    sessions = []
    for last in (5, 10):
        async with hub_over():
            while not (presence := await client.presence()).online:
                pass
            sessions.append(presence.session)
            client.send(gate.message(1, last))
            client.send(gate.message(1, last))
            assert (await receipt_for(client, hub_key, last)).seq == last
    assert len(set(sessions)) == 2
    assert [seq for seq, _ in await rows(store)] == list(range(1, 11))


async def test_receipts_wait_for_the_commit_also_when_it_fails(
    *, eventually, hub_over, connect_gate, store, gate, hub_key, monkeypatch
):
    gate.make(3)
    client = connect_gate(gate)
    real, full = store.commit, asyncio.Event()
    attempts = []

    async def commit(change):
        attempts.append(change)
        if not full.is_set():
            raise StoreWriteError("the disk is full")
        await real(change)

    monkeypatch.setattr(store, "commit", commit)
    async with hub_over() as hub:
        await client.presence()
        client.send(gate.message(1, 3))
        await eventually(lambda: len(attempts) >= 3)
        assert client.receipts.empty()
        assert hub.broker._link.session.unacknowledged == 1
        assert hub.health.troubles() == {"database": "the disk is full"}
        full.set()
        assert (await receipt_for(client, hub_key, 3)).seq == 3
        assert hub.broker._link.session.unacknowledged == 0
        assert hub.health.troubles() == {}
    assert len(await rows(store)) == 3


async def test_a_copied_card_stops_the_device(*, eventually, hub_over, connect_gate, store, gate, hub_key):
    gate.make(5)
    twin = gate.copy()
    del twin.chain[3:]
    twin.make(4, code=bytes(16))
    client = connect_gate(gate)
    async with hub_over():
        await client.presence()
        client.send(gate.message(1, 5))
        await receipt_for(client, hub_key, 5)
        client.send(twin.message(4, 7))

        async def stopped():
            return (await store.devices())[0].state is DeviceState.QUARANTINED

        await eventually(stopped)
        client.send(gate.message(1, 5))
        await asyncio.sleep(0.5)
        assert client.receipts.empty()
    assert len(await rows(store)) == 5
    kept = await store.quarantine_list(limit=5)
    assert {(entry.reason, entry.data) for entry in kept} == {("fork", gate.chain[4]), ("fork", twin.chain[4])}


async def test_a_revocation_from_another_process_holds_within_a_second(
    *, hub_over, connect_gate, store, gate, hub_key, tmp_path
):
    gate.make(2)
    client = connect_gate(gate)
    async with hub_over():
        await client.presence()
        client.send(gate.message(1, 1))
        await receipt_for(client, hub_key, 1)
        other = await open_store(tmp_path / "hub.sqlite")
        await other.set_device_state(gate.device, state=DeviceState.REVOKED, reason="stolen", audit=AUDIT)
        await other.close()
        await asyncio.sleep(1)
        client.send(gate.message(2, 2))
        client.send(b"junk")
        await asyncio.sleep(0.5)
        assert client.receipts.empty()
    assert len(await rows(store)) == 1
    assert [head.seq for head in await store.heads()] == [1]
    assert (await store.status()).quarantined == 0


async def test_a_killed_broker_loses_nothing(*, hub_over, connect_gate, store, gate, hub_key, mosquitto):
    gate.make(6)
    first = connect_gate(gate)
    async with hub_over():
        await first.presence()
        first.send(gate.message(1, 3))
        await receipt_for(first, hub_key, 3)
        first.close()
        mosquitto.kill()
        mosquitto.start()
        second = connect_gate(gate)
        while not (await second.presence()).online:
            pass
        second.send(gate.message(2, 6))
        await receipt_for(second, hub_key, 6)
    assert [seq for seq, _ in await rows(store)] == list(range(1, 7))
