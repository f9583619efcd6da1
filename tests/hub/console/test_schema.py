"""schemathesis over all functions of the API, in memory: no error of ours, and every answer is what OpenAPI says.

Some requests fit the description and some are made not to. The hub's process does not run here: what needs it answers
503, as the description says too.
"""

import asyncio
import dataclasses
import json
import random
from datetime import timedelta

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.console.api.reference import described
from hub.console.app import console_app, routes
from hub.console.errands import Errands
from hub.console.web.pace import Pace
from hub.enrol.rates import Rates
from hub.model import Role

from .asking import OURS, ask
from .conftest import CALLER, Clock, open_console

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
UNAVAILABLE = 503


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.RESPONSIBLE, Role.ATTENDANT])
def test_every_answer_is_as_described(tmp_path, role):
    counts: dict[int, int] = {}
    with asyncio.Runner() as runner:
        opened = open_console(tmp_path / "hub.sqlite", clock=Clock())
        console = runner.run(opened.__aenter__())
        try:
            fast = Rates(burst=10**9, per_s=1)
            console.site = dataclasses.replace(
                console.site,
                pace=Pace(accounts=fast, addresses=fast),
                errands=Errands(store=console.store, now_ms=console.clock.now_ms, longest_s=0.01),
            )
            console.app = console_app(console.site)
            schema = schemathesis.openapi.from_dict(described(routes()))
            for result in schema.get_all_operations():
                exercise(runner, console, role, result.ok(), counts)
        finally:
            runner.run(opened.__aexit__(None, None, None))
    assert counts.get(200)
    assert counts.get(422)


def exercise(runner, console, role, operation, counts) -> None:
    positive = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    negative = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    dice = random.Random(operation.label)

    @seeded(5)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=positive | negative)
    def one(case) -> None:
        # What is there, in every second path: else all that comes is 404.
        for name in case.path_parameters or {}:
            if name in OURS and dice.random() < 0.5:
                case.path_parameters[name] = OURS[name]
        sent = requests.Request(**case.as_transport_kwargs(base_url=console.site.url)).prepare()
        answer = runner.run(send(console, role, sent))
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
        if answer.status_code == UNAVAILABLE:
            assert set(json.loads(answer.content)) >= {"error", "what"}
            return
        case.validate_response(answer, checks=CHECKS)

    one()


async def send(console, role, sent) -> httpx.Response:
    account = await console.store.find_account(role.value) or await console.account(role)
    made = await console.site.door.add_token(account, label="test", days=1, caller=CALLER)
    headers = {"authorization": f"Bearer {made.token}"}
    if "Content-Type" in sent.headers:
        headers["content-type"] = sent.headers["Content-Type"]
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
    answer = await ask(console.app, sent.method, sent.url, headers=headers, body=body)
    request = httpx.Request(sent.method, sent.url, headers=headers, content=body)
    told = httpx.Response(answer.status, headers=answer.headers, content=answer.body, request=request)
    told.elapsed = timedelta()
    return told
