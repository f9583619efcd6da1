"""Rows -> a CSV or XLSX file, in bounded memory. Written in a thread, batch by batch.

A spreadsheet runs what begins like a formula: XLSX cells are written as strings and nothing else, and in CSV a quote
stands before such text (OWASP, CSV injection).
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import IO, Final, Protocol

import xlsxwriter

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_WIDTH_CHARS: Final = 16

Cell = str | int


def plain(text: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


class Sheet(Protocol):
    """A file that is being written."""

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """More rows."""

    def finish(self) -> None:
        """Nothing comes any more. The file stays open."""


class CsvSheet:
    """UTF-8 with a mark at the beginning, by which Excel knows it."""

    def __init__(self, file: IO[bytes], titles: Sequence[str]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._text)
        self.add([titles])

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """More rows."""
        for row in rows:
            self._writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in row])

    def finish(self) -> None:
        """Everything is in the file."""
        self._text.flush()
        self._text.detach()


class XlsxSheet:
    """One worksheet. In constant memory each row goes to the disk before the next."""

    def __init__(self, file: IO[bytes], titles: Sequence[str]) -> None:
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True})
        self._sheet = self._book.add_worksheet()
        self._sheet.set_column(0, len(titles) - 1, _WIDTH_CHARS)
        self._sheet.freeze_panes(1, 0)
        self._at = 0
        self._bold = self._book.add_format({"bold": True})
        for column, title in enumerate(titles):
            self._sheet.write_string(0, column, title, self._bold)

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """More rows."""
        for row in rows:
            self._at += 1
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    self._sheet.write_string(self._at, column, cell)
                else:
                    self._sheet.write_number(self._at, column, cell)

    def finish(self) -> None:
        """Everything is in the file."""
        self._book.close()


MEDIA: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def sheet_of(layout: str, file: IO[bytes], titles: Sequence[str]) -> Sheet:
    """A file of one of `MEDIA` with its first line."""
    return XlsxSheet(file, titles) if layout == "xlsx" else CsvSheet(file, titles)
