import re

import pytest
from aiohttp.test_utils import TestClient, TestServer

import hub.health as module
from hub.health import Health, Metrics, health_app, serve_health


class FakeTime:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_a_loop_stalls_after_30_seconds_without_a_beat():
    now = FakeTime()
    health = Health(now_s=now)
    health.beat("ingest")
    health.beat("forward")
    now.now_s += 20
    health.beat("forward")
    assert health.stalled() == {}
    now.now_s += 11
    assert health.stalled() == {"ingest": 31.0}


def test_trouble_comes_and_goes():
    health = Health()
    health.trouble("database", "full")
    assert health.troubles() == {"database": "full"}
    health.trouble("database", None)
    health.trouble("database", None)
    assert health.troubles() == {}


def test_every_metric_is_documented_and_every_documented_metric_exists():
    documented = set(re.findall(r"^\| `([a-z_]+)(?:\{[a-z,]+\})?` \|", module.__doc__, re.MULTILINE))
    exists = set()
    for family in Metrics().registry.collect():
        name = family.name.removeprefix("gatelight_hub_")
        exists.add(f"{name}_total" if family.type == "counter" else name)
    assert documented == exists


def test_two_hubs_in_one_process_share_nothing():
    one, other = Metrics(), Metrics()
    one.forks.inc()
    assert b"gatelight_hub_forks_total 1.0" in one.text()
    assert b"gatelight_hub_forks_total 0.0" in other.text()


@pytest.fixture
async def pages():
    now = FakeTime()
    health, metrics = Health(now_s=now), Metrics()
    asked = []

    async def refresh():
        asked.append(1)
        metrics.outbox_rows.set(7)

    async with TestClient(TestServer(health_app(health=health, metrics=metrics, refresh=refresh))) as client:
        yield client, health, now, asked


@pytest.mark.sockets
async def test_healthz_says_which_loop_stands(pages):
    client, health, now, _ = pages
    health.beat("ingest")
    answer = await client.get("/healthz")
    assert (answer.status, await answer.json()) == (200, {"ok": True, "stalled": {}})
    now.now_s += 31
    answer = await client.get("/healthz")
    assert (answer.status, await answer.json()) == (503, {"ok": False, "stalled": {"ingest": 31.0}})


@pytest.mark.sockets
async def test_readyz_gives_the_reasons(pages):
    client, health, _, asked = pages
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": {}, "warnings": {}})
    health.warn("trust", "ends soon")
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["warnings"]) == (200, {"trust": "ends soon"})
    health.trouble("database", "the disk is full")
    health.warn("trust", None)
    answer = await client.get("/readyz")
    said = {"ready": False, "reasons": {"database": "the disk is full"}, "warnings": {}}
    assert (answer.status, await answer.json()) == (503, said)
    assert len(asked) == 3


@pytest.mark.sockets
async def test_metrics_are_prometheus_text_of_this_moment(pages):
    client, *_ = pages
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    assert "gatelight_hub_outbox_rows 7.0" in await answer.text()


@pytest.mark.sockets
async def test_a_port_that_is_taken_is_an_error():
    async def refresh():
        pass

    def app():
        return health_app(health=Health(), metrics=Metrics(), refresh=refresh)

    runner = await serve_health(app(), host="127.0.0.1", port=0)
    port = runner.addresses[0][1]
    with pytest.raises(OSError, match="address already in use"):
        await serve_health(app(), host="127.0.0.1", port=port)
    await runner.cleanup()
