"""Stories of the whole loop with a store in memory."""

import random

import pytest

import hub.ingest.verify as stage
from hub.model import DeviceState
from hub.store.enrol_ports import StoredKey
from hub.store.errors import HeadConflictError
from protocol import familiar
from protocol.checkin import GENESIS, encode_message, hash_of
from protocol.keys import encode_key


async def test_receipts_follow_the_commit(site, gate):
    gate.make(3)
    receipts = await site.run((gate.topic(), gate.message(1, 3)))
    receipt = receipts[gate.device]
    assert (receipt.epoch, receipt.seq, receipt.hash) == (gate.epoch, 3, hash_of(gate.chain[2]))
    assert site.store.stored(gate) == gate.chain
    assert site.broker.acknowledged == [1]
    assert site.stored == 1
    assert sum(count.n for count in site.store.counts) == 3


async def test_nothing_leaves_before_the_commit_and_a_full_disk_loses_nothing(site, gate):
    gate.make(2)
    site.store.failures = 3
    seen = []
    site.on_sleep = lambda: seen.append(
        (list(site.broker.acknowledged), len(site.broker.published), site.health.troubles())
    )
    await site.run((gate.topic(), gate.message(1, 2)))
    assert seen == [([], 0, {"database": "the disk is full"})] * 3
    assert site.slept_s == sorted(site.slept_s)
    assert site.store.stored(gate) == gate.chain
    assert site.broker.acknowledged == [1]
    assert site.health.troubles() == {}
    assert site.metric("store_failures_total") == 3


async def test_many_messages_are_one_commit_and_one_receipt_a_device(site, gate, make_gate):
    other = make_gate("other")
    site.store.register(other)
    await site.ingest.load()
    gate.make(9)
    other.make(2)
    receipts = await site.run(
        (gate.topic(), gate.message(1, 3)),
        (other.topic(), other.message(1, 2)),
        (gate.topic(), gate.message(4, 6)),
        (gate.topic(), gate.message(7, 9)),
    )
    assert len(site.store.commits) == 1
    assert {device: receipt.seq for device, receipt in receipts.items()} == {gate.device: 9, other.device: 2}
    assert site.broker.acknowledged == [1, 2, 3, 4]
    assert len(site.store.commits[0].heads) == 2


async def test_what_a_device_sent_one_by_one_costs_one_signature_check(site, gate, make_gate, monkeypatch):
    other = make_gate("other")
    site.store.register(other)
    await site.ingest.load()
    gate.make(5)
    other.make(2)
    checked = []
    real = stage.verify_checkin
    monkeypatch.setattr(stage, "verify_checkin", lambda entry, key: (checked.append(entry.data), real(entry, key=key)))
    ones = [(gate.topic(), gate.message(seq, seq)) for seq in range(1, 6)]
    await site.run(*ones[:2], (other.topic(), other.message(1, 1)), *ones[2:], (other.topic(), other.message(2, 2)))
    assert set(checked) == {gate.chain[-1], other.chain[-1]}
    assert len(checked) == 2
    assert site.store.stored(gate) == gate.chain
    assert site.store.stored(other) == other.chain


async def test_a_wrong_signature_in_a_later_message_costs_the_earlier_ones_nothing(site, gate):
    gate.make(3)
    rotten = gate.chain[2][:-1] + bytes([gate.chain[2][-1] ^ 1])
    receipts = await site.run(
        (gate.topic(), gate.message(1, 1)), (gate.topic(), gate.message(2, 2)), (gate.topic(), encode_message([rotten]))
    )
    assert receipts[gate.device].seq == 3
    assert site.store.stored(gate) == gate.chain[:2]
    assert site.metric("quarantined_total", reason="bad_signature") == 1


async def test_a_gates_check_ins_are_read_by_the_pattern_of_one_before(site, gate, monkeypatch):
    read = []
    real = familiar.parse_checkin
    monkeypatch.setattr(familiar, "parse_checkin", lambda data: (read.append(data), real(data))[1])
    gate.make(64)
    await site.run((gate.topic(), gate.message(1, 64)))
    assert site.store.stored(gate) == gate.chain
    assert len(read) < 30


async def test_a_gate_that_claims_to_be_many_takes_nobody_elses_patterns(site, gate, make_gate):
    """Patterns are learnt before a signature is looked at."""
    hostile = make_gate("hostile")
    site.store.register(hostile)
    await site.ingest.load()
    gate.make(30)
    await site.run((gate.topic(), gate.message(1, 30)))
    known = list(site.ingest._intake._familiar[gate.device]._patterns)
    claims = [make_gate(f"nobody {number}") for number in range(40)]
    for each in claims:
        each.make(1, seq=1000)
    await site.run(
        (hostile.topic(), encode_message([each.chain[0] for each in claims])),
        (make_gate("stranger").topic("presence"), b"\xff"),
        (make_gate("stranger").topic(), claims[0].message(1, 1)),
    )
    patterns = site.ingest._intake._familiar
    assert set(patterns) == {gate.device, hostile.device}
    assert patterns[gate.device]._patterns == known
    assert len(patterns[hostile.device]._patterns) <= familiar._PATTERNS_MAX


