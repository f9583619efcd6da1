"""Firmware over the API and its pages: what the mirror has, rings, and a release on its way."""

from dataclasses import replace

import pytest

from hub.firmware.bundles import Bundle
from hub.firmware.mirror import Contents, Mirror
from hub.model import Role
from hub.store.firmware_ports import Outcome, RolloutState, Told
from protocol.health import UpdateFailure

from .test_scanners import A, B, fleet, health, seen  # noqa: F401 - `fleet` is a fixture

DAY_MS = 86_400_000
STAGE = {"version": "0.2.0"}


@pytest.fixture
async def mirror(console, tmp_path):
    """A mirror with one release, behind the console."""
    made = Mirror(tmp_path)
    bundle = Bundle(version="0.2.0", release=2_000, platform="trixie-aarch64", size_bytes=5 << 20, sha256="ab" * 32)
    plain = Contents(
        bundles=(bundle,), root_version=1, targets_version=1, timestamp_version=1,
        expires_ms=console.clock.ms + 30 * DAY_MS, imported_ms=console.clock.ms,
    )  # fmt: skip
    made.write_index(plain)
    console.become(replace(console.site, mirror=made))
    return made


async def told(console, *rows):
    """These were told in the newest rollout."""
    rollout = await console.store.newest_rollout()
    now_ms = console.clock.ms
    assert await console.store.move_rollout(
        rollout,
        expected=rollout.state,
        told=[
            Told(
                device_id=device, command_id=bytes(16), tries=1, was_failing=False, told_ms=now_ms, outcome=outcome,
                reason=reason, outcome_ms=now_ms,
            )
            for device, outcome, reason in rows
        ],
    )  # fmt: skip


async def state(console):
    return (await console.store.newest_rollout()).state


async def test_a_console_without_a_mirror_says_so(console):
    program = await console.program(Role.OPERATOR)
    assert (await program.get("/api/v1/firmware")).json() == {"mirror": None, "rings": [], "rollout": None}
    assert (await program.get("/api/v1/firmware/told")).json() == []
    browser = await console.signed_in(Role.OPERATOR)
    assert "This hub has no mirror" in (await browser.get("/firmware")).text
    answer = await program.post("/api/v1/firmware/rollout", json=STAGE)
    assert (answer.status_code, answer.json()["error"]) == (422, "malformed")
    assert "the mirror is empty" in answer.json()["what"]


async def test_the_mirror_the_rings_and_their_versions(console, mirror, fleet):  # noqa: F811
    await console.store.keep_seen((seen(console), seen(console, B, firmware="0.1.0")))
    program = await console.program(Role.OPERATOR)
    assert (await program.put(f"/api/v1/firmware/rings/{A.hex()}", json={"ring": 0})).status_code == 200
    found = (await program.get("/api/v1/firmware")).json()
    assert found["mirror"]["bundles"] == [
        {"version": "0.2.0", "platform": "trixie-aarch64", "bytes": 5 << 20, "sha256": "ab" * 32}
    ]
    assert not found["mirror"]["expired"]
    assert [(ring["ring"], ring["devices"], ring["versions"]) for ring in found["rings"]] == [
        (0, 1, {"1.4.0": 1}),
        (1, 2, {"": 1, "0.1.0": 1}),
    ]
    assert (await program.get(f"/api/v1/scanners/{A.hex()}")).json()["ring"] == 0
    page = (await (await console.signed_in(Role.OPERATOR)).get("/firmware")).text
    assert "5.0 MiB" in page
    assert "0.1.0 × 1" in page


