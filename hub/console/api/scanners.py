"""The fleet: how every scanner fares, what is known of one, and taking trust away or giving it back."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query

from hub.console.accounts.roles import Permission
from hub.console.api.scanner_shapes import (
    ActOut,
    CertificateOut,
    Evidence,
    EvidenceOut,
    FleetPage,
    GapOut,
    HourOut,
    KeyOut,
    MayReason,
    Papers,
    Reason,
    SampleOut,
    ScannerOut,
    sample_out,
    scanner_out,
)
from hub.console.api.shapes import PAGE_MOST, REFUSALS
from hub.console.errors import NotFoundError
from hub.console.fleet.search import Asked, Sort, found, judged
from hub.console.fleet.troubles import Standing
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import Device, DeviceState
from hub.registry import changes
from hub.store.fleet_ports import SLOT_MS, SLOTS_KEPT
from protocol.terms import Colour

ROUTER = APIRouter(prefix="/scanners", tags=["Scanners"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]
DeviceId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="16 hex digits, as on its certificate.")]

PAGE: Final = 50
EVIDENCE_MOST: Final = 100
_HOUR_MIN: Final = 60
HOURS: Final = 24
_DAY_MS: Final = 86_400_000
_COLOURS: Final = (Colour.GREEN, Colour.NOTICE, Colour.YELLOW, Colour.RED, Colour.GREY)
TEXT_CHARS: Final = 64


@ROUTER.get("")
async def list_scanners(
    site: TheSite,
    who: Reader,
    place: Annotated[str, Query(max_length=32)] = "",
    standing: Annotated[Standing | None, Query()] = None,
    trouble: Annotated[str, Query(max_length=32, description="A trouble's name, or `any`.")] = "",
    text: Annotated[str, Query(max_length=TEXT_CHARS)] = "",
    sort: Annotated[Sort, Query()] = Sort.TROUBLE,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = PAGE,
) -> FleetPage:
    """The fleet, those with troubles first. Revoked ones only when asked for, by `standing` or `text`."""
    now_ms = site.now_ms()
    every = await site.fleet.rows()
    names = {each.place_id: each.name for each in await site.store.places()}
    asked = Asked(place=place, standing=standing or "", trouble=trouble, text=text.strip(), sort=sort)
    kept = found(every, asked, names=names)
    alive = [each for each in every if each.standing is not Standing.REVOKED]
    standings: dict[Standing, int] = {
        name: sum(each.standing is name for each in alive) for name in Standing if name is not Standing.REVOKED
    }
    return FleetPage(
        scanners=[scanner_out(each, now_ms) for each in kept[(page - 1) * limit : page * limit]],
        found=len(kept),
        page=page,
        pages=max(1, -(-len(kept) // limit)),
        total=len(alive),
        in_trouble=sum(bool(each.troubles) for each in alive),
        standings=standings,
    )


@ROUTER.get("/{device}")
async def one_scanner(site: TheSite, who: Reader, device: DeviceId) -> ScannerOut:
    """One scanner."""
    now_ms = site.now_ms()
    row = await site.store.fleet_row(bytes.fromhex(device), slot=now_ms // SLOT_MS)
    if row is None:
        raise NotFoundError
    return scanner_out(judged((row,), now_ms=now_ms)[0], now_ms)


@ROUTER.get("/{device}/samples")
async def samples(site: TheSite, who: Reader, device: DeviceId) -> list[SampleOut]:
    """The last two days in steps of five minutes, oldest first. Where it was silent, there is none."""
    found_device = await _device(site, device)
    to_slot = site.now_ms() // SLOT_MS + 1
    kept = await site.store.device_samples(found_device.device_id, from_slot=to_slot - SLOTS_KEPT, to_slot=to_slot)
    return [sample_out(each) for each in kept]


@ROUTER.get("/{device}/hours")
async def hours(site: TheSite, who: Reader, device: DeviceId) -> list[HourOut]:
    """Its gate's check-ins of the last 24 hours by colour, oldest hour first."""
    found_device = await _device(site, device)
    to_hour = site.now_ms() // 60_000 // _HOUR_MIN + 1
    counts = await site.store.minutes_of_gate(
        found_device.place_id,
        found_device.gate_id,
        from_minute=(to_hour - HOURS) * _HOUR_MIN,
        to_minute=to_hour * _HOUR_MIN,
    )
    by_hour = {hour: {colour.wire_name: 0 for colour in _COLOURS} for hour in range(to_hour - HOURS, to_hour)}
    for count in counts:
        by_hour[count.minute // _HOUR_MIN][count.colour.wire_name] += count.n
    return [HourOut(at_ms=hour * _HOUR_MIN * 60_000, colours=colours) for hour, colours in by_hour.items()]


@ROUTER.get("/{device}/papers")
async def papers(site: TheSite, who: Reader, device: DeviceId) -> Papers:
    """Its certificates and keys, newest first."""
    device_id = (await _device(site, device)).device_id
    return Papers(
        certificates=[
            CertificateOut(
                serial=each.serial.hex(),
                issued_ms=each.issued_ms,
                not_after_ms=each.not_after_ms,
                revoked_ms=each.revoked_ms,
            )
            for each in await site.store.device_certificates(device_id)
        ],
        keys=[
            KeyOut(kid=each.kid.hex(), from_ms=each.from_ms, until_ms=each.until_ms, announced_ms=each.announced_ms)
            for each in reversed(await site.store.device_keys(device_id))
        ],
    )


@ROUTER.get("/{device}/evidence")
async def evidence(site: TheSite, who: Reader, device: DeviceId) -> Evidence:
    """What is kept against it: look before you release it from quarantine."""
    device_id = (await _device(site, device)).device_id
    return Evidence(
        quarantined=(await site.store.evidence(device_id)).quarantined,
        entries=[
            EvidenceOut(
                received_ms=each.received_ms,
                reason=each.reason,
                detail=each.detail,
                seq=each.seq,
                bytes=len(each.data or b""),
            )
            for each in await site.store.device_quarantine(device_id, limit=EVIDENCE_MOST)
        ],
        gaps=[
            GapOut(from_seq=each.from_seq, to_seq=each.to_seq, why=each.why)
            for each in await site.store.device_gaps(device_id, limit=EVIDENCE_MOST)
        ],
    )


@ROUTER.get("/{device}/acts")
async def acts(site: TheSite, who: Reader, device: DeviceId) -> list[ActOut]:
    """What was done to it, newest first, at most 50: from the newest 100,000 entries of the audit log."""
    await _device(site, device)
    return [
        ActOut(at_ms=each.at_ms, who=each.who, action=each.action, detail=each.detail)
        for each in await site.store.audit_about(device, limit=PAGE)
    ]


@ROUTER.post("/{device}/revoke")
async def revoke(site: TheSite, who: Writer, device: DeviceId, body: Reason) -> ScannerOut:
    """Its key is not believed any more, and the broker cuts it off. Final: it enrols again as another one."""
    return await _set(site, who, device, DeviceState.REVOKED, body.reason)


@ROUTER.post("/{device}/quarantine")
async def quarantine(site: TheSite, who: Writer, device: DeviceId, body: Reason) -> ScannerOut:
    """Its check-ins stay with it until it is released."""
    return await _set(site, who, device, DeviceState.QUARANTINED, body.reason)


@ROUTER.post("/{device}/release")
async def release(site: TheSite, who: Writer, device: DeviceId, body: MayReason) -> ScannerOut:
    """Out of quarantine. What is kept against it stays."""
    return await _set(site, who, device, DeviceState.ACTIVE, body.reason)


async def _set(site: Site, who: Signed, device: str, state: DeviceState, reason: str) -> ScannerOut:
    await _device(site, device)
    await changes.set_device_state(site.store, operator=who.operator, device_id=device, state=state, reason=reason)
    site.fleet.forget()
    return await one_scanner(site, who, device)


async def _device(site: Site, device: str) -> Device:
    found_device = await site.store.find_device(bytes.fromhex(device))
    if found_device is None:
        raise NotFoundError
    return found_device