async def test_a_resend_is_received_again_without_a_commit(site, gate):
    gate.make(4)
    await site.run((gate.topic(), gate.message(1, 4)))
    receipts = await site.run((gate.topic(), gate.message(1, 4)), (gate.topic(), gate.message(2, 3)))
    assert receipts[gate.device].seq == 4
    assert len(site.store.commits) == 1
    assert site.metric("checkins_duplicate_total") == 6
    assert site.store.lookups == 0


async def test_after_a_restart_old_messages_are_compared_with_the_store(site, gate):
    gate.make(4)
    twin = gate.copy()
    del twin.chain[2:]
    twin.make(1, code=bytes(16))
    await site.run((gate.topic(), gate.message(1, 4)))
    site.start()
    await site.ingest.load()
    assert (await site.run((gate.topic(), gate.message(2, 3))))[gate.device].seq == 4
    assert site.store.lookups == 1
    assert await site.run((gate.topic(), twin.message(3, 3))) == {}
    assert site.store.registered[gate.device].state is DeviceState.QUARANTINED


async def test_a_fork_stops_the_device_and_keeps_both(site, gate):
    gate.make(2)
    twin = gate.copy()
    gate.make(2)
    twin.make(2, code=bytes(16))
    receipts = await site.run(
        (gate.topic(), gate.message(1, 3)),
        (gate.topic(), twin.message(3, 4)),
        (gate.topic(), gate.message(4, 4)),
    )
    assert receipts == {}
    assert site.store.stored(gate) == gate.chain[:3]
    assert [(entry.reason, entry.seq, entry.data) for entry in site.store.quarantine] == [
        ("fork", 3, twin.chain[2]),
        ("fork", 3, gate.chain[2]),
    ]
    device = site.store.registered[gate.device]
    assert device.state is DeviceState.QUARANTINED
    assert "fork" in device.reason
    assert site.metric("forks_total") == 1
    assert site.metric("refused_total", reason="quarantined") == 1
    assert site.broker.acknowledged == [1, 2, 3]
    assert await site.run((gate.topic(), gate.message(4, 4))) == {}


async def test_a_broken_chain_keeps_what_it_does_not_continue(site, gate):
    gate.make(2)
    gate.make(1, prev=bytes(31) + b"\1")
    await site.run((gate.topic(), gate.message(1, 2)))
    assert await site.run((gate.topic(), gate.message(3, 3))) == {}
    assert [(entry.reason, entry.seq, entry.data) for entry in site.store.quarantine] == [
        ("fork", 3, gate.chain[2]),
        ("fork", 2, gate.chain[1]),
    ]


@pytest.mark.parametrize("state", [DeviceState.REVOKED, DeviceState.QUARANTINED])
async def test_a_stopped_device_gets_no_receipt_and_no_row(site, gate, state):
    site.store.register(gate, state)
    await site.ingest.load()
    gate.make(1)
    assert await site.run((gate.topic(), gate.message(1, 1))) == {}
    assert not site.store.commits
    assert site.metric("refused_total", reason=state.value) == 1


async def test_a_revocation_by_another_process_is_seen_within_half_a_second(site, gate):
    gate.make(2)
    await site.run((gate.topic(), gate.message(1, 1)))
    site.store.register(gate, DeviceState.REVOKED)
    site.ingest._refreshed_s -= 0.5
    assert await site.run((gate.topic(), gate.message(2, 2))) == {}
    assert site.store.stored(gate) == gate.chain[:1]


async def test_an_unknown_device_leaves_no_trace_but_a_count(site, make_gate):
    stranger = make_gate("stranger")
    stranger.make(1)
    assert await site.run((stranger.topic(), stranger.message(1, 1))) == {}
    assert not site.store.commits
    assert site.metric("refused_total", reason="unknown_device") == 1


async def test_a_device_may_be_released_and_goes_on(site, gate):
    gate.make(2)
    site.store.register(gate, DeviceState.QUARANTINED)
    await site.ingest.load()
    await site.run((gate.topic(), gate.message(1, 1)))
    site.store.register(gate)
    await site.ingest.load()
    assert (await site.run((gate.topic(), gate.message(1, 2))))[gate.device].seq == 2


