"""A device that means harm: how much it can make the hub keep, and what happens then."""

import asyncio

import pytest

import hub.ingest.bounds as module
from hub.ingest.bounds import Kept, passed
from hub.model import AuditEntry, DeviceState, Gate, Place
from hub.store.sqlite import open_store
from protocol.checkin import encode_message, hash_of
from protocol.limits import INT64_MAX

AUDIT = AuditEntry(at_ms=0, who="test", action="test", detail="")


def broken(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def state_of(site, gate):
    return site.store.registered[gate.device].state


@pytest.fixture
async def real_site(tmp_path, gate, hub_key, make_site):
    """The loop over a real database."""
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    await store.add_place(Place(place_id="mall", name="Mall"), audit=AUDIT)
    await store.add_gate(Gate(place_id="mall", gate_id="north", name="North"), audit=AUDIT)
    await store.add_device(gate.registered(), audit=AUDIT)
    site = make_site(store, hub_key)
    await site.ingest.load()
    yield site
    await store.close()


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (Kept(quarantined=10_000, gaps=1_000, epochs=64), None),
        (Kept(quarantined=10_001, gaps=0, epochs=1), "quarantine_full"),
        (Kept(quarantined=0, gaps=1_001, epochs=1), "gaps_full"),
        (Kept(quarantined=0, gaps=0, epochs=65), "epochs_full"),
    ],
)
def test_each_bound_has_a_reason(kept, reason):
    assert passed(kept) == reason


async def test_a_full_quarantine_stops_the_device_and_receipts_nothing_that_was_not_kept(site, gate, monkeypatch):
    monkeypatch.setattr(module, "QUARANTINE_ROWS", 2)
    gate.make(6)
    sent = [data if at % 2 else broken(data) for at, data in enumerate(gate.chain)]
    receipts = await site.run((gate.topic(), encode_message(sent[:4])))
    assert receipts[gate.device].seq == 4
    assert await site.run((gate.topic(), encode_message(sent[4:]))) == {}
    assert (len(site.store.quarantine), len(site.store.rows)) == (2, 2)
    assert site.store.heads_by_spool[gate.device, gate.epoch].seq == 4
    assert state_of(site, gate) is DeviceState.QUARANTINED
    assert site.store.registered[gate.device].reason.startswith("quarantine_full")
    assert site.metric("bounds_passed_total", reason="quarantine_full") == 1
    assert site.metric("forks_total") == 0


async def test_a_released_device_goes_on_once_there_is_room_again(site, gate, monkeypatch):
    monkeypatch.setattr(module, "QUARANTINE_ROWS", 1)
    gate.make(4)
    sent = [broken(gate.chain[0]), gate.chain[1], broken(gate.chain[2]), gate.chain[3]]
    await site.run((gate.topic(), encode_message(sent[:2])))
    assert await site.run((gate.topic(), encode_message(sent[2:]))) == {}
    site.store.quarantine.clear()
    site.store.register(gate)
    await site.ingest.load()
    assert (await site.run((gate.topic(), encode_message(sent[2:]))))[gate.device].seq == 4


async def test_a_full_quarantine_does_not_stop_a_gate_that_adds_nothing_to_it(site, gate, monkeypatch):
    monkeypatch.setattr(module, "QUARANTINE_ROWS", 1)
    gate.make(4)
    await site.run((gate.topic(), b"junk"))
    monkeypatch.setattr(module, "QUARANTINE_ROWS", 0)
    receipts = await site.run((gate.topic("presence"), gate.presence(3)), (gate.topic(), gate.message(3, 4)))
    assert receipts[gate.device].seq == 4


async def test_the_share_is_counted_within_one_micro_batch_too(site, gate, monkeypatch):
    monkeypatch.setattr(module, "QUARANTINE_ROWS", 2)
    receipts = await site.run(*((gate.topic(), b"junk %d" % n) for n in range(5)))
    assert receipts == {}
    assert len(site.store.quarantine) == 2
    assert state_of(site, gate) is DeviceState.QUARANTINED
    assert site.metric("refused_total", reason="quarantined") == 2


async def test_a_neighbour_is_not_stopped_by_anothers_flood(site, gate, make_gate, monkeypatch):
    monkeypatch.setattr(module, "QUARANTINE_ROWS", 1)
    other = make_gate("other")
    site.store.register(other)
    await site.ingest.load()
    other.make(1)
    flood = [(gate.topic(), b"junk %d" % n) for n in range(5)]
    assert (await site.run(*flood, (other.topic(), other.message(1, 1))))[other.device].seq == 1
    assert state_of(site, other) is DeviceState.ACTIVE


async def test_new_epochs_without_end_stop_the_device(site, gate, make_gate, monkeypatch):
    monkeypatch.setattr(module, "EPOCHS", 3)
    spools = [make_gate("gate", epoch=f"epoch {n}") for n in range(5)]
    for spool in spools:
        spool.make(2)
    for spool in spools[:3]:
        assert (await site.run((spool.topic(), spool.message(1, 1))))[gate.device].seq == 1
    assert await site.run((gate.topic(), spools[3].message(1, 1))) == {}
    assert len(site.store.heads_by_spool) == 3
    assert state_of(site, gate) is DeviceState.QUARANTINED
    assert site.metric("bounds_passed_total", reason="epochs_full") == 1
    site.store.register(gate)
    site.start()
    await site.ingest.load()
    assert (await site.run((gate.topic(), spools[0].message(1, 2))))[gate.device].seq == 2
    assert await site.run((gate.topic(), spools[4].message(1, 1))) == {}


