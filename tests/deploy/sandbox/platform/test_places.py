"""Place codes from the hub's errand to the stand-in platform's HTTPS door and back: real sockets, TLS and keys."""

import os
import time

import pytest

from deploy.sandbox.people import Person, Showing
from deploy.sandbox.phone import DeadPosterError, PhoneError, Phones
from deploy.sandbox.platform.authority import root_file
from deploy.sandbox.platform.lookup import id_number
from hub.registry.applications import checked_application
from hub.registry.changes import Operator
from hub.store.place_ports import ApplicationState
from hub.store.sqlite import open_store
from hub.trust.placecodes import PlaceCodes
from hub.trust.platform import HttpsSource
from hub.trust.ports import PlatformError, PlatformRefusedError
from protocol.keys import Ed25519SigningKey, decode_key
from protocol.placecode import PlaceCode, open_place_code, seal_place_code
from protocol.placerequest import PlaceRequest, seal_applicant, seal_place_request
from protocol.terms import Colour
from protocol.trust import open_trust
from tests.hub.registry.test_applications import TYPED

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

GREEN, RED, STRANGER = 101, 102, 999


class Hub:
    """The hub's side: handlers over a real store, and the client that asks the platform."""

    def __init__(self, platform, store, source, trust):
        self.platform, self.store, self.trust = platform, store, trust
        self.codes = PlaceCodes(
            store=store, source=source, key=platform.hub_key, trust=lambda: trust, now_ms=self.now_ms
        )  # fmt: skip

    def now_ms(self):
        return time.time_ns() // 1_000_000

    async def apply(self, *, application=None, place=None, person=GREEN, phone="13900000001", **typed):
        application = application or os.urandom(16)
        said, applicant = checked_application(TYPED | {"id_number": id_number(person), "phone": phone} | typed)
        key = await self.codes.handlers["platform.key"](self.who(), {}, b"")
        sealed = seal_applicant(applicant, request_id=application, resolver=key)
        args = {"application": application.hex(), "place": place, "said": said.json(), "commitment": "I promise."}
        await self.codes.handlers["place.apply"](self.who(), args, sealed)
        return await self.store.find_application(application)

    async def reissue(self, place, why="torn", request=None):
        args = {"request": (request or os.urandom(16)).hex(), "place": place, "why": why}
        await self.codes.handlers["place.reissue"](self.who(), args, b"")

    def who(self):
        return Operator(who="anna", now_ms=self.now_ms())


@pytest.fixture
async def hub(platform, authority_folder, tmp_path):
    for person in (GREEN, RED):
        await platform.code({"person": person, "name": "王伟"})
    await platform.control("colours", {"people": [RED], "colour": "red"})
    trust = open_trust(
        (await platform.fetch("/v1/trust"))[1], root=decode_key(root_file(authority_folder).read_bytes())
    )  # fmt: skip
    source = HttpsSource(url=platform.api, tls=platform.contexts["hub"])
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    yield Hub(platform, store, source, trust)
    await store.close()
    await source.close()


async def test_a_green_applicant_gets_a_code_at_once(hub):
    application = await hub.apply()
    assert application.state is ApplicationState.ISSUED
    (kept,) = await hub.store.place_codes(application.place_id)
    code = open_place_code(kept.code, trust=hub.trust, at_s=int(time.time()))
    assert (code.place, code.name, code.serial) == (application.place_id, TYPED["name"], 1)
    assert application.place_id.startswith("P500105-")


@pytest.mark.parametrize(("person", "reason"), [(RED, "not_green"), (STRANGER, "not_known")])
async def test_who_is_not_green_or_not_known_gets_none(hub, person, reason):
    application = await hub.apply(person=person)
    assert application.refusals == (("id_number", reason),)
    assert await hub.store.places() == ()


async def test_one_code_for_one_phone_and_any_number_for_one_body(hub):
    first = await hub.apply()
    second = await hub.apply(name="二号店")
    assert second.refusals == (("phone", "taken"),)
    third = await hub.apply(name="二号店", phone="13900000002")
    assert third.state is ApplicationState.ISSUED
    assert third.place_id != first.place_id


