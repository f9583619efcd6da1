"""Serves the pages over TLS 1.3, with a certificate that the hub gives to itself and renews by itself."""

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.enrol.http import EnrolmentPages
from hub.health import Health
from hub.model import AuditEntry
from hub.registry.authority import Authority, private_pem
from hub.registry.checks import RegistryError
from hub.registry.decisions import lapse
from hub.store.enrol_ports import Certificate
from hub.store.errors import StoreError
from hub.store.ports import Store

_LOG: Final = logging.getLogger(__name__)
_ROUND_S: Final = 10.0
_RENEW_SHARE: Final = 1 / 3
_HANDSHAKE_S: Final = 10.0
_FAREWELL_S: Final = 2.0
"""A request takes milliseconds; a hub that stops waits no longer for one."""
_CONNECTIONS_MAX: Final = 512
"""A station's devices at once. Of more, the newest are dropped: this is not the way of check-ins."""
_CONNECTION_S: Final = 60.0
"""A device asks and leaves; whoever stays longer is dropped and may come again. Not while a download is under way."""


class EnrolmentServer:
    """Call `start`, then `run` it in a task, then `close`."""

    def __init__(
        self,
        *,
        pages: EnrolmentPages,
        store: Store,
        authority: Authority,
        server_name: str,
        host: str,
        port: int,
        health: Health,
        now_ms: Callable[[], int],
    ) -> None:
        self._pages, self._store, self._authority = pages, store, authority
        self._server_name, self._host, self._asked_port = server_name, host, port
        self._health, self._now_ms = health, now_ms
        self._tls = self._new_tls()
        self._certificate: Certificate | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it is started."""
        if self._server is None:
            return self._asked_port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Make the certificate and listen.

        Raises:
            OSError: the port is taken.
            RegistryError: the authority cannot sign.
            StoreError: the certificate cannot be written down.
        """
        await self._renew_certificate()
        runner = web.AppRunner(self._pages.app, access_log=None, shutdown_timeout=_FAREWELL_S)
        await runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._accept(runner),
                self._host,
                self._asked_port,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_S,
            )
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner

    async def run(self) -> None:
        """Keep the certificate fresh and the queue short; ends only by cancellation."""
        while True:
            await self.step()
            await asyncio.sleep(_ROUND_S)

    async def step(self) -> None:
        """One round. What fails is tried again in the next."""
        self._health.beat("enrol")
        try:
            await lapse(self._store, now_ms=self._now_ms())
            if self._is_due():
                await self._renew_certificate()
        except (StoreError, RegistryError) as error:
            _LOG.error("enrolment_round_failed", extra={"what": str(error)})
            self._health.trouble("enrol", str(error))
        else:
            self._health.trouble("enrol", None)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _accept(self, runner: web.AppRunner) -> asyncio.BaseProtocol:
        server = runner.server
        if server is None or len(server.connections) >= _CONNECTIONS_MAX:
            return _Refusing()
        protocol = server()
        asyncio.get_running_loop().call_later(_CONNECTION_S, self._end, protocol)
        return protocol

    def _end(self, protocol: web.RequestHandler) -> None:
        """Drop a connection whose time is over, or look again when its download may have ended."""
        if self._pages.is_busy(protocol):
            asyncio.get_running_loop().call_later(_CONNECTION_S, self._end, protocol)
        else:
            protocol.force_close()

    def _is_due(self) -> bool:
        held = self._certificate
        if held is None:
            return True
        return held.not_after_ms - self._now_ms() < (held.not_after_ms - held.issued_ms) * _RENEW_SHARE

    async def _renew_certificate(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        made = self._authority.issue_server(private.public_key(), hosts=(self._server_name,), now_ms=self._now_ms())
        detail = f"{made.serial.hex()} for the hub's server at {self._server_name}"
        audit = AuditEntry(at_ms=self._now_ms(), who="hub", action="ca.issue", detail=detail)
        await self._store.add_certificate(made, audit=audit)
        certificate = x509.load_der_x509_certificate(made.der).public_bytes(serialization.Encoding.PEM)
        # The ssl module takes files only. The folder is its owner's, and gone when this block ends.
        with tempfile.TemporaryDirectory(prefix="gatelight-") as folder:
            path = Path(folder) / "server.pem"
            path.touch(mode=0o600)
            path.write_bytes(private_pem(private) + certificate)
            # Connections that are open keep what they have; those that come get the new one.
            self._tls.load_cert_chain(path)
        self._certificate = made

    def _new_tls(self) -> ssl.SSLContext:
        """TLS 1.3; a client certificate is asked for, and must be the authority's if there is one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_OPTIONAL
        # As PEM: of DER, Python would take an error that another library left in this thread for one of its own.
        context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(self._authority.der))
        # Without tickets every connection proves anew that it holds its key.
        context.num_tickets = 0
        return context


class _Refusing(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Drop it at once."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
