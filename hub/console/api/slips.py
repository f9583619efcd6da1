"""The evidence of one decision, by the number that a person was told at the gate. Nothing here says who it was."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, Shape, TimeMs
from hub.console.errors import InvalidError, NotFoundError, TooManyError
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import StoredCheckIn
from hub.store.trust_ports import BelievedKind
from hub.trust.words import one_line
from protocol.checkin import SealedCheckIn, parse_checkin, verify_checkin
from protocol.errors import ProtocolError
from protocol.keys import decode_key
from protocol.limits import NAME_CHARS, RULE_CHARS
from protocol.slip import read_slip, slip_number
from protocol.terms import Clock
from protocol.trust import TrustBundle, parse_trust

ROUTER = APIRouter(prefix="/slips", tags=["Slips"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.SLIPS))]
Number = Annotated[str, Path(min_length=1, max_length=16)]


class EvidenceOut(Shape):
    """What the gate relied on, from the bytes that it signed. Gone with the personal fields, which are in those bytes.

    `issuer` is the signer's name in the trust bundle, empty when the bundle of today does not have the key.
    """

    issuer_kid: str | None
    issuer: str
    code_issued_ms: TimeMs | None
    rule: str | None
    list_version: int | None
    policy_version: int | None
    device_kid: str


class SlipOut(Shape):
    """One decision. `signature`: the device's, checked anew; `erased` when retention has taken the signed bytes."""

    slip: str
    place: str
    place_name: str
    gate: str
    gate_name: str
    device: str
    at_ms: TimeMs
    received_ms: TimeMs
    clock_trusted: bool
    direction: str
    colour: str
    verdict: str
    reason: str
    hash: str
    signature: Literal["valid", "invalid", "erased"]
    evidence: EvidenceOut | None


@ROUTER.get("/{number}")
async def find(site: TheSite, who: Who, number: Number) -> list[SlipOut]:
    """The decisions with this number: as good as always one. For those who were not admitted; others are told none.

    Numbers are slow to try: after some that do not exist, each further one waits longer.
    """
    waited = site.slips.wait_s(who.account.name)
    if waited > 0:
        raise TooManyError(waited)
    try:
        prefix = read_slip(number)
    except ProtocolError as error:
        raise InvalidError("malformed", "Eight letters and digits, such as 7K3M-9QXA.", where="number") from error
    found = [row for row in await site.store.find_slip(prefix) if who.sees(row.place_id, row.gate_id)]
    shown = slip_number(prefix + bytes(27))
    await site.store.audit(who.entry("slip.look", f"{shown}: {len(found)} records"))
    if not found:
        site.slips.wrong(who.account.name)
        raise NotFoundError("No record has this number.")
    site.slips.right(who.account.name)
    bundle = await _bundle(site)
    return [await _slip(site, row, bundle) for row in found]


async def _bundle(site: Site) -> TrustBundle | None:
    """The newest trust bundle that the platform has sent; the hub verified it before it was kept."""
    for believed in await site.store.believed():
        if believed.kind is BelievedKind.TRUST:
            return parse_trust(believed.data)
    return None


async def _slip(site: Site, row: StoredCheckIn, bundle: TrustBundle | None) -> SlipOut:
    places = {place.place_id: place.name for place in await site.store.places()}
    gates = {(gate.place_id, gate.gate_id): gate.name for gate in await site.store.gates()}
    data = await site.store.find_sealed(row.device_id, row.epoch, row.seq)
    sealed = None if data is None else parse_checkin(data)
    return SlipOut(
        slip=slip_number(row.hash),
        place=row.place_id,
        place_name=places.get(row.place_id, ""),
        gate=row.gate_id,
        gate_name=gates.get((row.place_id, row.gate_id), ""),
        device=row.device_id.hex(),
        at_ms=row.at_ms,
        received_ms=row.received_ms,
        clock_trusted=row.clock is Clock.TRUSTED,
        direction=row.direction.wire_name,
        colour=row.colour.wire_name,
        verdict=row.verdict.wire_name,
        reason=row.reason.wire_name,
        hash=row.hash.hex(),
        signature="erased" if sealed is None else await _checked(site, row, sealed),
        evidence=None if sealed is None else _evidence(sealed, bundle),
    )


async def _checked(site: Site, row: StoredCheckIn, sealed: SealedCheckIn) -> Literal["valid", "invalid"]:
    """1. These are the bytes of the row. 2. A key of its device signed them."""
    # 1.
    if sealed.hash != row.hash:
        return "invalid"
    # 2.
    keys = {key.kid: key.cose_key for key in await site.store.device_keys(row.device_id)}
    if sealed.kid not in keys:
        return "invalid"
    try:
        verify_checkin(sealed, key=decode_key(keys[sealed.kid]))
    except ProtocolError:
        return "invalid"
    return "valid"


def _evidence(sealed: SealedCheckIn, bundle: TrustBundle | None) -> EvidenceOut:
    evidence = sealed.checkin.evidence
    kid = evidence.issuer_kid
    issuer = None if kid is None or bundle is None else bundle.issuer_of(kid)
    return EvidenceOut(
        issuer_kid=None if kid is None else kid.hex(),
        issuer="" if issuer is None else one_line(issuer.name, NAME_CHARS),
        code_issued_ms=None if evidence.code_issued_s is None else evidence.code_issued_s * 1000,
        rule=None if evidence.rule is None else one_line(evidence.rule, RULE_CHARS),
        list_version=evidence.status_version,
        policy_version=evidence.policy_version,
        device_kid=sealed.kid.hex(),
    )