async def test_what_lies_too_far_ahead_is_answered_with_the_head(site, gate):
    gate.make(6)
    await site.run((gate.topic(), gate.message(1, 2)))
    receipts = await site.run((gate.topic(), gate.message(5, 6)))
    assert (receipts[gate.device].seq, receipts[gate.device].hash) == (2, hash_of(gate.chain[1]))
    assert len(site.store.commits) == 1
    assert site.metric("stopped_total") == 1


async def test_a_new_spool_that_begins_too_late_is_answered_with_zero(site, gate):
    gate.make(3)
    receipt = (await site.run((gate.topic(), gate.message(3, 3))))[gate.device]
    assert (receipt.epoch, receipt.seq, receipt.hash) == (gate.epoch, 0, GENESIS)


async def test_a_gap_that_the_device_cannot_fill_is_noted(site, gate):
    gate.make(6)
    await site.run((gate.topic(), gate.message(1, 2)))
    receipts = await site.run((gate.topic("presence"), gate.presence(5)), (gate.topic(), gate.message(5, 6)))
    assert receipts[gate.device].seq == 6
    assert [(gap.from_seq, gap.to_seq) for gap in site.store.gaps] == [(3, 4)]
    assert site.metric("gaps_total") == 1


async def test_a_new_epoch_begins_at_one_beside_the_old_one(site, gate, make_gate):
    gate.make(2)
    again = make_gate("gate", epoch="second")
    again.make(2)
    await site.run((gate.topic(), gate.message(1, 2)))
    receipt = (await site.run((again.topic(), again.message(1, 2))))[gate.device]
    assert (receipt.epoch, receipt.seq) == (again.epoch, 2)
    assert site.store.stored(gate) == gate.chain
    assert site.store.stored(again) == again.chain


async def test_what_is_no_message_is_kept_raw_and_not_receipted(site, gate):
    assert await site.run((gate.topic(), b"nonsense")) == {}
    entry = site.store.quarantine[0]
    assert (entry.device_id, entry.epoch, entry.seq, entry.data) == (gate.device, None, None, b"nonsense")
    assert site.broker.acknowledged == [1]


async def test_poison_that_nothing_places_is_asked_for_again_and_then_counts(site, gate):
    gate.make(2)
    await site.run((gate.topic(), gate.message(1, 1)))
    poison = encode_message([b"rot"])
    first = await site.run((gate.topic(), poison))
    assert first[gate.device].seq == 1
    assert not site.store.quarantine
    second = await site.run((gate.topic(), poison))
    assert (second[gate.device].seq, second[gate.device].hash) == (2, hash_of(b"rot"))
    assert [entry.reason for entry in site.store.quarantine] == ["malformed"]


async def test_poison_from_a_device_that_never_said_anything_is_kept_raw(site, gate):
    assert await site.run((gate.topic(), encode_message([b"rot"]))) == {}
    assert site.metric("refused_total", reason="unplaced") == 1
    assert site.store.quarantine[0].epoch is None


async def test_a_record_after_a_rotten_one_is_stored_also_after_a_restart(site, gate):
    gate.make(3)
    rotten = gate.chain[1][:-1] + bytes([gate.chain[1][-1] ^ 1])
    await site.run((gate.topic(), encode_message([gate.chain[0], rotten])))
    site.start()
    await site.ingest.load()
    assert (await site.run((gate.topic(), gate.message(3, 3))))[gate.device].seq == 3
    assert site.store.stored(gate) == [gate.chain[0], gate.chain[2]]


@pytest.mark.parametrize(("topic", "reason"), [("gatelight/1/other", "bad_topic"), ("presence", "bad_presence")])
async def test_other_nonsense_is_counted(site, gate, topic, reason):
    await site.run((gate.topic(topic) if topic == "presence" else topic, b"\xff"))
    assert site.metric("refused_total", reason=reason) == 1
    assert site.broker.acknowledged == [1]
    assert not site.store.commits


async def test_receipts_that_the_connection_does_not_take_are_counted(site, gate):
    gate.make(1)
    site.broker.up = False
    await site.run((gate.topic(), gate.message(1, 1)))
    assert site.metric("receipts_dropped_total") == 1
    assert site.store.stored(gate) == gate.chain


async def test_another_writer_ends_the_loop(site, gate):
    gate.make(2)
    await site.run((gate.topic(), gate.message(1, 1)))
    site.store.heads_by_spool.clear()
    with pytest.raises(HeadConflictError):
        await site.run((gate.topic(), gate.message(2, 2)))