async def test_the_same_application_gets_the_same_answer_and_another_content_none(hub):
    application = os.urandom(16)
    first = await hub.apply(application=application)
    again = Hub(hub.platform, hub.store, hub.codes._source, hub.trust)
    assert (await again.apply(application=application)).place_id == first.place_id
    await _fresh(hub, application)
    with pytest.raises(PlatformRefusedError, match="409"):
        await _fresh(hub, application, address="somewhere else")


async def _fresh(hub, application, **typed):
    """The same id with other content, as a hub would ask that has forgotten the first."""
    said, applicant = checked_application(TYPED | {"id_number": id_number(GREEN), "phone": "13900000001"} | typed)
    sealed = seal_applicant(applicant, request_id=application, resolver=hub.trust.resolver)
    asks = said.asked(place=None, commitment="I promise.", promised_ms=hub.now_ms(), sealed=sealed)
    request = PlaceRequest(id=application, at_ms=hub.now_ms(), asks=asks)
    await hub.codes._source.place_request(application, seal_place_request(request, key=hub.platform.hub_key))


async def test_a_reissue_has_the_next_serial(hub):
    application = await hub.apply()
    request = os.urandom(16)
    await hub.reissue(application.place_id, request=request)
    await hub.reissue(application.place_id, request=request)
    newest, _ = await hub.store.place_codes(application.place_id)
    code = open_place_code(newest.code, trust=hub.trust, at_s=int(time.time()))
    assert code.serial == newest.serial == 2
    with pytest.raises(Exception, match="no new code"):
        await hub.reissue("nowhere")


async def test_a_place_of_the_hubs_keeps_its_id_and_is_given_once(hub):
    assert (await hub.apply(place="mall")).place_id == "mall"
    again = await hub.apply(place="mall", phone="13900000002")
    assert again.refusals == (("place", "taken"),)


async def test_what_another_key_signed_is_refused(hub):
    hub.codes._key = Ed25519SigningKey(os.urandom(32))
    with pytest.raises(PlatformError, match="403"):
        await hub.apply()


def phone(platform):
    return Phones(platform.session, url=platform.pages)


async def test_a_phone_scans_the_poster_and_shows_its_own_colour(hub):
    application = await hub.apply()
    (kept,) = await hub.store.place_codes(application.place_id)
    for person, colour in ((GREEN, Colour.GREEN), (RED, Colour.RED)):
        visitor = Person(number=person, name="王伟", colour=colour, showing=Showing.LIVE)
        shown = await phone(hub.platform).scan(visitor, kept.code)
        assert (shown.place, shown.name, shown.colour) == (application.place_id, TYPED["name"], colour)
    url = f"{hub.platform.pages}/sandbox/visits/{application.place_id}"
    async with hub.platform.session.get(url) as answer:
        visits = await answer.json()
    assert [(visit["person"], visit["colour"], visit["way"]) for visit in visits["visits"]] == [
        (GREEN, Colour.GREEN, "poster"),
        (RED, Colour.RED, "poster"),
    ]


async def test_a_dead_code_and_a_strangers_are_refused(hub):
    application = await hub.apply()
    (old,) = await hub.store.place_codes(application.place_id)
    await hub.reissue(application.place_id)
    newest, _ = await hub.store.place_codes(application.place_id)
    visitor = Person(number=GREEN, name="王伟", colour=Colour.GREEN, showing=Showing.LIVE)
    with pytest.raises(DeadPosterError):
        await phone(hub.platform).scan(visitor, old.code)
    assert (await phone(hub.platform).scan(visitor, newest.code)).colour is Colour.GREEN
    forged = seal_place_code(
        PlaceCode(place=application.place_id, name="x", serial=2, issued_s=1), key=Ed25519SigningKey(os.urandom(32))
    )
    for text in (forged, "GLP1:", "GL1:ABC", "https://example.com/", ""):
        with pytest.raises(PhoneError):
            await phone(hub.platform).scan(visitor, text)
