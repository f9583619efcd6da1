"""Firmware: what the mirror has, the rings, and a release on its way through them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, Shape, TimeMs
from hub.console.errors import NotFoundError
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.firmware import changes
from hub.firmware.mirror import Contents
from hub.firmware.units import RingCount, counts_of
from hub.registry.checks import REASON_CHARS
from hub.store.firmware_ports import RINGS, Outcome, Rollout, RolloutState
from hub.store.fleet_ports import SLOT_MS
from protocol.release import version_of

ROUTER = APIRouter(prefix="/firmware", tags=["Firmware"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]
DeviceId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
Seen = Annotated[int, Field(ge=1, lt=2**53, description="The rollout that was seen; another one is a conflict.")]
Version = Annotated[str, Field(max_length=11, pattern=r"^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$")]
Failures = Annotated[int, Field(ge=0, le=changes.FAILURES_MOST)]


class BundleOut(Shape):
    """One release for one platform."""

    version: str
    platform: str
    bytes: int
    sha256: str


class MirrorOut(Shape):
    """What was imported last. From `expires_ms` on scanners refuse it, until it is imported anew."""

    bundles: list[BundleOut]
    imported_ms: TimeMs
    expires_ms: TimeMs
    expired: bool


class RingOut(Shape):
    """One ring: its scanners, what they run, and how those fare that the rollout concerns."""

    ring: int
    devices: int
    versions: dict[str, int]
    running: int
    under_way: int
    waiting: int
    away: int
    failed: int
    unable: int


class RolloutOut(Shape):
    """The newest rollout. `ring` is the one whose turn it is, 10 when every ring had its turn."""

    rollout: int
    version: str
    state: RolloutState
    reason: str
    place: str
    ring: int
    soak_min: int
    soak_from_ms: TimeMs | None
    failures_max: int
    patience_min: int
    who: str
    made_ms: TimeMs
    moved_ms: TimeMs
    rings: list[RingOut]


class FirmwareOut(Shape):
    """The mirror (null: nothing was imported), every ring with its versions, and the newest rollout."""

    mirror: MirrorOut | None
    rings: list[RingOut]
    rollout: RolloutOut | None


class ToldOut(Shape):
    """A scanner that was told, and what became of it."""

    device: str
    outcome: Outcome
    reason: str
    tries: int
    told_ms: TimeMs
    outcome_ms: TimeMs


class RingIn(Shape):
    """The ring that a scanner shall be in; 0 gets a release first."""

    ring: Annotated[int, Field(ge=0, lt=RINGS)]


class StageIn(Shape):
    """A release to be sent on its way. An empty `place` is every place."""

    version: Version
    soak_min: Annotated[int, Field(ge=0, le=changes.SOAK_MIN_MOST)] = changes.SOAK_MIN
    failures_max: Failures = changes.FAILURES_MAX
    patience_min: Annotated[int, Field(ge=changes.PATIENCE_MIN_LEAST, le=changes.PATIENCE_MIN_MOST)] = (
        changes.PATIENCE_MIN
    )
    place: Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9._-]*$")] = ""


class HaltIn(Shape):
    """Which rollout, and why."""

    rollout: Seen
    reason: Annotated[str, Field(max_length=REASON_CHARS)] = ""


class ResumeIn(Shape):
    """Which rollout. `retry`: scanners that failed are told once more; `failures_max` null: as before."""

    rollout: Seen
    retry: bool = False
    failures_max: Failures | None = None


class CancelIn(Shape):
    """Which rollout."""

    rollout: Seen


@ROUTER.get("")
async def overview(site: TheSite, who: Reader) -> FirmwareOut:
    """What the mirror has, what scanners run, and how the newest rollout fares; up to a minute old."""
    fleet = await site.store.fleet(slot=site.now_ms() // SLOT_MS)
    rollout = await site.store.newest_rollout()
    plain = counts_of(fleet, rollout=None, told=(), now_ms=site.now_ms())
    contents = contents_of(site)
    return FirmwareOut(
        mirror=None if contents is None else _mirror(contents, now_ms=site.now_ms()),
        rings=[_ring(count) for count in plain],
        rollout=None if rollout is None else await _rollout(site, rollout),
    )


@ROUTER.get("/told")
async def told(site: TheSite, who: Reader) -> list[ToldOut]:
    """Every scanner that was told in the newest rollout."""
    rollout = await site.store.newest_rollout()
    if rollout is None:
        return []
    return [
        ToldOut(
            device=each.device_id.hex(),
            outcome=each.outcome,
            reason=each.reason,
            tries=each.tries,
            told_ms=each.told_ms,
            outcome_ms=each.outcome_ms,
        )
        for each in await site.store.told_devices(rollout.rollout_id)
    ]


@ROUTER.put("/rings/{device}")
async def set_ring(site: TheSite, who: Writer, device: DeviceId, body: RingIn) -> RingIn:
    """Put a scanner into a ring."""
    if await site.store.fleet_row(bytes.fromhex(device), slot=0) is None:
        raise NotFoundError
    await changes.set_ring(site.store, operator=who.operator, device_id=device, ring=body.ring)
    site.fleet.forget()
    return body


@ROUTER.post("/rollout", status_code=201)
async def stage(site: TheSite, who: Writer, body: StageIn) -> RolloutOut:
    """Send a release on its way, ring by ring. One rollout is open at a time."""
    rollout = await changes.stage(
        site.store,
        operator=who.operator,
        contents=contents_of(site),
        version=body.version,
        soak_min=body.soak_min,
        failures_max=body.failures_max,
        patience_min=body.patience_min,
        place_id=body.place,
    )
    return await _rollout(site, rollout)


@ROUTER.post("/rollout/halt")
async def halt(site: TheSite, who: Writer, body: HaltIn) -> RolloutOut:
    """Tell no further scanner. Those that were told go on."""
    rollout = await changes.halt(site.store, operator=who.operator, reason=body.reason, expected=body.rollout)
    return await _rollout(site, rollout)


@ROUTER.post("/rollout/resume")
async def resume(site: TheSite, who: Writer, body: ResumeIn) -> RolloutOut:
    """Let a halted rollout go on."""
    rollout = await changes.resume(
        site.store,
        operator=who.operator,
        retry=body.retry,
        failures_max=body.failures_max,
        expected=body.rollout,
    )
    return await _rollout(site, rollout)


@ROUTER.post("/rollout/cancel")
async def cancel(site: TheSite, who: Writer, body: CancelIn) -> RolloutOut:
    """End a rollout for good. No scanner goes back."""
    return await _rollout(site, await changes.cancel(site.store, operator=who.operator, expected=body.rollout))


def contents_of(site: Site) -> Contents | None:
    """What the mirror has; None where there is no mirror, or nothing in it. Raises MirrorError."""
    return None if site.mirror is None else site.mirror.contents()


async def _rollout(site: Site, rollout: Rollout) -> RolloutOut:
    now_ms = site.now_ms()
    fleet = await site.store.fleet(slot=now_ms // SLOT_MS)
    counts = counts_of(fleet, rollout=rollout, told=await site.store.told_devices(rollout.rollout_id), now_ms=now_ms)
    return RolloutOut(
        rollout=rollout.rollout_id,
        version=version_of(rollout.release),
        state=rollout.state,
        reason=rollout.reason,
        place=rollout.place_id,
        ring=rollout.ring,
        soak_min=rollout.soak_min,
        soak_from_ms=rollout.soak_from_ms,
        failures_max=rollout.failures_max,
        patience_min=rollout.patience_min,
        who=rollout.who,
        made_ms=rollout.made_ms,
        moved_ms=rollout.moved_ms,
        rings=[_ring(count) for count in counts],
    )


def _mirror(contents: Contents, *, now_ms: int) -> MirrorOut:
    return MirrorOut(
        bundles=[
            BundleOut(version=each.version, platform=each.platform, bytes=each.size_bytes, sha256=each.sha256)
            for each in contents.bundles
        ],
        imported_ms=contents.imported_ms,
        expires_ms=contents.expires_ms,
        expired=contents.expires_ms <= now_ms,
    )


def _ring(count: RingCount) -> RingOut:
    return RingOut(
        ring=count.ring,
        devices=count.devices,
        versions=dict(count.versions),
        running=count.running,
        under_way=count.under_way,
        waiting=count.waiting,
        away=count.away,
        failed=count.failed,
        unable=count.unable,
    )
