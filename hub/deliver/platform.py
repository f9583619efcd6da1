"""One POST to the platform: HTTPS with our certificate, its CA pinned, every answer bounded."""

import ssl
from typing import Final, Protocol

import aiohttp

from protocol.limits import BATCH_RECEIPT_BYTES

_PATH: Final = "/v1/checkins"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0, sock_connect=10.0)
_CONNECTIONS: Final = 8


class PlatformError(Exception):
    """No answer: network, TLS, time-out, or one that is too long."""


class Platform(Protocol):
    """Whoever takes batches."""

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Signed batch -> (HTTP status, body). Raises PlatformError."""


class HttpsPlatform:
    """The real one. Make it inside the running loop; close it at the end."""

    def __init__(self, *, url: str, tls: ssl.SSLContext) -> None:
        self._url = url.rstrip("/") + _PATH
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=_CONNECTIONS),
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Signed batch -> (HTTP status, body of at most 64 KiB). Redirects are not followed."""
        headers = {"Content-Type": "application/cose", "Accept": "application/cose"}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                answer = await response.content.read(BATCH_RECEIPT_BYTES + 1)
                while len(answer) <= BATCH_RECEIPT_BYTES and not response.content.at_eof():
                    answer += await response.content.read(BATCH_RECEIPT_BYTES + 1 - len(answer))
        except (aiohttp.ClientError, OSError) as error:  # Time-outs are OSErrors.
            raise PlatformError(f"{type(error).__name__}: {error}") from error
        if len(answer) > BATCH_RECEIPT_BYTES:
            raise PlatformError("the answer is too long")
        return response.status, answer

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._session.close()
