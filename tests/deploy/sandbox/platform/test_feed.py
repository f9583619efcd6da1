"""What a hub fetches besides: lists, deltas, trust, closed places, look-ups. Over real sockets and TLS."""

import asyncio
import base64
import json
import os
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from deploy.sandbox.platform.events import KEPT_EVENTS, Events
from deploy.sandbox.platform.lookup import id_number, opaque_text
from protocol import cbor
from protocol.codes import parse_text
from protocol.desk import Ask, Person, Registration, question_id, seal_question
from protocol.desk_answer import open_receipt
from protocol.keys import Ed25519SigningKey
from protocol.resolve import Query, is_id_number, open_resolved, seal_query
from protocol.statuslist import StatusList, apply_delta, list_id, open_delta, open_list
from protocol.terms import Colour, Direction, Scheme
from protocol.trust import open_trust

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


def bundle_of(data, authority_folder):
    from deploy.sandbox.platform.authority import root_file
    from protocol.keys import decode_key

    return open_trust(data, root=decode_key(root_file(authority_folder).read_bytes()))


async def uris_of(platform):
    _, body, _ = await platform.fetch("/v1/status")
    return cbor.decode(body, what="status", limit=4096)[1]


class Listener:
    """A hub's event stream, read line by line."""

    def __init__(self, platform, last_id=None):
        self._platform, self._last_id = platform, last_id
        self._answer = None

    async def __aenter__(self):
        headers = {} if self._last_id is None else {"Last-Event-ID": str(self._last_id)}
        self._answer = await self._platform.session.get(
            f"{self._platform.api}/v1/events", ssl=self._platform.contexts["hub"], headers=headers
        )
        return self

    async def __aexit__(self, *_):
        self._answer.close()

    async def next(self):
        event = {}
        while line := (await asyncio.wait_for(self._answer.content.readline(), 10)).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            event[name] = value
        return event


async def test_a_colour_change_is_a_signed_delta_at_once_and_stands_in_the_next_list(platform, authority_folder):
    trust = bundle_of((await platform.fetch("/v1/trust"))[1], authority_folder)
    async with Listener(platform) as hub:
        assert (await hub.next())["event"] == "reset"
        lists = {}
        for uri in await uris_of(platform):
            status, body, tag = await platform.fetch(f"/v1/status/{list_id(uri)}")
            token = open_list(body, trust=trust, at_s=int(time.time()))
            assert (status, token.uri, tag) == (200, uri, f'"{token.version}"')
            lists[uri] = token
        status, _ = await platform.control("colours", {"people": [4, 6], "colour": "red"})
        assert status == 200
        event = await hub.next()
        assert event["event"] == "delta"
        delta = open_delta(base64.b64decode(event["data"]), trust=trust, at_s=int(time.time()))
        packed = bytearray(lists[delta.uri].packed)
        apply_delta(packed, delta)
        assert StatusList(packed).get(4) == Colour.RED == StatusList(packed).get(6)
        _, body, tag = await platform.fetch(f"/v1/status/{list_id(delta.uri)}")
        assert open_list(body, trust=trust, at_s=int(time.time())).packed == packed
        assert (await platform.fetch(f"/v1/status/{list_id(delta.uri)}", **{"If-None-Match": tag}))[0] == 304


async def test_a_hub_that_comes_back_gets_what_it_missed(platform):
    async with Listener(platform) as hub:
        last = (await hub.next())["id"]
    await platform.control("places", {"place": "mall", "closed": True, "why": "负责人转红"})
    async with Listener(platform, last) as hub:
        event = await hub.next()
    assert json.loads(event["data"]) == {"place": "mall", "closed": True, "why": "负责人转红"}
    _, body, _ = await platform.fetch("/v1/places")
    assert json.loads(body) == {"closed": [{"place": "mall", "why": "负责人转红"}]}
    await platform.control("places", {"place": "mall", "closed": False})
    assert json.loads((await platform.fetch("/v1/places"))[1]) == {"closed": []}


async def test_keys_roll_over_and_the_old_codes_are_still_known(platform, authority_folder):
    text = (await platform.code({"person": 1}))[1]["text"]
    _, first, tag = await platform.fetch("/v1/trust")
    assert (await platform.fetch("/v1/trust", **{"If-None-Match": tag}))[0] == 304
    assert (await platform.control("trust", {}))[1] == {"version": 2}
    _, second, _ = await platform.fetch("/v1/trust", **{"If-None-Match": tag})
    bundle = bundle_of(second, authority_folder)
    assert bundle.version == bundle_of(first, authority_folder).version + 1
    fresh = (await platform.code({"person": 1}))[1]["text"]
    old, new = parse_text(text).kid, parse_text(fresh).kid
    assert old != new
    assert bundle.issuer_of(old) == bundle.issuer_of(new) is not None


