"""The stand-in platform over real sockets and TLS: what a hub, a phone, a browser and an attacker get."""

import io
import os
import random

import aiohttp
import pytest

from protocol.batch import open_batch_receipt
from protocol.codes import parse_text
from protocol.keys import Ed25519SigningKey
from protocol.limits import BATCH_BYTES

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

HUB_ID = b"hub-no-1"


async def test_a_batch_is_stored_and_signed_for(platform, gate):
    body = platform.sealed(gate.chain(3))
    status, answer = await platform.post(body)
    assert status == 200
    receipt = open_batch_receipt(answer, key=platform.receipts)
    assert (receipt.stored, receipt.rejected) == (3, ())
    assert await platform.post(body) == (200, answer)
    summary = await platform.summary()
    assert (summary["distinct"], summary["again"]) == (3, 0)
    assert summary["chains"][0]["head_hash"] == gate.prev.hex()


@pytest.mark.parametrize("who", ["no_certificate", "foreign_certificate", "old_tls"])
async def test_without_the_platforms_client_certificate_there_is_no_door(platform, gate, who):
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await platform.post(platform.sealed(gate.chain(1)), who=who)
    assert (await platform.summary())["rows"] == 0


@pytest.mark.parametrize("who", ["other_hub", "no_hex"])
async def test_a_certificate_of_no_registered_hub_is_refused(platform, gate, who):
    status, _ = await platform.post(platform.sealed(gate.chain(1)), who=who)
    assert status == 403


async def test_a_batch_signed_by_another_key_or_for_another_hub_is_refused(platform, gate):
    checkins = gate.chain(1)
    assert (await platform.post(platform.sealed(checkins, key=Ed25519SigningKey(os.urandom(32)))))[0] == 403
    assert (await platform.post(platform.sealed(checkins, hub=bytes(8))))[0] == 403
    assert (await platform.summary())["rows"] == 0


async def test_a_batch_id_for_other_content_is_a_conflict(platform, gate):
    checkins, batch_id = gate.chain(2), os.urandom(16)
    assert (await platform.post(platform.sealed(checkins, batch_id=batch_id)))[0] == 200
    assert (await platform.post(platform.sealed(checkins[:1], batch_id=batch_id)))[0] == 409


async def test_a_body_over_the_limit_is_refused_before_it_is_read_whole(platform):
    status, _ = await platform.post(io.BytesIO(b"x" * (BATCH_BYTES + 1)))
    assert status == 413


async def test_mutated_batches_are_refused_and_the_platform_lives_on(platform, gate):
    rng = random.Random(7)
    body = platform.sealed(gate.chain(2))
    for _ in range(150):
        mutated = bytearray(body)
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        if bytes(mutated) == body:
            continue
        status, _ = await platform.post(bytes(mutated[: rng.choice([len(body), rng.randrange(len(body))])]))
        assert status in {400, 403, 413}
    assert (await platform.summary())["rows"] == 0
    assert (await platform.post(body))[0] == 200


async def test_a_phone_gets_a_code_and_the_page_the_name(platform, gate):
    status, answer = await platform.code({"person": 5, "name": "<b>张伟</b>", "colour": "green"})
    assert status == 200
    code = parse_text(answer["text"])
    await platform.post(platform.sealed([gate.next(subject=code.claims.subject)]))
    async with platform.session.get(f"{platform.pages}/") as page:
        text = await page.text()
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "&lt;b&gt;张伟&lt;/b&gt;" in text
    assert "<b>张伟" not in text


@pytest.mark.parametrize(
    "wish",
    [
        [],
        "x",
        {},
        {"person": -1},
        {"person": 2**32},
        {"person": True},
        {"person": "1"},
        {"person": 1, "colour": "blue"},
        {"person": 1, "colour": "grey"},
        {"person": 1, "kind": "gold"},
        {"person": 1, "name": 5},
        {"person": 1, "name": "x" * 65},
        {"person": 1, "masked": ["a", "b"]},
        {"person": 1, "masked": ["a", "b", 3]},
        {"person": 1, "masked": ["a" * 33, "b", "c"]},
    ],
)
async def test_a_senseless_wish_is_refused(platform, wish):
    assert (await platform.code(wish))[0] == 400


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"\xff", 400), (b"[" * 4096, 400), (b"[" * (1 << 20 | 1), 413)]
)
async def test_a_wish_that_is_no_json_is_refused(platform, body, status):
    async with platform.session.post(f"{platform.pages}/sandbox/codes", data=io.BytesIO(body)) as answer:
        assert answer.status == status


async def test_a_gates_rows_are_read_back_without_personal_data(platform, gate):
    await platform.post(platform.sealed(gate.chain(3)))
    path = f"{platform.pages}/v1/devices/{gate.device.hex()}/{gate.epoch.hex()}/checkins"
    async with platform.session.get(path, params={"after": "1"}) as answer:
        rows = (await answer.json())["rows"]
    assert [row["seq"] for row in rows] == [2, 3]
    assert not {"subject", "masked", "sealed", "code"} & set(rows[0])


@pytest.mark.parametrize("question", ["zz/00/checkins", "00/00/checkins?after=x", "00/00/checkins?after=-1"])
async def test_a_senseless_question_is_refused(platform, question):
    async with platform.session.get(f"{platform.pages}/v1/devices/{question}") as answer:
        assert answer.status == 400