async def test_a_release_is_staged_halted_resumed_and_cancelled_by_a_program(console, mirror, fleet):  # noqa: F811
    program = await console.program(Role.OPERATOR)
    made = (await program.post("/api/v1/firmware/rollout", json=STAGE | {"soak_min": 5, "place": "mall"})).json()
    assert (made["rollout"], made["version"], made["state"], made["place"]) == (1, "0.2.0", "running", "mall")
    assert (made["soak_min"], made["failures_max"], made["patience_min"], made["who"]) == (5, 0, 40, "operator")
    assert [ring["devices"] for ring in made["rings"]] == [2]
    assert (await program.post("/api/v1/firmware/rollout", json=STAGE)).status_code == 409
    wrong = await program.post("/api/v1/firmware/rollout/halt", json={"rollout": 2})
    assert (wrong.status_code, wrong.json()["error"]) == (409, "conflict")
    halted = await program.post("/api/v1/firmware/rollout/halt", json={"rollout": 1, "reason": "lunch"})
    assert (halted.json()["state"], halted.json()["reason"]) == ("halted", "lunch")
    await told(console, (A, Outcome.FAILED, "unhealthy"))
    (one,) = (await program.get("/api/v1/firmware/told")).json()
    assert (one["device"], one["outcome"], one["reason"]) == (A.hex(), "failed", "unhealthy")
    resumed = await program.post(
        "/api/v1/firmware/rollout/resume", json={"rollout": 1, "failures_max": 2, "retry": True}
    )
    assert (resumed.json()["state"], resumed.json()["failures_max"]) == ("running", 2)
    assert (await program.get("/api/v1/firmware/told")).json() == []
    cancelled = await program.post("/api/v1/firmware/rollout/cancel", json={"rollout": 1})
    assert cancelled.json()["state"] == "cancelled"
    log = await console.store.audit_log(limit=9)
    assert [entry.action for entry in log if entry.action.startswith("firmware.")] == [
        "firmware.cancel", "firmware.resume", "firmware.halt", "firmware.stage",
    ]  # fmt: skip
    assert {entry.who for entry in log if entry.action.startswith("firmware.")} == {"operator"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("rollout", {"version": "0.3.0"}, 422),
        ("rollout", {"version": "0.2"}, 422),
        ("rollout", STAGE | {"soak_min": 10_081}, 422),
        ("rollout", STAGE | {"patience_min": 1}, 422),
        ("rollout", STAGE | {"place": "airport"}, 422),
        ("rollout", STAGE | {"more": 1}, 422),
        ("rollout/halt", {"rollout": 1}, 409),
        ("rollout/resume", {"rollout": 1}, 409),
        ("rollout/cancel", {"rollout": 1}, 409),
    ],
)
async def test_what_cannot_be_done_is_refused(console, mirror, path, body, status):
    program = await console.program(Role.OPERATOR)
    assert (await program.post(f"/api/v1/firmware/{path}", json=body)).status_code == status
    assert await console.store.newest_rollout() is None


async def test_a_scanner_that_is_not_there_is_in_no_ring(console, fleet):  # noqa: F811
    program = await console.program(Role.OPERATOR)
    assert (await program.put(f"/api/v1/firmware/rings/{'00' * 8}", json={"ring": 0})).status_code == 404
    assert (await program.put(f"/api/v1/firmware/rings/{A.hex()}", json={"ring": 10})).status_code == 422


async def test_the_page_asks_for_everything_twice(console, mirror, fleet):  # noqa: F811
    browser = await console.signed_in(Role.OPERATOR)
    form = {"version": "0.2.0", "soak_min": "7", "failures_max": "1", "patience_min": "30", "place": ""}
    sure = await browser.post("/firmware/stage", data=form)
    assert "Are you sure?" in sure.text
    assert 'name="soak_min" value="7"' in sure.text
    assert await console.store.newest_rollout() is None
    done = await browser.post("/firmware/stage", data=form | {"sure": "yes"})
    assert (done.status_code, done.headers["location"]) == (303, "/firmware")
    rollout = await console.store.newest_rollout()
    assert (rollout.soak_min, rollout.failures_max, rollout.patience_min) == (7, 1, 30)
    for act, after, more in (
        ("halt", RolloutState.HALTED, {"reason": "lunch"}),
        ("resume", RolloutState.RUNNING, {"retry": "true", "failures_max": "3"}),
        ("cancel", RolloutState.CANCELLED, {}),
    ):
        before, asked = await state(console), {"rollout": "1"} | more
        assert "Are you sure?" in (await browser.post(f"/firmware/{act}", data=asked)).text
        assert await state(console) is before
        assert (await browser.post(f"/firmware/{act}", data=asked | {"sure": "yes"})).status_code == 303
        assert await state(console) is after
    assert (await console.store.newest_rollout()).failures_max == 3


