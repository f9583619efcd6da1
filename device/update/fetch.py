"""HTTPS from the updater to its hub, for python-tuf: pinned to the hub's authority, bounded in time.

What comes this way is verified by the publisher's signatures; TLS only keeps others from offering rubbish.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from device.update.errors import UpdateError
from protocol.health import UpdateFailure

SILENCE_S = 10.0
"""The longest that one read or write may stand still."""

_CHUNK_BYTES = 64 * 1024
_SENTENCE_CHARS = 200


def trusting(ca: Path) -> ssl.SSLContext:
    """TLS 1.3 that believes certificates of exactly this authority (PEM), for the host that was asked for.

    Raises:
        UpdateError: `UNREACHABLE`, the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:  # What OpenSSL says of a bad file is an OSError as well.
        raise UpdateError(UpdateFailure.UNREACHABLE, f"{ca}: {error}") from error
    # The pinned authority is where trust begins, whether or not another one stands above it.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


class HubFetcher(FetcherInterface):
    """Each file on a connection of its own, all of them before one end.

    Args:
        context: whom to believe.
        end_s: when all must be over, by `mono_s`.
        mono_s: a clock that only goes forward.
    """

    def __init__(self, context: ssl.SSLContext, *, end_s: float, mono_s: Callable[[], float] = time.monotonic) -> None:
        self._context, self._end_s, self._mono_s = context, end_s, mono_s

    def _fetch(self, url: str) -> Iterator[bytes]:
        """As `FetcherInterface._fetch`; what goes wrong on the way is a `DownloadError` too."""
        where = urlsplit(url)
        left_s = self._end_s - self._mono_s()
        if left_s <= 0:
            raise DownloadError("took too long")
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, timeout=min(SILENCE_S, left_s), context=self._context
        )
        end = _End()
        timer = threading.Timer(left_s, end.come)
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            end.watch(connection.sock)
            connection.request("GET", where.path, headers={"Accept-Encoding": "identity"})
            yield from _body(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            said = "took too long" if end.came else f"{type(error).__name__}: {error}"
            raise DownloadError(f"{where.hostname}:{where.port}: {_printable(said)}") from error
        finally:
            timer.cancel()
            connection.close()


def _body(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What was answered, as it comes.

    Raises:
        DownloadHTTPError: a refusal.
        HTTPException: cut short, or in chunks, which the hub sends none of.
    """
    if response.status != http.HTTPStatus.OK:
        raise DownloadHTTPError(f"answered {response.status}", response.status)
    if response.chunked or response.length is None:
        raise http.client.HTTPException("an answer without a length")
    while data := response.read1(_CHUNK_BYTES):
        yield data
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_SENTENCE_CHARS])


class _End:
    """Ends a connection whose time is over, however busily the other side drips; from the timer's thread."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.came = False

    def watch(self, connected: socket.socket) -> None:
        """From now on this connection is what ends.

        Raises:
            TimeoutError: the end came while it was being made.
        """
        self._socket = connected
        if self.came:
            raise TimeoutError

    def come(self) -> None:
        """The time is over."""
        self.came = True
        if self._socket is not None:
            with suppress(OSError):  # It may be closed already.
                # Not SSLSocket's own: that would change the object under its reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
