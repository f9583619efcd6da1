"""Whether the hub is well, for machines: /healthz, /readyz and /metrics on a loopback port.

    /healthz   200 while every loop has shown progress within 30 s: if not, restart the process
    /readyz    200 when connected to the broker and the database takes commits, else 503 with the reasons; warnings
               stand beside them and change nothing
    /metrics   Prometheus text format

| metric (prefix `gatelight_hub_`) | kind | meaning |
|---|---|---|
| `messages_received_total` | counter | messages from devices, of whatever sort |
| `checkins_received_total` | counter | check-ins in messages that could be taken apart |
| `checkins_stored_total` | counter | check-ins committed as rows |
| `checkins_duplicate_total` | counter | check-ins seen before, which changed nothing |
| `refused_total{reason}` | counter | messages of which nothing was kept: unknown_device, quarantined, revoked, ... |
| `quarantined_total{reason}` | counter | entries kept as evidence instead of as rows, at ingest or forward |
| `stopped_total` | counter | messages that did not follow the head and were answered with it |
| `forks_total` | counter | devices stopped because of a fork: somebody must look at each |
| `bounds_passed_total{reason}` | counter | devices stopped: quarantine_full, epochs_full, gaps_full |
| `gaps_total` | counter | gaps noted, which no device can fill any more |
| `receipts_sent_total` | counter | receipts written to the broker |
| `receipts_dropped_total` | counter | receipts not written, because the connection was gone or full |
| `receipt_latency_seconds` | histogram | arrival of the oldest message of a micro-batch to its receipts |
| `commit_seconds` | histogram | duration of a commit that succeeded |
| `commit_rows` | histogram | rows in a commit |
| `store_failures_total` | counter | attempts at the database that failed and were repeated |
| `broker_ready` | gauge | 1 while connected, subscribed and announced |
| `outbox_rows` | gauge | rows stored without the platform's receipt |
| `outbox_age_seconds` | gauge | age of the oldest of them; 0 when there is none |
| `batches_total{result}` | counter | answers to batches: receipted, retried, split, refused |
| `batch_seconds` | histogram | POST of a batch to its verified receipt |
| `forgotten_total` | counter | batches whose personal fields were erased |
| `platform_connected` | gauge | 1 while the platform's event stream is open |
| `platform_events_total{kind}` | counter | events taken from it: delta, list, trust, place, reset |
| `objects_refused_total{reason}` | counter | signed objects and messages around trust that were not believed |
| `trust_days_left` | gauge | whole days until the trust bundle ends; negative afterwards |
| `status_lists` | gauge | status lists that can be handed to gates |
| `status_age_seconds` | gauge | since the issuer last confirmed the list that was confirmed longest ago |
| `policies_issued_total` | counter | gate policies signed |
| `commands_total{result}` | counter | commands that ended: done, failed, expired |
| `resolves_total{result}` | counter | look-ups: answered, timeout, failed, busy, limited, malformed, refused |
| `traces_total{result}` | counter | trace queries: answered, refused, unsigned, ended before all was told |
| `desk_total{ask,result}` | counter | questions of desks: answered, failed, refused, doubted |
| `desk_waiting` | gauge | registrations of desks that the platform has not signed for |
| `keys_unannounced` | gauge | device keys that the platform has not taken yet |
| `firmware_files_total{kind,result}` | counter | metadata, target; sent, missing, busy, slow, broken |
| `updates_total{outcome}` | counter | devices in a rollout: told, updated, failed, unable |
| `device_messages_refused_total{reason}` | counter | beside check-ins: malformed, unknown_device, revoked |
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_STALL_S: Final = 30.0  # Every loop comes round within seconds, also when nothing happens.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS: Final = (1, 4, 16, 64, 256, 1024, 4096)


class Metrics:
    """Every metric of the hub, in a registry of its own; the table above says what each means."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages_received = self._counter("messages_received")
        self.checkins_received = self._counter("checkins_received")
        self.checkins_stored = self._counter("checkins_stored")
        self.checkins_duplicate = self._counter("checkins_duplicate")
        self.refused = self._counter("refused", "reason")
        self.quarantined = self._counter("quarantined", "reason")
        self.stopped = self._counter("stopped")
        self.forks = self._counter("forks")
        self.bounds_passed = self._counter("bounds_passed", "reason")
        self.gaps = self._counter("gaps")
        self.receipts_sent = self._counter("receipts_sent")
        self.receipts_dropped = self._counter("receipts_dropped")
        self.receipt_latency = self._histogram("receipt_latency_seconds", _SECONDS)
        self.commit_seconds = self._histogram("commit_seconds", _SECONDS)
        self.commit_rows = self._histogram("commit_rows", _ROWS)
        self.store_failures = self._counter("store_failures")
        self.broker_ready = self._gauge("broker_ready")
        self.outbox_rows = self._gauge("outbox_rows")
        self.outbox_age = self._gauge("outbox_age_seconds")
        self.batches = self._counter("batches", "result")
        self.batch_seconds = self._histogram("batch_seconds", _SECONDS)
        self.forgotten = self._counter("forgotten")
        self.platform_connected = self._gauge("platform_connected")
        self.platform_events = self._counter("platform_events", "kind")
        self.objects_refused = self._counter("objects_refused", "reason")
        self.trust_days = self._gauge("trust_days_left")
        self.status_lists = self._gauge("status_lists")
        self.status_age = self._gauge("status_age_seconds")
        self.policies_issued = self._counter("policies_issued")
        self.commands = self._counter("commands", "result")
        self.resolves = self._counter("resolves", "result")
        self.traces = self._counter("traces", "result")
        self.desk = self._counter("desk", "ask", "result")
        self.desk_waiting = self._gauge("desk_waiting")
        self.keys_unannounced = self._gauge("keys_unannounced")
        self.firmware_files = self._counter("firmware_files", "kind", "result")
        self.updates = self._counter("updates", "outcome")
        self.device_messages_refused = self._counter("device_messages_refused", "reason")

    def text(self) -> bytes:
        """All of them in the Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, *labels: str) -> Counter:
        return Counter(f"gatelight_hub_{name}", _HELP, labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(f"gatelight_hub_{name}", _HELP, registry=self.registry)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"gatelight_hub_{name}", _HELP, buckets=buckets, registry=self.registry)


_HELP: Final = "See hub/health.py."


class Health:
    """What the loops say about themselves."""

    def __init__(self, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._beats: dict[str, float] = {}
        self._troubles: dict[str, str] = {}
        self._warnings: dict[str, str] = {}

    def beat(self, loop: str) -> None:
        """The loop has come round."""
        self._beats[loop] = self._now_s()

    def trouble(self, part: str, reason: str | None) -> None:
        """The part cannot do its work for this reason; None: it can again."""
        if reason is None:
            self._troubles.pop(part, None)
        else:
            self._troubles[part] = reason

    def warn(self, part: str, what: str | None) -> None:
        """The part works, and somebody should look after it before it does not; None: all is well with it."""
        if what is None:
            self._warnings.pop(part, None)
        else:
            self._warnings[part] = what

    def warnings(self) -> dict[str, str]:
        """Parts that somebody should look after."""
        return dict(self._warnings)

    def stalled(self) -> dict[str, float]:
        """Loops that have shown no progress for 30 s, with the seconds since."""
        now_s = self._now_s()
        ages = {loop: now_s - at_s for loop, at_s in self._beats.items()}
        return {loop: round(age_s, 1) for loop, age_s in ages.items() if age_s > _STALL_S}

    def troubles(self) -> dict[str, str]:
        """Parts that cannot do their work, with the reason."""
        return dict(self._troubles)


def health_app(*, health: Health, metrics: Metrics, refresh: Callable[[], Awaitable[None]]) -> web.Application:
    """The three pages. `refresh` brings gauges and troubles up to date before they are read."""

    async def healthz(_: web.Request) -> web.Response:
        stalled = health.stalled()
        return web.json_response({"ok": not stalled, "stalled": stalled}, status=503 if stalled else 200)

    async def readyz(_: web.Request) -> web.Response:
        await refresh()
        troubles = health.troubles()
        body = {"ready": not troubles, "reasons": troubles, "warnings": health.warnings()}
        return web.json_response(body, status=503 if troubles else 200)

    async def metrics_page(_: web.Request) -> web.Response:
        await refresh()
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=1024)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_page)
    return app


async def serve_health(app: web.Application, *, host: str, port: int) -> web.AppRunner:
    """Listen; the caller ends it with `cleanup`. Raises OSError when the port is taken."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
