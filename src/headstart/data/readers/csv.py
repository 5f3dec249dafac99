"""CSV and TSV tables: any common separator and encoding; a broken row costs itself only."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headstart.data.cells import Rows, distinct
from headstart.data.dataset import SetAside
from headstart.data.encodings import table_text
from headstart.data.readers import readers
from headstart.data.readers.files import FileReader, ends_in
from headstart.errors import DataError
from headstart.wording import counted

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
_SAID = re.compile(r"sep=(.)\r?\n")
"""A first line by which spreadsheets are told the separator."""
_HEAD = 100_000
"""Characters in which the header must end."""


def _separator(text: str) -> str:
    """Return the mark that stands most often in the header, outside quotation marks."""
    bare = re.sub(r'"[^"]*"', "", text[:_HEAD].lstrip("\r\n"))
    header = re.split(r"[\r\n]", bare, maxsplit=1)[0]
    counts = Counter({mark: header.count(mark) for mark in ",;\t|"})
    mark, count = counts.most_common(1)[0]
    return mark if count else ","


class _Lines:
    """Lines for a parser, and whether it asked for more than there are."""

    def __init__(self, lines: list[str], start: int) -> None:
        self.lines = iter(lines[start:])
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        yield from self.lines
        self.ended = True


def _rows(text: str, separator: str) -> Iterator[tuple[int, int, list[str] | None]]:
    """Yield (first line, last line, fields); fields are None where a row cannot be parsed.

    A quotation mark that is never closed would swallow the rest of the file: reading then starts
    anew on the line after it. So it does where a later row's opening mark seemed to close it. A
    row of several lines that is broken after its closing mark is passed over as a whole.
    """
    # not str.splitlines, which also splits at form feeds, U+2028 and others
    lines = list(io.StringIO(text, newline=""))
    start = 0
    while start < len(lines):
        given = _Lines(lines, start)
        parser = csv.reader(given, delimiter=separator, strict=True)
        line = start
        try:
            for fields in parser:
                if fields:
                    yield line + 1, start + parser.line_num, fields
                line = start + parser.line_num
            return
        except csv.Error:
            last = start + parser.line_num - 1
            if given.ended or last == line or _opens(lines[last], separator):
                last = line
            yield line + 1, last + 1, None
            start = last + 1


def _opens(line: str, separator: str) -> bool:
    """Say whether the first quotation mark of `line` stands where a field begins."""
    before = line.partition('"')[0]
    return before == "" or before.endswith(separator)


class CsvReader(FileReader):
    """Reads a CSV or TSV file with a header."""

    form = "a CSV or TSV file with a header"
    suffixes = (".csv", ".tsv", ".tab")

    def rows(self, path: Path) -> Rows:
        """Return the columns that the header names, all cells as strings."""
        text, notes = table_text(path, "a CSV table")
        damaged = "\0" in text
        separator = "\t" if ends_in(path, (".tsv", ".tab")) else _separator(text)
        if said := _SAID.match(text):  # its line stays, so that others keep their numbers
            text, separator = "\n" + text[said.end() :], said[1]
        rows = _rows(text, separator)
        at, _, header = next(rows)
        if header is None:
            raise DataError(f"{path}, line {at}: the header cannot be parsed; check its quotes.")
        while len(header) > 1 and not header[-1].strip():
            header.pop()  # separators at the end of a line make no column, if nothing follows
        titles = distinct((name.strip() for name in header), str(path))
        columns: list[list[str]] = [[] for _ in titles]
        names: list[str] = []
        aside: list[SetAside] = []
        for first, last, fields in rows:
            where = f"{path.name}, line {first}"
            if fields is None:
                to = f" (to line {last})" if last > first else ""
                reason = f"a quotation mark is not closed or out of place{to}"
                aside.append(SetAside(where, reason))
            elif len(fields) < len(titles) or any(map(str.strip, fields[len(titles) :])):
                reason = f"{len(fields)} fields where the header has {len(titles)}"
                aside.append(SetAside(where, reason))
            elif damaged and any("\0" in field for field in fields):
                aside.append(SetAside(where, "a broken letter: the file is damaged here"))
            else:
                names.append(where)
                for column, field in zip(columns, fields, strict=False):
                    column.append(field)
        if not names:
            listed = (
                f" {counted(len(aside), 'row')} could not be parsed: {aside[0].where}."
                if aside
                else ""
            )
            raise DataError(f"{path}: there are no rows below the header.{listed}")
        return Rows(dict(zip(titles, columns, strict=True)), names, aside, notes)


readers.register("csv", CsvReader())