async def test_what_failed_stands_on_the_page_with_its_reason(console, mirror, fleet):  # noqa: F811
    program = await console.program(Role.OPERATOR)
    await program.post("/api/v1/firmware/rollout", json=STAGE)
    await told(console, (A, Outcome.FAILED, "unhealthy"), (B, Outcome.UNABLE, "<script>"))
    rollout = await console.store.newest_rollout()
    halted = replace(rollout, state=RolloutState.HALTED, reason="failures")
    await console.store.move_rollout(halted, expected=RolloutState.RUNNING)
    page = (await (await console.signed_in(Role.OPERATOR)).get("/firmware")).text
    assert "More scanners have failed than may." in page
    assert "It ran the release, was not well in time, and went back by itself." in page
    assert "&lt;script&gt;" in page
    assert "north left" in page


async def test_a_refusal_comes_back_on_the_page(console, mirror, fleet):  # noqa: F811
    browser = await console.signed_in(Role.OPERATOR)
    again = await browser.post("/firmware/stage", data={"version": "0.3.0", "sure": "yes"})
    assert (again.status_code, "no bundle of 0.3.0" in again.text) == (422, True)
    again = await browser.post("/firmware/halt", data={"rollout": "1", "sure": "yes"})
    assert (again.status_code, "no rollout" in again.text) == (409, True)
    again = await browser.post("/firmware/cancel", data={})
    assert again.status_code == 422


async def test_a_mirror_that_has_ended_is_said_and_nothing_is_staged_from_it(console, mirror):
    console.clock.ms += 31 * DAY_MS
    page = (await (await console.signed_in(Role.OPERATOR)).get("/firmware")).text
    assert "Scanners refuse it" in page
    assert 'action="/firmware/stage"' not in page


async def test_who_may_only_look_gets_no_buttons(console, mirror, fleet):  # noqa: F811
    operator = (await (await console.signed_in(Role.OPERATOR)).get("/firmware")).text
    assert 'action="/firmware/stage"' in operator
    for role in (Role.RESPONSIBLE, Role.ATTENDANT, Role.AUDITOR):
        assert (await (await console.signed_in(role)).get("/firmware")).status_code == 403


async def test_a_scanners_page_shows_its_ring_and_the_update_that_failed(console, fleet):  # noqa: F811
    await console.store.keep_seen((seen(console),))
    failed = health(console, update_failed=2_000, update_failure=UpdateFailure.UNFIT)
    await console.store.keep_fares((failed,), (), forget_before_slot=0)
    program = await console.program(Role.OPERATOR)
    found = (await program.get(f"/api/v1/scanners/{A.hex()}")).json()
    assert (found["update_failed"], found["update_failure"], found["ring"]) == ("0.2.0", "unfit", 1)
    assert "update_failed" in found["troubles"]
    browser = await console.signed_in(Role.OPERATOR)
    page = (await browser.get(f"/scanners/{A.hex()}")).text
    assert "0.2.0: There is no bundle for this machine, or no room for it." in page
    assert "0.2.0" in (await browser.get("/scanners")).text
    moved = await browser.post(f"/firmware/rings/{A.hex()}", data={"ring": "0"})
    assert (moved.status_code, moved.headers["location"]) == (303, f"/scanners/{A.hex()}")
    assert await console.store.rings() == {A: 0}
    assert (await browser.post(f"/firmware/rings/{A.hex()}", data={"ring": "x"})).status_code == 422


async def test_one_scanner_is_told_from_its_page(console, fleet):  # noqa: F811
    browser = await console.signed_in(Role.OPERATOR)
    path, form = f"/scanners/{A.hex()}/command", {"name": "update", "version": "0.2.0"}
    assert "Are you sure?" in (await browser.post(path, data=form)).text
    wrong = await browser.post(path, data=form | {"version": "two"})
    assert (wrong.status_code, "A version is three numbers" in wrong.text) == (422, True)
    assert (await browser.post(path, data=form | {"sure": "yes"})).status_code == 303
    (row,) = await console.store.command_list(limit=9)
    assert (row.name, row.args) == ("update", '{"release": 2000}')