async def test_epochs_that_are_only_claimed_cost_nothing(site, gate, make_gate, monkeypatch):
    monkeypatch.setattr(module, "EPOCHS", 1)
    for n in range(5):
        spool = make_gate("gate", epoch=f"epoch {n}")
        spool.make(3)
        assert (await site.run((spool.topic(), spool.message(3, 3))))[gate.device].seq == 0
    assert not site.store.heads_by_spool
    assert state_of(site, gate) is DeviceState.ACTIVE


async def test_a_device_that_lies_about_its_oldest_makes_gaps_up_to_a_bound(site, gate, monkeypatch):
    monkeypatch.setattr(module, "GAPS", 2)
    gate.make(9)
    for seq in (3, 6):
        receipts = await site.run((gate.topic("presence"), gate.presence(seq)), (gate.topic(), gate.message(seq, seq)))
        assert receipts[gate.device].seq == seq
    assert await site.run((gate.topic("presence"), gate.presence(9)), (gate.topic(), gate.message(9, 9))) == {}
    assert [(gap.from_seq, gap.to_seq) for gap in site.store.gaps] == [(1, 2), (4, 5)]
    assert site.store.registered[gate.device].reason.startswith("gaps_full")


async def test_a_presence_that_outlived_its_device_makes_no_gap(site, gate):
    gate.make(6)
    await site.run((gate.topic(), gate.message(1, 2)))
    left_behind = gate.presence(5, online=False)
    receipts = await site.run((gate.topic("presence"), left_behind), (gate.topic(), gate.message(5, 6)))
    assert receipts[gate.device].seq == 2
    assert not site.store.gaps
    assert (await site.run((gate.topic(), gate.message(3, 6))))[gate.device].seq == 6


async def test_what_comes_after_its_gap_was_noted_is_kept_and_not_only_receipted(real_site, gate):
    """The device said that it no longer had them, and was wrong: a power cut brought them back."""
    gate.make(8)
    await real_site.run((gate.topic("presence"), gate.presence(5)), (gate.topic(), gate.message(5, 8)))
    for restarted in (False, True):
        if restarted:
            real_site.start()
            await real_site.ingest.load()
        assert (await real_site.run((gate.topic(), gate.message(2, 7))))[gate.device].seq == 8
        kept = await real_site.store.quarantine_list(limit=9)
        assert sorted((row.seq, row.reason, row.data) for row in kept) == [
            (seq, "late", gate.chain[seq - 1]) for seq in (2, 3, 4)
        ]
    assert (await real_site.store.status()).rows == 4
    assert (await real_site.store.devices())[0].state is DeviceState.ACTIVE


async def test_the_last_number_there_is_blocks_nobody(real_site, gate):
    """What follows it fits no database: such a commit would fail for ever, and every gate would wait behind it."""
    (last,) = gate.make(1, seq=INT64_MAX)
    async with asyncio.timeout(5):
        receipts = await real_site.run(
            (gate.topic("presence"), gate.presence(INT64_MAX)),
            (gate.topic(), encode_message([last, b"rot"])),
        )
        assert (receipts[gate.device].seq, receipts[gate.device].hash) == (INT64_MAX, hash_of(last))
        for _ in range(2):
            assert (await real_site.run((gate.topic(), encode_message([b"rot"]))))[gate.device].seq == INT64_MAX


async def test_a_fork_keeps_both_as_evidence_until_retention_and_is_known_after_it(real_site, gate):
    store = real_site.store
    gate.make(3)
    twin = gate.copy()
    del twin.chain[1:]
    twin.make(1, code=bytes(16))
    await real_site.run((gate.topic(), gate.message(1, 3)))
    assert await real_site.run((gate.topic(), twin.message(2, 2))) == {}
    kept = await store.quarantine_list(limit=9)
    assert {(row.seq, row.reason, row.data) for row in kept} == {
        (2, "fork", gate.chain[1]),
        (2, "fork", twin.chain[1]),
    }

    await store.fix_batch(batch_id=bytes(16), first_id=1, last_id=3, skipped=(), made_ms=0)
    await store.mark_receipted(bytes(16), receipt=b"r", rejected=(), now_ms=0)
    assert await store.forget_personal(received_before_ms=INT64_MAX, limit_batches=9) == 1
    await store.set_device_state(gate.device, state=DeviceState.ACTIVE, reason="", audit=AUDIT)
    real_site.start()
    await real_site.ingest.load()
    assert (await real_site.run((gate.topic(), gate.message(1, 3))))[gate.device].seq == 3
    again = gate.copy()
    del again.chain[2:]
    again.make(1, code=b"\1" * 16)
    assert await real_site.run((gate.topic(), again.message(3, 3))) == {}
    assert (await store.devices())[0].state is DeviceState.QUARANTINED
    newest = (await store.quarantine_list(limit=9))[0]
    assert (newest.seq, newest.data) == (3, again.chain[2])
    assert gate.chain[2] not in [row.data for row in await store.quarantine_list(limit=9)]
    assert hash_of(gate.chain[2]).hex() in newest.detail
