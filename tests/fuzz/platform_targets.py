"""Targets of the hub's side to the platform: its receipts, its stream of events, its closed places."""

from types import SimpleNamespace
from typing import Any

from hub.deliver.answer import Receipted, read_answer
from hub.model import OutboxRow
from hub.store.trust_ports import ClosedBy
from hub.trust import platform
from hub.trust.follow import Follow
from hub.trust.lists import Lists
from hub.trust.places import PlatformPlaces
from hub.trust.ports import PlatformError
from hub.trust.sse import SseReader, StreamError
from protocol.errors import ProtocolError
from tests.fuzz.seeds import payloads
from tests.fuzz.stand_ins import ANY_TRUST, SILENT, sealed
from tests.fuzz.target import Target, require
from tests.fuzz.words import JSON_WORDS
from tests.fuzz.world import DEVICE, NOW_S

_ROWS = [OutboxRow(row_id=at, device_id=DEVICE, epoch=bytes(8), seq=at + 1, sealed=b"") for at in range(3)]
_BATCH_ID = bytes.fromhex("4f3c7a1874914c6f2cf67e020e61aa20")


def _platform_answer(data: bytes) -> None:
    """Status, then the payload of a receipt, which is put into an envelope: what the platform answers to a batch."""
    status = 100 + int.from_bytes(data[:2], "big") % 500
    answer = read_answer(status, sealed(data[2:]), batch_id=_BATCH_ID, rows=_ROWS, trust=ANY_TRUST, now_ms=NOW_S * 1000)
    if isinstance(answer, Receipted):
        require(status == 200, "believed under another status")
        rows = {row.row_id for row in answer.rejected}
        require(len(rows) == len(answer.rejected) <= len(_ROWS), "a row rejected twice, or one that was not sent")


def _answers():
    for payload in payloads("batch-receipts")():
        yield b"\x00\x64" + payload
    yield b"\x00\x64" + bytes.fromhex("a40150") + _BATCH_ID + bytes.fromhex("02010382000a820216041b000001a202451839")
    yield b"\x01\x2c"


class _Closings:
    """A store of closings in memory; `hub.store.sqlite` writes text, so text it must be."""

    def __init__(self) -> None:
        self.closed: dict[str, Any] = {}

    async def closings(self) -> tuple[Any, ...]:
        """All."""
        return tuple(self.closed.values())

    async def close_place(self, closing: Any, *, audit: Any) -> bool:
        """Add."""
        f"{closing.place_id}{closing.why}{audit.detail}".encode()
        self.closed[closing.place_id] = closing
        require(closing.by is ClosedBy.PLATFORM, "closed in somebody else's name")
        return True

    async def open_place(self, place_id: str, *, by: Any, audit: Any) -> bool:
        """Remove."""
        audit.detail.encode()
        return self.closed.pop(place_id, None) is not None


def _at_once(coroutine: Any) -> Any:
    """The value of a coroutine that waits for nobody."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class _NoPlatform:
    async def trust(self, *, version: int) -> bytes | None:
        """Nothing newer."""
        return None

    async def lists(self) -> tuple[str, ...]:
        """One."""
        return ("https://status.example/cn-11/7",)

    async def closed_places(self) -> tuple[Any, ...]:
        """None."""
        return ()


def _follow() -> tuple[Follow, Lists]:
    lists = Lists()
    lists.name(["https://status.example/cn-11/7"])
    trust = SimpleNamespace(find=ANY_TRUST.find, issuer_of=lambda _kid: None, version=1)
    places = PlatformPlaces(store=_Closings(), now_ms=lambda: NOW_S * 1000)
    follow = Follow(
        source=_NoPlatform(),
        board=SILENT,
        bundle=SimpleNamespace(current=trust),
        lists=lists,
        fetch=SILENT,
        places=places,
        keeping=SILENT,
        refusals=SILENT,
        health=SILENT,
        metrics=SILENT,
        now_ms=lambda: NOW_S * 1000,
        on_trace=lambda: None,
    )
    return follow, lists


def _events(pieces: list[bytes]) -> tuple[list[Any], bool]:
    reader, events = SseReader(last_id="5"), []
    try:
        for piece in pieces:
            events += reader.feed(piece)
    except StreamError:
        return events, True
    return events, False


def _sse(data: bytes) -> None:
    """The platform's stream, at once and cut in two: the same events; then each is followed, and raises nothing."""
    if not data:
        return
    cut, data = data[0] % len(data), data[1:]
    whole, broken = _events([data])
    parts, broken_parts = _events([data[:cut], data[cut:]])
    require(broken == broken_parts and (broken or whole == parts), "other events when it comes in two pieces")
    if not whole:
        return
    follow, lists = _follow()
    for event in whole:
        require(not event.last_id or 0 <= int(event.last_id) < 10**19, "an id that no database holds")
        _at_once(follow.take(event))
    require(len(lists) <= 64, "more lists than there may be")


def _streams():
    import base64

    for kind, data in (
        ("delta", base64.b64encode(sealed(next(iter(payloads("status-deltas")())))).decode()),
        ("list", "https://status.example/cn-11/8"),
        ("trust", "8"),
        ("place", '{"place": "mall-1", "closed": true, "why": "a case"}'),
        ("place", '{"place": "mall-1", "closed": false}'),
        ("reset", ""),
    ):
        yield b"\x04" + f"event: {kind}\ndata: {data}\nid: 6\n\n".encode()
    yield b"\x07\xef\xbb\xbf: comment\r\ndata\r\ndata: a\r\n\r\nretry: 5\r\rid\n\n"


def _places(data: bytes) -> None:
    """The platform's JSON of closed places, up to what is written down."""
    match platform._read_json(data.decode(errors="replace")):
        case {"closed": list(entries)}:
            places = tuple(platform._closed_place(entry) for entry in entries)
        case _:
            return
    closings = _Closings()
    keeper = PlatformPlaces(store=closings, now_ms=lambda: NOW_S * 1000)
    _at_once(keeper.replace(places))
    require(closings.closed.keys() == {place.place_id for place in places}, "other places than were named")
    require(all(len(kept.why) <= 200 for kept in closings.closed.values()), "a longer reason than is kept")


TARGETS = (
    Target(
        name="platform-answer",
        decoder="hub.deliver.answer.read_answer",
        check=_platform_answer,
        seeds=_answers,
        bytes_max=160,
    ),
    Target(
        name="platform-stream",
        decoder="hub.trust.sse.SseReader, hub.trust.follow.Follow.take",
        check=_sse,
        seeds=_streams,
        words=(b"event: ", b"data: ", b"id: ", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"delta", b"place", *JSON_WORDS),
    ),
    Target(
        name="platform-places",
        decoder="hub.trust.platform, JSON of closed places",
        check=_places,
        seeds=lambda: (b'{"closed": [{"place": "mall-1", "why": "a case"}]}', b'{"closed": []}'),
        bytes_max=256,
        words=JSON_WORDS,
        refuses=(PlatformError, ProtocolError),
    ),
)
