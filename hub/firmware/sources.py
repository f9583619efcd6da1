"""Where a published repository is read from: a folder, or a server. python-tuf asks, verifies and bounds.

Nothing that comes from here is believed: neither a server's certificate nor a folder's owner vouches for anything.
"""

import os
import ssl
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

FOLDER_URL: Final = "folder:"
_CHUNK_BYTES: Final = 256 * 1024
_STALL_S: Final = 30.0
_FILE_S: Final = 3600.0
"""The longest bundle at 75 kB/s. A server that drips for longer is no server."""
_NOT_FOUND: Final = 404


class FolderFetcher(FetcherInterface):
    """Reads `folder:metadata/...` below a folder, such as a stick's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._folder / url.removeprefix(FOLDER_URL)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{path}: no such file", _NOT_FOUND) from error
        except OSError as error:
            raise DownloadError(f"{path}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise DownloadError(f"{path}: no regular file")
        return _chunks(partial(os.read, descriptor), partial(os.close, descriptor))


class HttpsFetcher(FetcherInterface):
    """Asks a server over HTTPS; `ca` is its authority, where it is none of the system's."""

    def __init__(self, *, ca: Path | None, now_s: Callable[[], float] = time.monotonic) -> None:
        self._tls = ssl.create_default_context(cafile=ca)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._now_s = now_s

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            # The importer has looked at the scheme.
            answer = urllib.request.urlopen(url, timeout=_STALL_S, context=self._tls)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            raise DownloadHTTPError(f"{url}: status {error.code}", error.code) from error
        except (OSError, HTTPException, ValueError) as error:
            raise DownloadError(f"{url}: {error}") from error
        return self._timed(_chunks(answer.read, answer.close), url)

    def _timed(self, chunks: Iterator[bytes], url: str) -> Iterator[bytes]:
        end_s = self._now_s() + _FILE_S
        try:
            for chunk in chunks:
                if self._now_s() > end_s:
                    raise SlowRetrievalError(f"{url}: not here within {_FILE_S:g} s")
                yield chunk
        except (OSError, HTTPException) as error:
            raise DownloadError(f"{url}: {error}") from error


def _chunks(read: Callable[[int], bytes], close: Callable[[], None]) -> Iterator[bytes]:
    try:
        while chunk := read(_CHUNK_BYTES):
            yield chunk
    finally:
        close()
