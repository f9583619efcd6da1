"""What the gates of a place do: rules, their history, what they would do, and where they are in force."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, PlaceId, Shape, TimeMs
from hub.console.errors import InvalidError, NotFoundError
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import DeviceState
from hub.registry.checks import RegistryError
from hub.store.trust_ports import PolicyVersion
from hub.trust import changes
from hub.trust.force import Force, force_of
from hub.trust.preview import Holding, verdict_table
from hub.trust.rules import KEYS, Rules

ROUTER = APIRouter(prefix="/policies", tags=["Policies"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.POLICIES_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.POLICIES_WRITE))]
Place = Annotated[PlaceId, Path()]
RuleName = Annotated[str, Field(max_length=32)]
RuleText = Annotated[str, Field(max_length=256)]
RuleTexts = Annotated[dict[RuleName, RuleText], Field(max_length=32)]
Note = Annotated[str, Field(max_length=200, description="Why, for the history.")]
Version = Annotated[int, Field(ge=0, lt=2**53)]
_HISTORY: int = 50


class DecisionOut(Shape):
    """What a gate shows and does, and why; by their names on the wire."""

    colour: str
    verdict: str
    reason: str


class LineOut(Shape):
    """One case of the verdict table; a sort of code that is missing cannot come into it."""

    case: str
    decisions: dict[Holding, DecisionOut]


class ForceOut(Shape):
    """How many gates do what the rules say now. `waiting` are the ids of devices that do not yet."""

    devices: int
    in_force: int
    waiting: list[str]


class VersionOut(Shape):
    """One version of a place's rules. `changed`: what it has other than the one before, rule by rule."""

    version: Version
    who: str
    at_ms: TimeMs
    note: str
    changed: dict[str, str]


class PolicyOut(Shape):
    """The rules of a place, as they are typed. Version 0: nobody has set any, and the defaults hold."""

    place: str
    version: Version
    who: str
    at_ms: TimeMs
    note: str
    rules: dict[str, str]
    force: ForceOut


class PolicyTable(Shape):
    """What gates do, case by case; the same on the way in and on the way out."""

    table: list[LineOut]


class PreviewIn(Shape):
    """Rules to be looked at; those that are not named stay as they are."""

    rules: RuleTexts


class Change(Shape):
    """One rule that would change."""

    rule: str
    before: str
    after: str


class PreviewOut(PolicyTable):
    """What would change, and what gates would do then."""

    version: Version
    changes: list[Change]


class PolicyIn(PreviewIn):
    """Rules to be published. `expected_version` is the version that was read: another one meanwhile is a conflict."""

    expected_version: Version
    note: Note = ""


class RevertIn(Shape):
    """Publish the rules of an older version again, as a new one."""

    to_version: Annotated[int, Field(ge=1, lt=2**53)]
    expected_version: Version
    note: Note = ""


@ROUTER.get("")
async def list_policies(site: TheSite, who: Reader) -> list[PolicyOut]:
    """The rules in force at every place that the account may see."""
    current = {policy.place_id: policy for policy in await site.store.current_policies()}
    forces = _Forces(site)
    await forces.load()
    return [
        _out(policy, forces.of(place.place_id, rules), rules)
        for place in await site.store.places()
        if who.sees(place.place_id)
        for policy in [current.get(place.place_id) or _default(place.place_id)]
        for rules in [Rules.from_json(policy.rules)]
    ]


@ROUTER.get("/{place}")
async def one_policy(site: TheSite, who: Reader, place: Place) -> PolicyOut:
    """The rules in force at a place."""
    policy, rules = await _current(site, who, place)
    forces = _Forces(site)
    await forces.load()
    return _out(policy, forces.of(place, rules), rules)


@ROUTER.get("/{place}/table")
async def table(site: TheSite, who: Reader, place: Place) -> PolicyTable:
    """What its gates do with whatever is shown to them, by the gates' own table."""
    _, rules = await _current(site, who, place)
    return PolicyTable(table=_table(rules))


@ROUTER.get("/{place}/versions")
async def versions(site: TheSite, who: Reader, place: Place) -> list[VersionOut]:
    """The newest versions, newest first."""
    await _current(site, who, place)
    found = await site.store.policy_history(place, limit=_HISTORY + 1)
    return [_version(policy, older) for policy, older in zip(found, (*found[1:], None), strict=False)][:_HISTORY]


@ROUTER.get("/{place}/versions/{version}")
async def one_version(
    site: TheSite, who: Reader, place: Place, version: Annotated[int, Path(ge=1, lt=2**53)]
) -> dict[str, str]:
    """All rules of one version."""
    await _current(site, who, place)
    for policy in await site.store.policy_history(place, limit=2**31):
        if policy.version == version:
            return Rules.from_json(policy.rules).texts()
    raise NotFoundError


