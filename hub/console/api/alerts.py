"""Alerts: what is open, what became of each, and who is told of which."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.live import must_be_short, open_alerts, sees_alert
from hub.console.api.shapes import PAGE_MOST, REFUSALS, Shape, TimeMs
from hub.console.errors import ConflictError, InvalidError, NotFoundError
from hub.console.live.feed import LOOK_S
from hub.console.live.wall import alerts_text
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.stream import EventStream
from hub.deliver.alert_text import late
from hub.deliver.channels import URL_CHARS, ChannelError, checked_url, shown_url
from hub.store.errors import RegistryConflictError
from hub.store.live_ports import Alert, AlertFilter, Channel, Level

ROUTER = APIRouter(prefix="/alerts", tags=["Alerts"], responses=REFUSALS)
NOTE_CHARS = 500
CHANNELS_MOST = 200

Who = Annotated[Signed, Depends(Needs(Permission.ALERTS))]
Setter = Annotated[Signed, Depends(Needs(Permission.ALERTS_WRITE))]
AlertId = Annotated[int, Path(ge=1, lt=2**63)]
State = Literal["", "open", "acknowledged", "ended"]


class AlertOut(Shape):
    """One alert. `state` is `open`, `acknowledged`, or `ended` when a trouble was over before anybody looked.

    `kind` is `red`, or a trouble such as `device.offline`. `level` is 1 (community or village), 2 (the trade's
    regulator), 3 (county headquarters). `late`: the gate was cut off, and sent this long after it happened.
    """

    id: int
    kind: str
    state: str
    place: str
    gate: str
    device: str | None
    slip: str
    detail: str
    at_ms: TimeMs
    raised_ms: TimeMs
    newest_ms: TimeMs
    times: int
    level: int
    acknowledged_ms: TimeMs | None
    acknowledged_by: str
    ended_ms: TimeMs | None
    late: bool


class EventOut(Shape):
    """One thing that happened to an alert."""

    at_ms: TimeMs
    who: str
    what: str
    note: str


class DeliveryOut(Shape):
    """The telling of one channel. `state` is `waiting`, `sent` or `given_up`."""

    channel: str
    state: str
    attempts: int
    made_ms: TimeMs
    next_try_ms: TimeMs
    ended_ms: TimeMs | None
    detail: str


class AlertWhole(Shape):
    """An alert with everything that happened to it."""

    alert: AlertOut
    events: list[EventOut]
    deliveries: list[DeliveryOut]


class AlertPage(Shape):
    """Alerts, newest first. `next` is `before` of the next page; None: this is the last."""

    alerts: list[AlertOut]
    next: int | None


class Acknowledgement(Shape):
    """What was done. No names: this is kept for good."""

    done: Annotated[str, Field(min_length=1, max_length=NOTE_CHARS)]


class Escalation(Shape):
    """Why it goes one level up."""

    note: Annotated[str, Field(max_length=NOTE_CHARS)] = ""


class ChannelIn(Shape):
    """Who is told: of alerts at one level, at one place or in a region (how its code begins), or everywhere.

    `url` as Apprise writes it: mailto(s), json(s), wecombot, dingtalk, feishu, or the https address of a WeCom,
    DingTalk or Feishu robot. It is kept secret: answers only show its kind. Left out of a change, it stays as it is.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    level: Annotated[int, Field(ge=1, le=3)] = 1
    place: Annotated[str, Field(max_length=32)] = ""
    region: Annotated[str, Field(max_length=12, pattern=r"^[0-9]*$")] = ""
    reds: bool = True
    troubles: bool = False
    language: Literal["zh", "en"] = "zh"
    url: Annotated[str | None, Field(max_length=URL_CHARS, repr=False)] = None
    enabled: bool = True


class ChannelOut(Shape):
    """A channel without its secret."""

    id: int
    name: str
    level: int
    place: str
    region: str
    reds: bool
    troubles: bool
    language: str
    shown: str
    enabled: bool
    changed_ms: TimeMs


