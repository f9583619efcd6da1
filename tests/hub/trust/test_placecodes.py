"""Errands about place codes, through a real hub's handlers, with a platform that signs with real keys in memory."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from hub.console.errands import Errands as Asking
from hub.console.errors import ConflictError, InvalidError, UnavailableError
from hub.errands import Errands
from hub.health import Health
from hub.model import Account, AuditEntry, Place, Role
from hub.registry.applications import checked_application
from hub.store.place_ports import ApplicationState
from hub.store.sqlite import open_store
from hub.trust.placecodes import PlaceCodes
from hub.trust.ports import PlatformError, PlatformRefusedError
from protocol.placecode import PlaceCode, seal_place_code
from protocol.placerequest import PlaceApplication, open_applicant, open_place_request, seal_applicant
from protocol.trust import Issuer, KeyUse, TrustBundle
from protocol.vectors.make_places import APPLICANT, RESOLVER, RESOLVER_PUBLIC
from tests.hub.registry.test_applications import TYPED

from .conftest import NOW_S, signing_key, trusted

HUB, PLACES, OTHER = (signing_key(name) for name in ("hub", "places", "other"))
BUNDLE = TrustBundle(
    version=1,
    issued_s=NOW_S,
    expires_s=NOW_S + 10**6,
    issuers=(Issuer(name="p", region="CN", keys=(trusted(PLACES, KeyUse.PLACE), trusted(OTHER, KeyUse.CODE))),),
    resolver=RESOLVER_PUBLIC,
)
ID = bytes(range(16))
TEXTS = {"commitment": "I promise."}


def said(**typed):
    return checked_application(TYPED | typed)[0].json()


def issued(place="P500105-1", name="江北万象城", serial=1, key=PLACES, named=None):
    code = seal_place_code(PlaceCode(place=place, name=name, serial=serial, issued_s=NOW_S), key=key)
    return json.dumps({"state": "issued", "place": named or place, "code": code}).encode()


def refused(*refusals):
    return json.dumps(
        {"state": "refused", "refusals": [{"field": field, "reason": reason} for field, reason in refusals]}
    ).encode()


class FakePlatform:
    """Answers what it is told to; remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.answer = issued()

    async def place_request(self, request_id, sealed):
        self.asked.append((request_id, sealed))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Site:
    def __init__(self, store):
        self.store, self.platform = store, FakePlatform()
        self.asking = Asking(store=store, now_ms=self.now_ms, longest_s=5.0)
        self.codes = PlaceCodes(
            store=store, source=self.platform, key=HUB, trust=lambda: BUNDLE, now_ms=self.now_ms
        )  # fmt: skip

    def now_ms(self):
        return NOW_S * 1000

    async def ask(self, kind, *, data=b"", who="anna", **args):
        return await self.asking.ask(kind, who=who, data=data, **args)

    async def apply(self, *, application=ID, place=None, who="anna", **typed):
        sealed = seal_applicant(APPLICANT, request_id=application, resolver=await self.ask("platform.key"))
        await self.ask(
            "place.apply", who=who, data=sealed, application=application.hex(), place=place, said=said(**typed), **TEXTS
        )

    async def state(self, application=ID):
        return await self.store.find_application(application)


@pytest.fixture
async def site(tmp_path):
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    made = Site(store)

    @asynccontextmanager
    async def hub():
        task = asyncio.create_task(
            Errands(store=store, handlers=made.codes.handlers, health=Health(), now_ms=made.now_ms).run()
        )
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with hub():
        yield made
    await store.close()


def entry(action="test"):
    return AuditEntry(at_ms=0, who="test", action=action, detail="")


async def test_an_application_is_signed_sent_and_issued(site):
    await site.apply()
    ((request_id, sealed),) = site.platform.asked
    assert request_id == ID
    request = open_place_request(sealed, key=HUB.public)
    assert isinstance(request.asks, PlaceApplication)
    assert (request.asks.name, request.asks.people_limit, request.asks.place) == ("江北万象城", 2000, None)
    assert open_applicant(request.asks.sealed, request_id=ID, private=RESOLVER) == APPLICANT
    application = await site.state()
    assert (application.state, application.place_id, application.who) == (
        ApplicationState.ISSUED, "P500105-1", "anna"
    )  # fmt: skip
    assert application.commitment == "I promise."
    place = await site.store.find_place("P500105-1")
    assert place == Place(place_id="P500105-1", name="江北万象城", region="500105", responsible="张伟")
    (code,) = await site.store.place_codes("P500105-1")
    assert (code.serial, code.why) == (1, "")
    assert await site.store.people_limits() == {"P500105-1": 2000}
    actions = [(entry.who, entry.action) for entry in await site.store.audit_log(limit=9)]
    assert actions == [("hub", "place.issued"), ("anna", "place.apply")]


async def test_no_number_of_the_applicants_is_ever_in_the_database(site, tmp_path):
    await site.apply()
    await site.store.close()
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        assert APPLICANT.phone.encode() not in data
        assert APPLICANT.id_number.encode() not in data


async def test_a_refusal_is_kept_with_its_fields(site):
    site.platform.answer = refused(("id_number", "not_green"), ("phone", "taken"))
    await site.apply()
    application = await site.state()
    assert application.state is ApplicationState.REFUSED
    assert application.refusals == (("id_number", "not_green"), ("phone", "taken"))
    assert application.request is None
    assert await site.store.places() == ()


