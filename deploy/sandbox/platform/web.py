"""The stand-in platform's two doors.

The HTTPS door is the wire: TLS 1.3, and a client certificate of the platform's own CA whose common name
is the hub's id. The plain HTTP door listens on loopback only, for people who look at the pages, for the
sandbox's phones, and for the summary that proves a run.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

from aiohttp import web

from deploy.sandbox.platform import pages
from deploy.sandbox.platform.authority import load_authority
from deploy.sandbox.platform.config import ApiConfig, PlatformConfig
from deploy.sandbox.platform.controls import Controls
from deploy.sandbox.platform.desk import DeskWindow
from deploy.sandbox.platform.feed import Feed
from deploy.sandbox.platform.lookup import LookUp
from deploy.sandbox.platform.places import DeadCodeError, Places
from deploy.sandbox.platform.statuses import Statuses
from deploy.sandbox.platform.store import OtherContentError, PlatformStore
from deploy.sandbox.platform.traces import Traces
from deploy.sandbox.platform.tracing import Tracing
from deploy.sandbox.platform.wallet import CodeKind, CodeRequest, Wallet
from protocol.batch import BatchReceipt, open_batch, seal_batch_receipt
from protocol.errors import LimitError, ProtocolError
from protocol.limits import BATCH_BYTES
from protocol.terms import Colour

COSE = "application/cose"
PAGES_BYTES = 1024 * 1024
"""The colours of 100,000 people at once, as a story may ask for them."""
NAME_CHARS = 64
PAGE_ROWS = 5_000
UINT63_MAX = 2**63 - 1

T = TypeVar("T")


class Platform:
    """Both servers over one store. Build it, `start` it, `stop` it."""

    def __init__(self, config: PlatformConfig) -> None:
        self._config = config
        self._authority = authority = load_authority(config.authority)
        self._statuses = Statuses(config.database.with_name("statuses.sqlite"), keys=authority.issuers)
        self._wallet = Wallet(authority, reference=self._statuses.reference)
        self._store = PlatformStore(config.database, open_subject=self._wallet.open_subject)
        self._places = Places(
            config.database.with_name("places.sqlite"),
            private=authority.resolver,
            key=lambda: authority.places,
            known=self._store.is_known,
            colour=self._statuses.colour,
        )
        lookup = LookUp(
            private=authority.resolver,
            key=lambda: authority.resolved,
            statuses=self._statuses,
            known=self._store.is_known,
            seal_subject=self._wallet.seal_subject,
        )
        self._feed = Feed(
            authority=authority,
            store=self._store,
            statuses=self._statuses,
            lookup=lookup,
            desk=DeskWindow(
                private=authority.resolver, key=lambda: authority.resolved, lists=lookup, store=self._store
            ),
            places=self._places,
            on_disk=self._on_disk,
            hub_of=lambda request: config.hubs.get(_certificate_name(request)),
        )
        self._traces = Traces(
            config.database.with_name("traces.sqlite"),
            store=self._store,
            hubs=config.hubs,
            key=authority.tracer,
            open_subject=self._wallet.open_subject,
        )
        self._tracing = Tracing(
            self._traces,
            names=self._store.names,
            on_disk=self._on_disk,
            hub_of=lambda request: config.hubs.get(_certificate_name(request)),
            announce=self._feed.trace,
        )
        self._beating: asyncio.Task[None] | None = None
        # One thread owns the database, so that the event loop never waits for a disk.
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        """Opens both doors."""
        api = web.Application(client_max_size=BATCH_BYTES)
        api.router.add_post("/v1/checkins", self._take_batch)
        api.router.add_routes(self._feed.routes())
        api.router.add_routes(self._tracing.hub_routes())
        site = web.Application(client_max_size=PAGES_BYTES)
        site.middlewares.append(_harden)
        site.router.add_get("/", self._front)
        site.router.add_get("/style.css", _style)
        site.router.add_get("/v1/summary", self._summary)
        site.router.add_get("/v1/devices/{device}/{epoch}/checkins", self._of_device)
        site.router.add_post("/sandbox/codes", self._make_code)
        site.router.add_post("/sandbox/scans", self._scan_poster)
        site.router.add_get("/sandbox/visits/{place}", self._visits)
        site.router.add_routes(self._tracing.page_routes())
        site.router.add_routes(Controls(self._feed).routes())
        tls = server_context(self._config.api)
        for app, address, context in (
            (api, self._config.api, tls),
            (site, self._config.pages, None),
        ):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            self._runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, address.host, address.port, ssl_context=context).start()
        self._beating = asyncio.create_task(self._feed.beat())

    async def stop(self) -> None:
        """Closes the doors, lets the last transaction end, closes the files."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        self._disk.shutdown(wait=True)
        self._store.close()
        self._statuses.close()
        self._places.close()
        self._traces.close()

    async def _take_batch(self, request: web.Request) -> web.Response:
        body = await request.read()
        hub_id = _certificate_name(request)
        key = self._config.hubs.get(hub_id)
        if key is None:
            return _refused(403, "unknown_hub", "no hub of this name is registered")
        try:
            batch = open_batch(body, key=key)
        except LimitError as error:
            return _refused(413, error.reason, str(error))
        except ProtocolError as error:
            return _refused(403 if error.reason == "bad_signature" else 400, error.reason, str(error))
        if batch.hub != hub_id:
            return _refused(403, "unknown_hub", "the batch names another hub than the certificate")

        def seal(receipt: BatchReceipt) -> bytes:
            return seal_batch_receipt(receipt, key=self._authority.receipts)

        try:
            answer = await self._on_disk(lambda: self._store.take(batch, seal=seal, now_ms=time.time_ns() // 1_000_000))
        except OtherContentError:
            return _refused(409, "other_content", "this batch id was used for other check-ins")
        return web.Response(body=answer, content_type=COSE)

    async def _make_code(self, request: web.Request) -> web.Response:
        try:
            asked, name = _read_request(await request.json())
            text = self._wallet.code(asked, now_s=int(time.time()))
        except (ValueError, TypeError, KeyError, RecursionError, ProtocolError) as error:
            return _refused(400, "malformed", f"{type(error).__name__}: {error}")
        if name:
            await self._on_disk(lambda: self._store.remember(asked.person, name))
        return web.json_response({"text": text})

    async def _scan_poster(self, request: web.Request) -> web.Response:
        """A phone has scanned a place's code: its own colour, and where it is."""
        try:
            text, person = _read_scan(await request.json())
            visit, name = await self._on_disk(
                lambda: self._places.visit(
                    text, person, trust=self._authority.trust, now_ms=time.time_ns() // 1_000_000
                )
            )
        except DeadCodeError as error:
            return _refused(410, "dead", str(error))
        except (ValueError, TypeError, KeyError, RecursionError, ProtocolError) as error:
            return _refused(400, "malformed", f"{type(error).__name__}: {error}")
        return web.json_response({"place": visit.place, "name": name, "colour": visit.colour.wire_name})

    async def _visits(self, request: web.Request) -> web.Response:
        visits = await self._on_disk(lambda: self._places.visits(request.match_info["place"]))
        return web.json_response({"visits": [asdict(visit) for visit in visits]})

    async def _summary(self, _request: web.Request) -> web.Response:
        totals, chains = await self._on_disk(lambda: (self._store.totals(), self._store.chains()))
        return web.json_response({**totals, "chains": [_plain(asdict(chain)) for chain in chains]})

    async def _of_device(self, request: web.Request) -> web.Response:
        try:
            device = bytes.fromhex(request.match_info["device"])
            epoch = bytes.fromhex(request.match_info["epoch"])
            after_seq = int(request.query.get("after", "0"))
        except ValueError as error:
            return _refused(400, "malformed", str(error))
        if not 0 <= after_seq <= UINT63_MAX:
            return _refused(400, "malformed", "after is out of range")
        rows = await self._on_disk(lambda: self._store.of_device(device, epoch, after_seq=after_seq, limit=PAGE_ROWS))
        return web.json_response({"rows": [_plain(asdict(row)) for row in rows]})

    async def _front(self, _request: web.Request) -> web.Response:
        view = await self._on_disk(
            lambda: pages.Front(
                totals=self._store.totals(),
                chains=self._store.chains(),
                tally=self._store.tally(),
                newest=self._store.newest(limit=pages.NEWEST_ROWS),
                desk=self._store.desk_visits(limit=pages.DESK_ROWS),
                names=self._store.names(),
                issuers=self._authority.issuer_names(),
            )
        )
        return web.Response(text=pages.front(view), content_type="text/html", charset="utf-8")

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def server_context(config: ApiConfig) -> ssl.SSLContext:
    """TLS 1.3 only, and nobody without a certificate of the platform's CA gets past the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(config.ca)
    context.load_cert_chain(config.cert, config.key)
    return context


def _certificate_name(request: web.Request) -> bytes:
    """The common name of the client's certificate as a hub id; empty when it is none."""
    transport = request.transport
    certificate: Any = transport.get_extra_info("peercert") if transport is not None else None
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                try:
                    return bytes.fromhex(value)
                except ValueError:
                    return b""
    return b""


def _read_request(wish: Any) -> tuple[CodeRequest, str]:
    """Checks a phone's JSON.

    Raises:
        ValueError, TypeError, KeyError: it is not a wish of ours.
    """
    if not isinstance(wish, dict):
        raise TypeError("not an object")
    person, name, masked = wish["person"], wish.get("name", ""), wish.get("masked")
    if type(person) is not int or not 0 <= person < 2**32:
        raise ValueError("person is not a number of 32 bits")
    if not isinstance(name, str) or len(name) > NAME_CHARS:
        raise ValueError(f"name is not a text of at most {NAME_CHARS} characters")
    if masked is not None and (
        not isinstance(masked, list) or len(masked) != 3 or not all(isinstance(part, str) for part in masked)
    ):
        raise ValueError("masked is not three texts")
    asked = CodeRequest(
        person=person,
        colour=Colour[str(wish.get("colour", "green")).upper()],
        kind=CodeKind(wish.get("kind", "live")),
        masked=None if masked is None else (masked[0], masked[1], masked[2]),
    )
    if asked.colour is Colour.GREY:
        raise ValueError("grey is a gate's colour, nobody's code")
    return asked, name


def _read_scan(wish: Any) -> tuple[str, int]:
    """Checks what a phone sends that has scanned a poster. Raises ValueError, TypeError or KeyError."""
    text, person = wish["text"], wish["person"]
    if not isinstance(text, str) or type(person) is not int or not 0 <= person < 2**32:
        raise ValueError("not a text and a person's number")
    return text, person


@web.middleware
async def _harden(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """The pages run no script and load nothing from elsewhere, whatever stands in a row."""
    response: web.StreamResponse = await handler(request)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _style(_request: web.Request) -> web.Response:
    return web.Response(text=pages.STYLE, content_type="text/css", charset="utf-8")


def _refused(status: int, reason: str, what: str) -> web.Response:
    return web.Response(
        status=status, text=json.dumps({"error": reason, "what": what[:200]}), content_type="application/json"
    )


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Bytes as hex, for JSON."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