@pytest.mark.parametrize(("scheme", "text_of"), [(Scheme.OPAQUE, opaque_text), (Scheme.CARD_NUMBER, id_number)])
async def test_a_number_is_looked_up_and_the_answer_is_signed(platform, authority_folder, scheme, text_of):
    trust = bundle_of((await platform.fetch("/v1/trust"))[1], authority_folder)
    await platform.code({"person": 4321, "name": "王伟"})
    await platform.control("colours", {"people": [4321], "colour": "yellow"})

    async def ask(person):
        query = Query(
            nonce=os.urandom(16), device=bytes(8), place="mall", gate="G1", scheme=scheme, text=text_of(person)
        )
        body = seal_query(query, resolver=trust.resolver)
        url = f"{platform.api}/v1/resolve"
        async with platform.session.post(url, data=body, ssl=platform.contexts["hub"]) as answer:
            assert answer.status == 200
            return open_resolved(await answer.read(), trust=trust, at_s=int(time.time()), device=bytes(8), id=query.id)

    found = await ask(4321)
    assert (found.found, found.colour) == (True, Colour.YELLOW)
    assert not (await ask(99)).found


async def test_a_desk_is_answered_the_same_each_time_and_its_visit_shown(platform, authority_folder):
    trust = bundle_of((await platform.fetch("/v1/trust"))[1], authority_folder)
    asked = Registration(
        nonce=os.urandom(16), place="mall", gate="G1", at_ms=time.time_ns() // 1_000_000,
        reply=X25519PrivateKey.generate().public_key().public_bytes_raw(), direction=Direction.IN,
        people=(Person(name="<b>无名氏</b>", number=id_number(5)),),
    )  # fmt: skip
    url, body = f"{platform.api}/v1/desk", seal_question(asked, resolver=trust.resolver)
    answers = []
    for _ in range(2):
        async with platform.session.post(url, data=body, ssl=platform.contexts["hub"]) as answer:
            assert answer.status == 200
            answers.append(await answer.read())
    assert answers[0] == answers[1]
    receipt = open_receipt(answers[0], trust=trust, at_s=int(time.time()), id=question_id(asked), ask=Ask.REGISTRATION)
    assert (receipt.colours, receipt.direction) == ((Colour.GREY,), Direction.IN)
    async with platform.session.get(f"{platform.pages}/") as page:
        text = await page.text()
    assert text.count("无名氏") == 1
    assert "<b>无名氏" not in text
    async with platform.session.post(url, data=body[:-1], ssl=platform.contexts["hub"]) as answer:
        assert answer.status == 400


def test_made_up_identity_numbers_are_well_formed():
    assert all(is_id_number(id_number(person)) for person in (0, 1, 999, 1000, 29_999_999))


@pytest.mark.parametrize(
    "wish",
    [
        *(
            [],
            {},
            {"people": [], "colour": "red"},
            {"people": [-1], "colour": "red"},
            {"people": [1], "colour": "grey"},
        ),
        *({"people": [True], "colour": "red"}, {"people": "1", "colour": "red"}, {"people": [1], "colour": 3}),
    ],
)
async def test_a_wish_that_is_none_changes_nothing(platform, wish):
    assert (await platform.control("colours", wish))[0] == 400
    assert (await platform.control("places", wish))[0] == 400


async def test_only_the_devices_hub_may_name_its_key_and_only_registered_hubs_may_ask(platform, gate):
    other = Ed25519SigningKey(os.urandom(32))
    assert await platform.tell(gate.told(other), key=other) in {400, 403}
    assert await platform.tell(gate.told(other), kid="00" * 8) == 400
    for path in ("/v1/trust", "/v1/status", "/v1/events", "/v1/places"):
        assert (await platform.fetch(path, who="other_hub"))[0] == 403
    assert (await platform.fetch("/v1/status/0000000000000000"))[0] == 404


async def test_a_hub_that_was_away_too_long_is_told_to_fetch_everything():
    events = Events(first=10)
    for number in range(KEPT_EVENTS + 5):
        events.publish("trust", str(number))

    async def first(last_id):
        stream = events.stream(last_id=last_id)
        text = await anext(stream)
        await stream.aclose()
        return text

    assert b"event: reset" in await first("10")
    assert b"event: reset" in await first("junk")
    assert b"event: reset" in await first(str(10**15))
    assert b"event: trust" in await first("20")
