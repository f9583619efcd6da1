"""The fleet over the API and its pages: figures, filters, trust taken and given back, orders."""

from dataclasses import replace

import pytest

from hub.console.fleet.troubles import SILENT_MS, Trouble, troubles
from hub.model import AuditEntry, Device, DeviceState, Gate, MinuteCount, QuarantineEntry, Role
from hub.store.fleet_ports import SLOT_MS, DeviceHealth, DeviceSample
from hub.store.ports import IngestCommit
from hub.store.trust_ports import CommandState, DeviceSeen
from protocol.health import ClockSource, State, Supply
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Colour, Direction, Verdict

A, B, C = b"device-A", b"device-B", b"device-C"


def audit(action="test", detail=""):
    return AuditEntry(at_ms=1, who="test", action=action, detail=detail)


def seen(console, device_id=A, **changes):
    plain = DeviceSeen(
        device_id=device_id, seen_ms=console.clock.ms, online=True, firmware="1.4.0", trust_version=3, policy_version=4
    )
    return replace(plain, **changes)


def health(console, device_id=A, **changes):
    plain = DeviceHealth(
        device_id=device_id,
        heard_ms=console.clock.ms,
        at_ms=console.clock.ms + 40,
        state=State.IN_SERVICE,
        clock_trusted=True,
        clock_source=ClockSource.KERNEL,
        enabled=True,
        spool=0,
        unsent_s=None,
        frames=90_000,
        frames_dropped=3,
        scans=41,
        foreign=2,
        decoder_restarts=0,
        camera_restarts=0,
        lists=32,
        lists_stale=0,
        trust_days=29,
        thermometer_ok=None,
        refused=0,
        provisioning=0,
        board_cc=5512,
        supply=Supply.GOOD,
        disk_free_mib=21_504,
        disk_mib=29_184,
        update_failed=None,
        update_failure=None,
        frame_rate_c=1480,
        decode_us=6400,
    )
    return replace(plain, **changes)


@pytest.fixture
async def fleet(console):
    """Three scanners: A works, B has gone with check-ins in its spool, C was never heard."""
    await console.store.add_gate(Gate(place_id="mall", gate_id="G2", name="South"), audit=audit())
    for number, (device_id, place, gate, name) in enumerate(
        ((A, "mall", "G1", "north left"), (B, "mall", "G2", ""), (C, "station", "G1", "<b>hall</b>"))
    ):
        public = Ed25519SigningKey(bytes([number + 1]) * 32).public
        device = Device(
            device_id=device_id,
            place_id=place,
            gate_id=gate,
            direction=Direction.IN,
            name=name,
            cose_key=encode_key(public),
            kid=public.kid,
            state=DeviceState.ACTIVE,
            reason="",
            added_ms=1,
            changed_ms=1,
        )
        await console.store.add_device(device, audit=audit("device.add", device_id.hex()))
    gone = seen(console, B, seen_ms=console.clock.ms - SILENT_MS)
    await console.store.keep_seen((seen(console), gone))
    healths = (health(console), health(console, B, spool=12, unsent_s=900))
    slot = console.clock.ms // SLOT_MS
    sample = DeviceSample(
        device_id=A, slot=slot - 1, scans=7, spool=0, board_cc=5500, frame_rate_c=1500, decode_us=6000
    )
    await console.store.keep_fares(healths, (sample,), forget_before_slot=0)
    return console


async def test_those_with_troubles_come_first(fleet):
    program = await fleet.program(Role.OPERATOR)
    told = (await program.get("/api/v1/scanners")).json()
    assert [(each["device"], each["troubles"]) for each in told["scanners"]] == [
        (B.hex(), ["offline"]),
        (C.hex(), ["never_seen"]),
        (A.hex(), []),
    ]
    assert (told["total"], told["in_trouble"], told["standings"]["working"]) == (3, 2, 1)


