"""A register -> a file that is sent and then is gone."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Final
from zoneinfo import ZoneInfo

from hub.console.errors import InvalidError, TooManyError
from hub.console.register.sheets import Sheet, sheet_of
from hub.console.register.wording import TITLES, cells
from hub.console.web.words import Translate
from hub.store.register_ports import RegisterStore, Wanted

EXPORT_ROWS_MOST: Final = 200_000
"""A minute's work, and more than anybody reads; Excel ends at a million."""
_AT_ONCE: Final = asyncio.Semaphore(2)
_WAIT_S: Final = 30.0
_CHUNK_BYTES: Final = 64 * 1024


async def write_file(
    store: RegisterStore, wanted: Wanted, *, layout: str, say: Translate, zone: ZoneInfo
) -> tuple[IO[bytes], int]:
    """A file without a name, at its beginning, and how many rows it has. Two are written at once.

    Raises:
        InvalidError: more rows than `EXPORT_ROWS_MOST`.
        TooManyError: others are being written.
    """
    try:
        async with asyncio.timeout(_WAIT_S):
            await _AT_ONCE.acquire()
    except TimeoutError as error:
        raise TooManyError(_WAIT_S) from error
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- `chunks` closes it.
    try:
        sheet = await asyncio.to_thread(sheet_of, layout, file, [say(title) for title in TITLES])
        rows = await _fill(sheet, store, wanted, say=say, zone=zone)
        await asyncio.to_thread(sheet.finish)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    finally:
        _AT_ONCE.release()
    return file, rows


async def _fill(sheet: Sheet, store: RegisterStore, wanted: Wanted, *, say: Translate, zone: ZoneInfo) -> int:
    written = 0
    for span in await store.spans(from_ms=wanted.from_ms, to_ms=wanted.to_ms):
        rows = await store.rows_of(span, wanted, personal=True)
        written += len(rows)
        if written > EXPORT_ROWS_MOST:
            raise InvalidError("limit", "More than 200,000 rows: take a shorter time.", where="to_ms")
        await asyncio.to_thread(sheet.add, [cells(row, say=say, zone=zone) for row in rows])
    return written


async def chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The file's bytes; then it is gone."""
    with file:
        while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield data
