"""Every route asked in the same way: what fills a path, and an answer whose stream need not end."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel

from hub.console.app import routes
from hub.console.web.routes import Route, every_route

OURS = {
    "account": "operator",
    "application_id": "0" * 32,
    "device": "d1" * 8,
    "device_id": "d1" * 8,
    "enrolment": "e1" * 16,
    "enrolment_id": "e1" * 16,
    "alert": "1",
    "channel": "1",
    "command_id": "0" * 32,
    "gate": "G1",
    "gate_id": "G1",
    "invitation_id": "0" * 32,
    "name": "operator",
    "number": "7K3M-9QXA",
    "place": "mall",
    "place_id": "mall",
    "session_id": "0" * 16,
    "slip": "7K3M-9QXA",
    "token": "t" * 43,
    "version": "1",
}
"""What stands in a path for each parameter's name. In `mall` scoped roles have their place or gate."""
ASKED = {"from_ms": "1789999200000", "to_ms": "1790002800000", "ask": "0"}
"""What stands in a query for each parameter that must be there."""
THEIRS = OURS | {"place": "station", "place_id": "station"}
"""A place that is there, and not of a scoped account."""

ROUTES = list(every_route(routes()))
SAFE = {"GET", "HEAD", "OPTIONS"}


def filled(route: Route, values: dict[str, str] = OURS) -> str:
    path = route.path
    for parameter in route.dependant.path_params:
        name = parameter.alias
        assert name in values, (
            f"{route}: no test knows what to put for {{{name}}}. "
            "Add a value to OURS in tests/hub/console/asking.py, or name the parameter as others do."
        )
        path = path.replace(f"{{{name}}}", quote(values[name], safe=""))
    assert "{" not in path, path
    needed = set().union(*map(must_be_asked, route.dependant.query_params))
    assert needed <= ASKED.keys(), f"{route}: no test knows what to ask for {needed - ASKED.keys()}; add it to ASKED"
    return path + ("?" + urlencode({name: ASKED[name] for name in sorted(needed)}) if needed else "")


def must_be_asked(parameter: Any) -> set[str]:
    """Its name, or those of a whole model of parameters."""
    kind = parameter.field_info.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {each.alias or name for name, each in kind.model_fields.items() if each.is_required()}
    return {parameter.alias} if parameter.field_info.is_required() else set()


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


async def ask(app: Any, method: str, url: str, *, headers: dict[str, str], body: bytes = b"") -> Answer:
    """One request; of a stream that goes on, what came in the first moments."""
    answer, begun, sent = Answer(), asyncio.Event(), asyncio.Event()
    parts = urlsplit(url)

    async def receive() -> dict[str, Any]:
        if sent.is_set():
            await asyncio.Event().wait()
        sent.set()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            begun.set()
        else:
            answer.body += message.get("body", b"")

    told = {"host": "127.0.0.1:8445", "accept-language": "en"} | headers
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8445),
        "state": {},
        "extensions": {},
    }
    task = asyncio.create_task(app(scope, receive, send))
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    streams = answer.headers.get("content-type", "").startswith("text/event-stream")
    done, _ = await asyncio.wait({task}, timeout=0.2 if streams else 30)
    if not done:
        assert streams, f"{method} {url} does not come to its end"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    else:
        task.result()
    return answer