@pytest.mark.parametrize("error", [PlatformError("away"), PlatformRefusedError("409")])
async def test_a_platform_that_is_away_is_asked_again_with_the_same_bytes(site, error):
    site.platform.answer = error
    with pytest.raises(UnavailableError, match="platform"):
        await site.apply()
    assert (await site.state()).state is ApplicationState.ASKED
    site.platform.answer = issued()
    await site.ask("place.ask", application=ID.hex())
    assert (await site.state()).state is ApplicationState.ISSUED
    first, second = site.platform.asked
    assert first == second
    await site.ask("place.ask", application=ID.hex())
    assert len(site.platform.asked) == 2


async def test_an_errand_that_is_done_twice_changes_nothing(site):
    await site.apply()
    await site.apply()
    assert len(await site.store.place_codes("P500105-1")) == 1
    assert len(await site.store.applications(limit=9)) == 1
    assert len(await site.store.audit_log(limit=9)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"state": "issued"}',
        b"[" * 4000,
        issued(key=OTHER),
        issued(key=signing_key("stranger")),
        issued(named="elsewhere"),
        issued(name="another name"),
        refused(),
        refused(*[("a", "b")] * 33),
        refused(("<b>", "not_green")),
        refused(("phone", "x" * 65)),
        b'{"state": "refused", "refusals": [{"field": "phone"}]}',
    ],
)
async def test_an_answer_that_cannot_be_believed_changes_nothing(site, answer):
    site.platform.answer = answer
    with pytest.raises(UnavailableError):
        await site.apply()
    assert (await site.state()).state is ApplicationState.ASKED
    assert await site.store.places() == ()


async def test_a_place_that_is_there_keeps_its_id(site):
    await site.store.add_place(Place(place_id="mall", name="Old name"), audit=entry())
    site.platform.answer = issued(place="mall")
    await site.apply(place="mall")
    assert (await site.store.find_place("mall")).name == "江北万象城"
    assert (await site.store.application_of("mall")).application_id == ID


async def test_the_platform_cannot_name_a_new_place_as_another_is_called(site):
    await site.store.add_place(Place(place_id="mall", name="Mall"), audit=entry())
    site.platform.answer = issued(place="mall")
    with pytest.raises(ConflictError):
        await site.apply()
    assert (await site.store.find_place("mall")).name == "Mall"
    site.platform.answer = issued(place="elsewhere")
    with pytest.raises(UnavailableError):
        await site.apply(place="mall", application=bytes(16))


async def test_a_responsible_person_gets_the_place_that_was_applied_for(site):
    account = Account(
        name="li", display="Li", role=Role.RESPONSIBLE, scope=frozenset(), enabled=True, has_password=False,
        has_totp=False, added_ms=0, changed_ms=0,
    )  # fmt: skip
    await site.store.add_account(account, audit=entry())
    await site.apply(who="li")
    assert (await site.store.find_account("li")).scope == {("P500105-1", "")}


async def test_a_reissue_kills_the_code_before_it(site):
    await site.apply()
    site.platform.answer = issued(serial=2)
    await site.ask("place.reissue", request=bytes(16).hex(), place="P500105-1", why="torn")
    newest, first = await site.store.place_codes("P500105-1")
    assert (newest.serial, newest.why, first.serial) == (2, "torn", 1)
    assert await site.store.newest_place_codes() == (newest,)
    await site.ask("place.reissue", request=bytes(16).hex(), place="P500105-1", why="torn")
    assert len(await site.store.place_codes("P500105-1")) == 2
    site.platform.answer = issued(serial=1)
    with pytest.raises(ConflictError):
        await site.ask("place.reissue", request=bytes(16).hex(), place="P500105-1", why="torn")


async def test_a_reissue_needs_a_reason_and_a_place_that_the_platform_knows(site):
    await site.apply()
    for why in ("", " ", "a\x1b[31m", "x" * 201):
        with pytest.raises(InvalidError):
            await site.ask("place.reissue", request=ID.hex(), place="P500105-1", why=why)
    site.platform.answer = refused(("place", "not_found"))
    with pytest.raises(ConflictError, match="no new code"):
        await site.ask("place.reissue", request=ID.hex(), place="P500105-1", why="torn")
    site.platform.answer = issued(place="elsewhere", serial=3)
    with pytest.raises(UnavailableError):
        await site.ask("place.reissue", request=ID.hex(), place="P500105-1", why="torn")


@pytest.mark.parametrize("bad", ["", "zz", "00", "00" * 17])
async def test_an_id_of_another_length_is_refused(site, bad):
    with pytest.raises(InvalidError):
        await site.ask("place.ask", application=bad)


async def test_what_is_kept_of_places_is_never_deleted_nor_changed(site):
    await site.apply()
    for change in (
        "DELETE FROM place_application",
        "UPDATE place_application SET said = '{}'",
        "UPDATE place_application SET state = 'refused'",
        "DELETE FROM place_code",
        "UPDATE place_code SET code = ''",
    ):
        with pytest.raises(Exception, match=r"never|answer"):
            async with site.store._connections.transaction() as db:
                await db.execute_fetchall(change)