@ROUTER.post("/{place}/preview")
async def preview(site: TheSite, who: Reader, place: Place, body: PreviewIn) -> PreviewOut:
    """What would change, and what gates would do then. Nothing is published."""
    policy, rules = await _current(site, who, place)
    after = checked(rules, body.rules)
    texts, new = rules.texts(), after.texts()
    return PreviewOut(
        version=policy.version,
        changes=[Change(rule=key, before=texts[key], after=new[key]) for key in KEYS if texts[key] != new[key]],
        table=_table(after),
    )


@ROUTER.put("/{place}")
async def publish(site: TheSite, who: Writer, place: Place, body: PolicyIn) -> PolicyOut:
    """A new version, in force at the place's gates within about a second."""
    _, rules = await _current(site, who, place)
    texts, new = rules.texts(), checked(rules, body.rules).texts()
    wanted = {key: new[key] for key in KEYS if new[key] != texts[key]}
    if not wanted:
        raise InvalidError("unchanged", "Nothing would change.", where="rules")
    await changes.set_policy(
        site.store,
        operator=who.operator,
        place_id=place,
        changes=wanted,
        note=body.note,
        expected=body.expected_version,
    )
    return await one_policy(site, who, place)


@ROUTER.post("/{place}/revert")
async def revert(site: TheSite, who: Writer, place: Place, body: RevertIn) -> PolicyOut:
    """A new version with the rules of an older one."""
    await _current(site, who, place)
    await changes.revert_policy(
        site.store,
        operator=who.operator,
        place_id=place,
        to_version=body.to_version,
        note=body.note,
        expected=body.expected_version,
    )
    return await one_policy(site, who, place)


def checked(rules: Rules, texts: Mapping[str, str]) -> Rules:
    """These rules with some others. Raises InvalidError that names the rule which gates would refuse."""
    for key, text in texts.items():
        try:
            rules = rules.changed({key: text})
        except RegistryError as error:
            where = key if key in KEYS else "rules"
            raise InvalidError("malformed", "A gate would refuse this value.", where=where) from error
    return rules


async def _current(site: Site, who: Signed, place: str) -> tuple[PolicyVersion, Rules]:
    who.must_see(place)
    if place not in {known.place_id for known in await site.store.places()}:
        raise NotFoundError
    policy = await changes.policy_of(site.store, place)
    return policy, Rules.from_json(policy.rules)


class _Forces:
    """Where policies are in force, by what devices said last."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def load(self) -> None:
        """Once for all places."""
        store = self._site.store
        self._devices = [device for device in await store.devices() if device.state is not DeviceState.REVOKED]
        self._issued = {issued.device_id: issued for issued in await store.issued_policies()}
        self._seen = {seen.device_id: seen for seen in await store.devices_seen()}
        self._closed = {closing.place_id for closing in await store.closings()}

    def of(self, place: str, rules: Rules) -> ForceOut:
        """How far the rules of one place are."""
        devices = [device for device in self._devices if device.place_id == place]
        waiting = []
        for device in devices:
            wanted = rules.for_gate(
                device=device.device_id,
                place=place,
                gate=device.gate_id,
                direction=device.direction,
                closed=place in self._closed,
            )
            issued, seen = self._issued.get(device.device_id), self._seen.get(device.device_id)
            if force_of(wanted, issued=issued, seen=seen) is not Force.IN_FORCE:
                waiting.append(device.device_id.hex())
        return ForceOut(devices=len(devices), in_force=len(devices) - len(waiting), waiting=waiting)


def _default(place: str) -> PolicyVersion:
    return PolicyVersion(place_id=place, version=0, rules=Rules.defaults().json(), who="", at_ms=0, note="")


def _out(policy: PolicyVersion, force: ForceOut, rules: Rules) -> PolicyOut:
    return PolicyOut(
        place=policy.place_id,
        version=policy.version,
        who=policy.who,
        at_ms=policy.at_ms,
        note=policy.note,
        rules=rules.texts(),
        force=force,
    )


def _version(policy: PolicyVersion, older: PolicyVersion | None) -> VersionOut:
    rules = Rules.from_json(policy.rules).texts()
    before = (Rules.defaults() if older is None else Rules.from_json(older.rules)).texts()
    return VersionOut(
        version=policy.version,
        who=policy.who,
        at_ms=policy.at_ms,
        note=policy.note,
        changed={key: rules[key] for key in KEYS if rules[key] != before[key]},
    )


def _table(rules: Rules) -> list[LineOut]:
    return [
        LineOut(
            case=line.case,
            decisions={
                holding: DecisionOut(
                    colour=decision.colour.wire_name,
                    verdict=decision.verdict.wire_name,
                    reason=decision.reason.wire_name,
                )
                for holding, decision in line.decisions.items()
            },
        )
        for line in verdict_table(rules)
    ]