class Sent(Shape):
    """The other side took it."""

    sent: bool = True


@ROUTER.get("")
async def list_alerts(
    site: TheSite,
    who: Who,
    state: State = "",
    kind: Annotated[str, Query(max_length=32, description="`red`, `trouble`, or one kind.")] = "",
    place: Annotated[str, Query(max_length=32)] = "",
    from_ms: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    to_ms: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = 100,
) -> AlertPage:
    """Those that the account may see."""
    wanted = AlertFilter(
        state=state,
        kind=kind,
        place_id=place,
        scope=None if who.everywhere else who.account.scope,
        before_id=before,
        from_ms=from_ms,
        to_ms=to_ms,
    )
    found = await site.store.alerts(wanted, limit=limit)
    return AlertPage(
        alerts=[alert_out(alert) for alert in found], next=found[-1].alert_id if len(found) == limit else None
    )


@ROUTER.get("/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(request: Request, site: TheSite, who: Who) -> Response:
    """Server-sent events, twice a second at most: `alerts` {open, reds, newest: up to 20 open ones} when they change;
    `ended` when the session is over.
    """

    async def look() -> dict[str, str]:
        return {"alerts": alerts_text(await open_alerts(site, who), await site.feed.registry())}

    return EventStream(request, who, look, every_s=LOOK_S)


@ROUTER.get("/channels")
async def list_channels(site: TheSite, who: Setter) -> list[ChannelOut]:
    """All, without their secrets."""
    return [_channel(channel) for channel in await site.store.channels()]


@ROUTER.post("/channels", status_code=201)
async def add_channel(site: TheSite, who: Setter, body: ChannelIn) -> ChannelOut:
    """A new one."""
    if len(await site.store.channels()) >= CHANNELS_MOST:
        raise ConflictError("limit", f"There are {CHANNELS_MOST} channels already.")
    if not body.url:
        raise InvalidError("malformed", "An address is needed.", where="url")
    return await _put(site, who, body, url=_checked(site, body.url), channel_id=0)


@ROUTER.put("/channels/{channel}")
async def change_channel(site: TheSite, who: Setter, channel: AlertId, body: ChannelIn) -> ChannelOut:
    """Another content. Without `url` the address stays."""
    known = [one for one in await site.store.channels() if one.channel_id == channel]
    if not known:
        raise NotFoundError
    url = _checked(site, body.url) if body.url else known[0].url
    return await _put(site, who, body, url=url, channel_id=channel)


@ROUTER.delete("/channels/{channel}", status_code=204)
async def remove_channel(site: TheSite, who: Setter, channel: AlertId) -> None:
    """It, and what waits for it."""
    try:
        await site.store.remove_channel(channel, audit=who.entry("channel.remove", str(channel)))
    except RegistryConflictError as error:
        raise NotFoundError from error


@ROUTER.post("/channels/{channel}/test")
async def test_channel(site: TheSite, who: Setter, channel: AlertId) -> Sent:
    """Send a test, and wait for the other side."""
    if not any(one.channel_id == channel for one in await site.store.channels()):
        raise NotFoundError
    await site.store.audit(who.entry("channel.test", str(channel)))
    await site.errands.ask("alerts.test", who=who.account.name, channel=channel)
    return Sent()


@ROUTER.get("/{alert}")
async def one_alert(site: TheSite, who: Who, alert: AlertId) -> AlertWhole:
    """One, with everything that happened to it."""
    found = await _must_see(site, who, alert)
    return AlertWhole(
        alert=alert_out(found),
        events=[
            EventOut(at_ms=event.at_ms, who=event.who, what=event.what, note=event.note)
            for event in await site.store.alert_events(alert)
        ],
        deliveries=[
            DeliveryOut(
                channel=delivery.channel,
                state=delivery.state,
                attempts=delivery.attempts,
                made_ms=delivery.made_ms,
                next_try_ms=delivery.next_try_ms,
                ended_ms=delivery.ended_ms,
                detail=delivery.detail,
            )
            for delivery in await site.store.deliveries_of(alert)
        ],
    )


@ROUTER.post("/{alert}/acknowledge")
async def acknowledge(site: TheSite, who: Who, alert: AlertId, body: Acknowledgement) -> AlertOut:
    """Somebody has looked after it, and says what was done. Only one can."""
    await _must_see(site, who, alert)
    done = must_be_short(body.done, field="done", chars=NOTE_CHARS)
    if not done:
        raise InvalidError("malformed", "Say what was done.", where="done")
    try:
        return alert_out(
            await site.store.acknowledge(alert, done=done, audit=who.entry("alert.acknowledge", str(alert)))
        )
    except RegistryConflictError as error:
        raise ConflictError("conflict", str(error)) from error


@ROUTER.post("/{alert}/escalate")
async def escalate(site: TheSite, who: Who, alert: AlertId, body: Escalation) -> AlertOut:
    """To the next level, whose channels are told at once."""
    await _must_see(site, who, alert)
    note = must_be_short(body.note, field="note", chars=NOTE_CHARS)
    try:
        return alert_out(await site.store.escalate(alert, note=note, audit=who.entry("alert.escalate", str(alert))))
    except RegistryConflictError as error:
        raise ConflictError("conflict", str(error)) from error


async def _must_see(site: Site, who: Signed, alert_id: int) -> Alert:
    found = await site.store.find_alert(alert_id)
    if found is None or not sees_alert(who, found):
        raise NotFoundError
    return found


def _checked(site: Site, url: str) -> str:
    try:
        return checked_url(url, loopback=site.alerts_to_loopback)
    except ChannelError as error:
        raise InvalidError("malformed", str(error), where="url") from error


async def _put(site: Site, who: Signed, body: ChannelIn, *, url: str, channel_id: int) -> ChannelOut:
    name = must_be_short(body.name, field="name", chars=64)
    if not name:
        raise InvalidError("malformed", "A name is needed.", where="name")
    if body.place and body.place not in (await site.feed.registry()).places:
        raise InvalidError("malformed", "There is no such place.", where="place")
    channel = Channel(
        channel_id=channel_id,
        name=name,
        level=Level(body.level),
        place_id=body.place,
        region=body.region,
        reds=body.reds,
        troubles=body.troubles,
        language=body.language,
        url=url,
        enabled=body.enabled,
        changed_ms=who.now_ms,
    )
    # What it is called and how it is reached, not where: the address is a secret.
    detail = f"{name}: level {body.level}, {shown_url(url).partition(':')[0]}, {'on' if body.enabled else 'off'}"
    put_id = await site.store.put_channel(
        channel, audit=who.entry("channel.change" if channel_id else "channel.add", detail)
    )
    return next(_channel(one) for one in await site.store.channels() if one.channel_id == put_id)


def _channel(channel: Channel) -> ChannelOut:
    return ChannelOut(
        id=channel.channel_id,
        name=channel.name,
        level=channel.level,
        place=channel.place_id,
        region=channel.region,
        reds=channel.reds,
        troubles=channel.troubles,
        language=channel.language,
        shown=shown_url(channel.url),
        enabled=channel.enabled,
        changed_ms=channel.changed_ms,
    )


def alert_out(alert: Alert) -> AlertOut:
    """As it is told."""
    return AlertOut(
        id=alert.alert_id,
        kind=alert.kind,
        state="open" if alert.open else "acknowledged" if alert.acknowledged_ms is not None else "ended",
        place=alert.place_id,
        gate=alert.gate_id,
        device=None if alert.device_id is None else alert.device_id.hex(),
        slip=alert.slip,
        detail=alert.detail,
        at_ms=alert.at_ms,
        raised_ms=alert.raised_ms,
        newest_ms=alert.newest_ms,
        times=alert.times,
        level=alert.level,
        acknowledged_ms=alert.acknowledged_ms,
        acknowledged_by=alert.acknowledged_by,
        ended_ms=alert.ended_ms,
        late=late(alert),
    )
