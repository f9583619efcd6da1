import asyncio
from types import SimpleNamespace

import pytest

from hub.console.accounts.door import hashed
from hub.console.web.asking import Signed
from hub.console.web.slots import Slots
from hub.console.web.stream import EventStream, event
from hub.model import Role
from hub.store.errors import StoreWriteError

CALLER_GONE = {"type": "http.disconnect"}


class Reader:
    """A browser's end of a stream."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.text = ""
        self.gone = asyncio.Event()
        self.came = asyncio.Event()

    async def receive(self):
        await self.gone.wait()
        return CALLER_GONE

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.text += message["body"].decode()
        self.came.set()

    async def until(self, text: str) -> None:
        async with asyncio.timeout(5):
            while text not in self.text:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
async def who(console) -> Signed:
    client = await console.signed_in(Role.OPERATOR)
    token = client.cookies["gatelight"]
    session, account = await console.store.find_session(hashed(token), now_ms=console.clock.ms)
    return Signed(account=account, session=session, now_ms=console.clock.ms, token=token)


def start(console, who, look, reader, **settings):
    request = SimpleNamespace(scope={"site": console.site})
    quick = {"every_s": 0.001, "session_s": 0.002} | settings
    stream = EventStream(request, who, look, **quick)
    return asyncio.create_task(stream({"type": "http"}, reader.receive, reader.send))


def telling(**seen: str):
    async def look():
        return seen

    return look


async def test_tells_how_things_are_and_then_only_what_has_changed(console, who):
    seen, reader = {"count": "1", "table": "a\nb"}, Reader()

    async def look():
        return seen

    task = start(console, who, look, reader)
    await reader.until("event: table\ndata: a\ndata: b\n\n")
    seen["count"] = "2"
    await reader.until("event: count\ndata: 2\n\n")

    assert reader.status == 200
    assert reader.headers[b"content-type"].startswith(b"text/event-stream")
    assert reader.text.count("event: table") == 1
    reader.gone.set()
    await asyncio.wait_for(task, 5)


async def test_says_something_when_nothing_happens(console, who):
    reader = Reader()
    task = start(console, who, telling(), reader, comment_s=0.002)
    await reader.until("\n\n:\n\n:\n\n")
    reader.gone.set()
    await asyncio.wait_for(task, 5)


async def test_ends_with_the_session(console, who):
    reader = Reader()
    task = start(console, who, telling(a="1"), reader)
    await reader.until("event: a")
    await console.site.door.sign_out(who.session, who="somebody")
    await asyncio.wait_for(task, 5)

    assert reader.text.endswith("event: ended\ndata: \n\n")


async def test_ends_when_the_session_expires_because_a_stream_does_not_prolong_it(console, who):
    reader = Reader()
    task = start(console, who, telling(), reader)
    await reader.until("retry")
    console.clock.pass_s(2 * 3600 + 1)
    await asyncio.wait_for(task, 5)

    assert "event: ended" in reader.text


async def test_no_news_when_the_database_refuses(console, who):
    answers, reader = [{"a": "1"}, StoreWriteError("busy"), {"a": "2"}], Reader()

    async def look():
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, StoreWriteError):
            raise answer
        return answer

    task = start(console, who, look, reader)
    await reader.until("data: 2")
    reader.gone.set()
    await asyncio.wait_for(task, 5)


async def test_lets_go_of_a_reader_who_takes_nothing(console, who):
    reader = Reader()

    async def stuck(_message) -> None:
        await asyncio.Event().wait()

    reader.send = stuck
    task = start(console, who, telling(a="1"), reader, reader_s=0.01)
    await asyncio.wait_for(task, 5)

    assert not console.site.slots.full(who.account.name)


async def test_an_account_has_only_so_many(console, who):
    slots = Slots(account_most=2, most=3)
    object.__setattr__(console.site, "slots", slots)
    readers = [Reader() for _ in range(3)]
    tasks = []
    for reader in readers[:2]:
        tasks.append(start(console, who, telling(a="1"), reader))
        await reader.until("event: a")

    await start(console, who, telling(a="1"), readers[2])
    assert (readers[2].status, readers[2].headers[b"retry-after"]) == (429, b"30")
    assert "too_many_requests" in readers[2].text

    readers[0].gone.set()
    await asyncio.wait_for(tasks[0], 5)
    again = Reader()
    tasks.append(start(console, who, telling(a="1"), again))
    await again.until("event: a")
    again.gone.set()
    readers[1].gone.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


def test_there_are_only_so_many_in_all():
    slots = Slots(account_most=2, most=3)
    with slots.one("a"), slots.one("a"), slots.one("b"):
        assert slots.full("a")
        assert slots.full("c")
    assert not slots.full("a")


def test_a_text_cannot_end_its_event():
    assert event("a", "x\n\nevent: b\r\ndata: y") == "event: a\ndata: x\ndata: \ndata: event: b\ndata: data: y\n\n"