@pytest.mark.parametrize("seed", range(12))
async def test_a_day_at_a_bad_site(make_site, make_gate, make_memory_store, hub_key, seed):
    """Messages lost and doubled, hub killed, disk full: every check-in of three gates is stored once, in order."""
    rng = random.Random(seed)
    store = make_memory_store()
    gates = [make_gate(f"gate {n}") for n in range(3)]
    for gate in gates:
        gate.make(60)
        store.register(gate)
    site = make_site(store, hub_key)
    await site.ingest.load()
    receipted = {gate.device: 0 for gate in gates}
    while any(seq < 60 for seq in receipted.values()):
        messages = []
        for gate in gates:
            start = receipted[gate.device] + 1
            for _ in range(rng.randint(0, 4)):
                end = min(60, start + rng.randint(0, 9))
                if start <= end and rng.random() > 0.2:
                    messages += [(gate.topic(), gate.message(start, end))] * rng.choice((1, 1, 2))
                start = end + 1
        store.failures = rng.choice((0, 0, 0, 2))
        for device, receipt in (await site.run(*messages)).items():
            if rng.random() > 0.3:
                receipted[device] = max(receipted[device], receipt.seq)
        if rng.random() < 0.2:
            site.start()
            await site.ingest.load()
    for gate in gates:
        assert store.stored(gate) == gate.chain
    assert not (store.quarantine)
    assert not (store.gaps)


async def test_a_rotated_key_is_taken_over_and_the_old_one_then_signs_nothing_new(site, gate, make_gate):
    older, newer = gate.key, make_gate("newer").key
    site.store.later_keys.append(
        StoredKey(kid=newer.public.kid, device_id=gate.device, cose_key=encode_key(newer.public), from_ms=1)
    )
    site.store.version += 1
    await site.ingest._intake.refresh()
    gate.make(2)
    gate.key = newer
    gate.make(2)
    # Sealed by both, in one message: the chain is one.
    assert (await site.run((gate.topic(), gate.message(1, 4))))[gate.device].seq == 4
    await site.ingest._intake.refresh()
    # A resend of what the older key signed stays a duplicate.
    assert (await site.run((gate.topic(), gate.message(1, 4))))[gate.device].seq == 4
    assert site.metric("checkins_duplicate_total") == 4
    assert site.store.quarantine == []
    # Whoever still has that key makes nothing new with it, whatever time it claims.
    thief = gate.copy()
    thief.key = older
    thief.make(1, at_ms=1_700_000_000_000)
    await site.run((gate.topic(), thief.message(5, 5)))
    assert [entry.reason for entry in site.store.quarantine] == ["ended_key"]
    assert len(site.store.stored(gate)) == 4


@pytest.mark.parametrize("cut", [[(5, 6)], [(5, 5), (6, 6)]])
async def test_an_ended_key_vouches_for_nothing(site, gate, make_gate, cut):
    """Else whoever has it makes rows that claim the newer key, and what the gate sends next is taken for a fork."""
    older, newer = gate.key, make_gate("newer").key
    site.store.later_keys.append(
        StoredKey(kid=newer.public.kid, device_id=gate.device, cose_key=encode_key(newer.public), from_ms=1)
    )
    site.store.version += 1
    await site.ingest._intake.refresh()
    gate.make(2)
    gate.key = newer
    gate.make(2)
    await site.run((gate.topic(), gate.message(1, 4)))
    await site.ingest._intake.refresh()
    thief = gate.copy()
    (forged,) = thief.make(1)
    thief.chain[4] = forged[:-1] + bytes([forged[-1] ^ 1])
    thief.key = older
    thief.make(1)
    await site.run(*((gate.topic(), thief.message(first, last)) for first, last in cut))
    assert [entry.reason for entry in site.store.quarantine] == ["bad_signature", "ended_key"]
    assert len(site.store.stored(gate)) == 4


async def test_a_key_that_was_granted_a_moment_ago_signs_at_once(site, gate, make_gate):
    gate.make(2)
    await site.run((gate.topic(), gate.message(1, 1)))
    site.ingest._refreshed_s = float("inf")
    older, gate.key = gate.key, make_gate("newer").key
    new = gate.key.public
    site.store.later_keys.append(StoredKey(kid=new.kid, device_id=gate.device, cose_key=encode_key(new), from_ms=1))
    site.store.version += 1
    gate.make(2)
    receipts = await site.run((gate.topic(), gate.message(2, 3)), (gate.topic(), gate.message(4, 4)))
    assert receipts[gate.device].seq == 4
    assert site.store.quarantine == []
    assert len(site.store.stored(gate)) == 4
    assert site.store.ended == {}, "the older key ends after the commit, not before it"
    await site.ingest._intake.refresh()
    assert set(site.store.ended) == {older.public.kid}