async def test_one_scanner_with_everything_that_it_says(fleet):
    program = await fleet.program(Role.OPERATOR)
    told = (await program.get(f"/api/v1/scanners/{A.hex()}")).json()
    wanted = {
        "standing": "working",
        "online": True,
        "scans_hour": 7,
        "decode_ms": 6.4,
        "frame_rate": 14.8,
        "temperature": 55.12,
        "supply": "good",
        "disk_free_mib": 21_504,
        "clock_source": "kernel",
        "clock_off_ms": 40,
        "lists": 32,
        "firmware": "1.4.0",
        "certificate_days": None,
    }
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("place=mall", [B, A]),
        ("standing=offline", [B, C]),
        ("trouble=offline", [B]),
        ("trouble=any", [B, C]),
        ("text=NORTH", [A]),
        ("text=device", []),
        (f"text={C.hex()}", [C]),
        ("sort=unsent", [B, A, C]),
        ("sort=scans", [A, B, C]),
        ("sort=firmware", [C, A, B]),
        ("sort=place&limit=1&page=2", [B]),
        ("page=9", []),
    ],
)
async def test_the_table_is_searched_and_sorted(fleet, query, found):
    program = await fleet.program(Role.OPERATOR)
    told = (await program.get(f"/api/v1/scanners?{query}")).json()
    assert [each["device"] for each in told["scanners"]] == [device.hex() for device in found]


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"state": State.STORAGE_FAILED}, Trouble.STORAGE_FAILED),
        ({"frame_rate_c": 0}, Trouble.CAMERA_STALLED),
        ({"clock_trusted": False}, Trouble.CLOCK_UNTRUSTED),
        ({"unsent_s": 301}, Trouble.SPOOL_OLD),
        ({"supply": Supply.LOW}, Trouble.SUPPLY_LOW),
        ({"supply": Supply.WAS_LOW}, Trouble.SUPPLY_WAS_LOW),
        ({"disk_free_mib": 499}, Trouble.DISK_FULL),
        ({"board_cc": 8000}, Trouble.HOT),
        ({"lists_stale": 1}, Trouble.LISTS_STALE),
        ({"trust_days": 2}, Trouble.TRUST_ENDS),
        ({"thermometer_ok": False}, Trouble.THERMOMETER_FAILED),
        ({"decode_us": 150_001}, Trouble.DECODE_SLOW),
    ],
)
async def test_each_trouble_is_seen(fleet, changes, trouble):
    await fleet.store.keep_fares((health(fleet, **changes),), (), forget_before_slot=0)
    row = await fleet.store.fleet_row(A, slot=1)
    assert troubles(row, now_ms=fleet.clock.ms) == (trouble,)


async def test_old_figures_of_one_that_is_gone_say_nothing(fleet):
    row = await fleet.store.fleet_row(B, slot=1)
    assert troubles(row, now_ms=fleet.clock.ms) == (Trouble.OFFLINE,)


async def test_what_ends_soon(fleet):
    row = await fleet.store.fleet_row(A, slot=1)
    ends = replace(row, certificate_ms=fleet.clock.ms + 13 * 86_400_000)
    assert troubles(ends, now_ms=fleet.clock.ms) == (Trouble.CERTIFICATE_ENDS,)


async def test_samples_and_hours(fleet):
    program = await fleet.program(Role.OPERATOR)
    (sample,) = (await program.get(f"/api/v1/scanners/{A.hex()}/samples")).json()
    assert (sample["scans"], sample["temperature"], sample["decode_ms"]) == (7, 55.0, 6.0)
    minute = fleet.clock.ms // 60_000
    count = MinuteCount(
        place_id="mall",
        gate_id="G1",
        minute=minute,
        colour=Colour.RED,
        verdict=Verdict.REFUSE,
        direction=Direction.IN,
        n=3,
    )
    older = replace(count, minute=minute - 25 * 60)
    await fleet.store.commit(IngestCommit(received_ms=1, counts=(count, older)))
    hours = (await program.get(f"/api/v1/scanners/{A.hex()}/hours")).json()
    assert len(hours) == 24
    assert hours[-1]["colours"]["red"] == 3
    assert sum(sum(hour["colours"].values()) for hour in hours) == 3


