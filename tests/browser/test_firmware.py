"""An operator sends a release on its way, sees it fail, and decides."""

from dataclasses import replace

from playwright.async_api import expect

from hub.firmware.bundles import Bundle
from hub.firmware.mirror import Contents, Mirror
from hub.model import Role
from hub.store.firmware_ports import Outcome, RolloutState, Told
from tests.browser.test_scanners import add_fleet

DAY_MS = 86_400_000
STREAM_MS = 20_000
"""It looks every 5 s."""


async def with_mirror(console, folder):
    """Two releases for three platforms."""
    mirror, now_ms = Mirror(folder), console.site.now_ms()
    bundles = tuple(
        Bundle(version=version, release=release, platform=platform, size_bytes=41 << 20, sha256="3f9a" * 16)
        for version, release in (("0.2.1", 2_001), ("0.2.0", 2_000))
        for platform in ("bookworm-aarch64", "sandbox", "trixie-aarch64")
    )
    plain = Contents(
        bundles=bundles, root_version=1, targets_version=4, timestamp_version=9, expires_ms=now_ms + 25 * DAY_MS,
        imported_ms=now_ms,
    )  # fmt: skip
    mirror.write_index(plain)
    console.become(replace(console.site, mirror=mirror))


async def fails(console):
    """The first of the scanners went back, the second does not know how; and so it halted."""
    rollout, now_ms = await console.store.newest_rollout(), console.site.now_ms()
    first, second, *_ = await console.store.devices()
    told = [
        Told(
            device_id=device.device_id, command_id=bytes(16), tries=1, was_failing=False, told_ms=now_ms,
            outcome=outcome, reason=reason, outcome_ms=now_ms,
        )
        for device, outcome, reason in (
            (first, Outcome.FAILED, "unhealthy"),
            (second, Outcome.UNABLE, "no_answer"),
        )
    ]  # fmt: skip
    halted = replace(rollout, state=RolloutState.HALTED, reason="failures", moved_ms=now_ms)
    assert await console.store.move_rollout(halted, expected=RolloutState.RUNNING, told=told)


async def test_a_release_is_sent_on_its_way_halts_and_is_cancelled(stage, tmp_path):
    await with_mirror(stage.console, tmp_path)
    await add_fleet(stage.console)
    page = await stage.page(Role.OPERATOR)
    await page.goto("/")
    await page.get_by_role("link", name=stage.say("Firmware"), exact=True).click()
    await expect(page.get_by_role("heading", name=stage.say("Firmware"), exact=True)).to_be_visible()
    await stage.check(page, "firmware")
    await page.get_by_label(stage.say("Version"), exact=True).select_option("0.2.1")
    await page.get_by_label(stage.say("Watch each ring, minutes")).fill("15")
    await page.get_by_role("button", name=stage.say("Send it on its way")).click()
    await expect(page.get_by_role("heading", name=stage.say("Are you sure?"))).to_be_visible()
    await stage.check(page, "firmware-sure")
    await page.get_by_role("button", name=stage.say("Yes, do it")).click()
    await expect(page.get_by_role("button", name=stage.say("Halt"))).to_be_visible()
    rollout = await stage.console.store.newest_rollout()
    assert (rollout.release, rollout.soak_min) == (2_001, 15)
    await fails(stage.console)
    # It comes by itself, without asking for the page anew.
    await expect(page.get_by_text(stage.say("More scanners have failed than may."))).to_be_visible(timeout=STREAM_MS)
    await page.reload()
    why = stage.say("It ran the release, was not well in time, and went back by itself.")
    await expect(page.get_by_text(why)).to_be_visible()
    await stage.check(page, "firmware-halted")
    await page.get_by_role("button", name=stage.say("Cancel it")).click()
    await page.get_by_role("button", name=stage.say("Yes, do it")).click()
    await expect(page.locator(".badge", has_text=stage.say("Cancelled"))).to_be_visible()
    assert (await stage.console.store.newest_rollout()).state is RolloutState.CANCELLED


async def test_a_scanner_is_put_into_the_first_ring_on_its_own_page(stage):
    await add_fleet(stage.console)
    page = await stage.page(Role.OPERATOR)
    device = (await stage.console.store.devices())[0].device_id
    await page.goto(f"/scanners/{device.hex()}")
    await page.get_by_label(stage.say("When it gets a release")).select_option("0")
    await page.get_by_role("button", name=stage.say("Save")).click()
    await expect(page.get_by_label(stage.say("When it gets a release"))).to_have_value("0")
    assert await stage.console.store.rings() == {device: 0}
    await stage.check(page, "scanner-ring")