async def test_revoking_is_asked_for_twice_and_final(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    asked = await browser.post(f"/scanners/{A.hex()}/state", data={"act": "revoke", "reason": "stolen"})
    assert "Are you sure?" in asked.text
    assert (await fleet.store.find_device(A)).state is DeviceState.ACTIVE

    done = await browser.post(f"/scanners/{A.hex()}/state", data={"act": "revoke", "reason": "stolen", "sure": "yes"})
    assert done.status_code == 303
    assert (await fleet.store.find_device(A)).state is DeviceState.REVOKED
    again = await browser.post(f"/scanners/{A.hex()}/state", data={"act": "release", "reason": ""})
    assert again.status_code == 409
    assert "final" in again.text

    told = (await browser.get("/scanners")).text
    assert A.hex() not in told
    assert A.hex() in (await browser.get("/scanners?standing=revoked")).text
    (entry,) = await fleet.store.audit_log(limit=1)
    assert (entry.action, entry.who) == ("device.revoked", "operator")


async def test_quarantine_shows_what_is_kept_and_ends(fleet):
    entry = QuarantineEntry(device_id=A, epoch=None, seq=7, reason="fork", detail="two under one number", data=b"x")
    await fleet.store.commit(IngestCommit(received_ms=1, quarantine=(entry,)))
    browser = await fleet.signed_in(Role.OPERATOR)
    await browser.post(f"/scanners/{A.hex()}/state", data={"act": "quarantine", "reason": "odd"})
    shown = (await browser.get(f"/scanners/{A.hex()}")).text
    assert "two under one number" in shown
    assert "Release from quarantine" in shown
    assert (await browser.get("/api/v1/scanners")).json()["scanners"][0]["troubles"] == ["quarantined"]
    await browser.post(f"/scanners/{A.hex()}/state", data={"act": "release"})
    assert (await fleet.store.find_device(A)).state is DeviceState.ACTIVE


async def test_taking_trust_away_needs_a_reason(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    answer = await browser.post(f"/scanners/{A.hex()}/state", data={"act": "quarantine", "reason": " "})
    assert answer.status_code == 422
    assert (await fleet.store.find_device(A)).state is DeviceState.ACTIVE


async def test_an_order_is_queued_and_its_result_shown(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    sent = await browser.post(f"/scanners/{A.hex()}/command", data={"name": "locate", "seconds": "10"})
    assert sent.status_code == 303
    (row,) = await fleet.store.device_commands(A, limit=9)
    assert (row.name, row.args, row.who) == ("locate", '{"seconds": 10}', "operator")
    await fleet.store.finish_command(
        row.command_id, state=CommandState.DONE, detail="blinked", proof=None, at_ms=5, audit=audit()
    )
    assert "blinked" in (await browser.get(f"/scanners/{A.hex()}")).text
    assert (await browser.get(f"/api/v1/commands/{row.command_id.hex()}")).json()["state"] == "done"


@pytest.mark.parametrize(
    ("name", "more"),
    [("open_once", {}), ("hold_open", {"minutes": "30"}), ("disable", {}), ("restart", {}), ("wipe", {})],
)
async def test_grave_orders_are_asked_for_twice(fleet, name, more):
    browser = await fleet.signed_in(Role.OPERATOR)
    asked = await browser.post(f"/scanners/{A.hex()}/command", data={"name": name, **more})
    assert "Are you sure?" in asked.text
    assert await fleet.store.device_commands(A, limit=9) == ()
    done = await browser.post(f"/scanners/{A.hex()}/command", data={"name": name, **more, "sure": "yes"})
    assert done.status_code == 303
    assert [row.name for row in await fleet.store.device_commands(A, limit=9)] == [name]


@pytest.mark.parametrize(
    "form",
    [
        {"name": "dance"},
        {"name": ""},
        {"name": "locate"},
        {"name": "locate", "seconds": "9999"},
        {"name": "locate", "seconds": "-1"},
        {"name": "hold_open", "minutes": "9" * 50, "sure": "yes"},
    ],
)
async def test_no_such_order(fleet, form):
    browser = await fleet.signed_in(Role.OPERATOR)
    assert (await browser.post(f"/scanners/{A.hex()}/command", data=form)).status_code == 422
    assert await fleet.store.device_commands(A, limit=9) == ()


async def test_a_wipe_shows_its_proof_and_the_scanner_is_revoked(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    await browser.post(f"/scanners/{A.hex()}/command", data={"name": "wipe", "even_unsent": "yes", "sure": "yes"})
    (row,) = await fleet.store.device_commands(A, limit=9)
    assert row.args == '{"even_unsent": true}'
    await fleet.store.finish_command(
        row.command_id,
        state=CommandState.DONE,
        detail="",
        proof=b"\xab\xcd",
        at_ms=5,
        audit=audit(),
        revoke=audit("device.revoked"),
    )
    shown = (await browser.get(f"/scanners/{A.hex()}")).text
    assert "abcd" in shown
    assert "Proof that it forgot everything" in shown
    refused = await browser.post(f"/scanners/{A.hex()}/command", data={"name": "locate", "seconds": "10"})
    assert refused.status_code == 409


async def test_evacuation_opens_every_gate_after_two_presses(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    first = await browser.post("/scanners/evacuation", data={"place": "mall", "minutes": "20"})
    assert "Open every gate now" in first.text
    assert await fleet.store.command_list(limit=9) == ()
    await browser.post("/scanners/evacuation", data={"place": "mall", "minutes": "20", "sure": "yes"})
    rows = await fleet.store.command_list(limit=9)
    assert {(row.device_id, row.name, row.args) for row in rows} == {
        (A, "hold_open", '{"minutes": 20}'),
        (B, "hold_open", '{"minutes": 20}'),
    }
    await browser.post("/scanners/evacuation", data={"place": "mall", "minutes": "0", "sure": "yes"})
    assert {row.name for row in (await fleet.store.command_list(limit=2))} == {"close"}


async def test_one_that_cannot_be_told_does_not_keep_the_others_shut(fleet):
    program = await fleet.program(Role.OPERATOR)
    for _ in range(16):
        await program.post("/api/v1/commands", json={"device": A.hex(), "name": "enable"})
    done = (await program.post("/api/v1/commands/place", json={"place": "mall", "minutes": 5})).json()
    assert [each["device"] for each in done["commands"]] == [B.hex()]
    assert list(done["failed"]) == [A.hex()]


async def test_a_place_without_scanners(fleet):
    program = await fleet.program(Role.OPERATOR)
    assert (await program.post("/api/v1/commands/place", json={"place": "nowhere"})).status_code == 409


@pytest.mark.parametrize("role", [Role.RESPONSIBLE, Role.ATTENDANT, Role.AUDITOR])
async def test_others_see_no_scanner(fleet, role):
    program = await fleet.program(role)
    for path in ("scanners", f"scanners/{A.hex()}", "enrolments", "commands"):
        assert (await program.get(f"/api/v1/{path}")).status_code == 403
    browser = await fleet.signed_in(role)
    assert (await browser.get("/scanners")).status_code == 403


async def test_who_is_not_there(fleet):
    program = await fleet.program(Role.OPERATOR)
    nobody = "0" * 16
    for path in ("", "/samples", "/hours", "/papers", "/evidence", "/acts"):
        assert (await program.get(f"/api/v1/scanners/{nobody}{path}")).status_code == 404
    assert (await program.get("/api/v1/scanners/XYZ")).status_code == 422
    assert (await program.post(f"/api/v1/scanners/{nobody}/revoke", json={"reason": "x"})).status_code == 404
    assert (await program.post("/api/v1/commands", json={"device": nobody, "name": "enable"})).status_code == 409
    assert (await program.get(f"/api/v1/commands/{'0' * 32}")).status_code == 404
    browser = await fleet.signed_in(Role.OPERATOR)
    assert (await browser.get(f"/scanners/{nobody}")).status_code == 404
    assert (await browser.post(f"/scanners/{nobody}/command", data={"name": "enable"})).status_code in {404, 409}


async def test_names_of_others_are_text(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    shown = (await browser.get("/scanners?text=<script>alert(1)</script>&sort=nonsense&standing=x&trouble=y")).text
    assert "<script>alert" not in shown
    assert "<b>hall" not in (await browser.get("/scanners")).text


async def test_the_page_of_one_tells_what_was_done_to_it(fleet):
    browser = await fleet.signed_in(Role.OPERATOR)
    shown = await browser.get(f"/scanners/{A.hex()}")
    assert shown.status_code == 200
    assert "device.add" in shown.text
    assert "55.1 °C" in shown.text


async def test_who_looks_at_the_same_time_reads_once(fleet, monkeypatch):
    program, reads = await fleet.program(Role.OPERATOR), []
    plain = fleet.store.fleet

    async def count(*, slot):
        reads.append(slot)
        return await plain(slot=slot)

    monkeypatch.setattr(fleet.store, "fleet", count)
    for _ in range(3):
        await program.get("/api/v1/scanners")
    assert len(reads) == 1
    fleet.clock.pass_s(3)
    await program.get("/api/v1/scanners")
    assert len(reads) == 2
    await program.post(f"/api/v1/scanners/{A.hex()}/revoke", json={"reason": "lost"})
    assert A.hex() not in [each["device"] for each in (await program.get("/api/v1/scanners")).json()["scanners"]]
