"""CSV tables: any common separator and encoding; broken rows are set aside, never the file."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headstart.data.dataset import Cell, SetAside, Table
from headstart.data.readers import readers
from headstart.errors import DataError

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
_HEAD = 100_000
"""Characters in which the header must end."""


def _decode(path: Path) -> tuple[str, list[str]]:
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace"), []
    if b"\0" in content:
        raise DataError(f"{path}: this is a binary file, not a CSV table.")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        note = (
            f"{path} is not UTF-8 (first at line {line}) and was read as Windows-1252; "
            "if letters look wrong, save it as UTF-8"
        )
        return content.decode("cp1252", errors="replace"), [note]


def _separator(text: str) -> str:
    """Return the mark that stands most often in the header, outside quotation marks."""
    bare = re.sub(r'"[^"]*"', "", text[:_HEAD].lstrip("\r\n"))
    header = re.split(r"[\r\n]", bare, maxsplit=1)[0]
    counts = Counter({mark: header.count(mark) for mark in ",;\t|"})
    mark, count = counts.most_common(1)[0]
    return mark if count else ","


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str] | None]]:
    """Yield (line, fields); fields are None where the row cannot be parsed.

    A quotation mark that is never closed would swallow the rest of the file: reading then starts
    anew on the line after it.
    """
    # not str.splitlines, which also splits at form feeds, U+2028 and others
    lines = list(io.StringIO(text, newline=""))
    start = 0
    while start < len(lines):
        parser = csv.reader(lines[start:], delimiter=separator, strict=True)
        line = start
        try:
            for fields in parser:
                if fields:
                    yield line + 1, fields
                line = start + parser.line_num
            return
        except csv.Error:
            yield line + 1, None
            start = line + 1


class CsvReader:
    """Reads a CSV file with a header."""

    form = "a CSV file with a header"

    def recognises(self, path: Path) -> bool:
        """Say whether the name ends in .csv."""
        return path.is_file() and path.suffix.lower() == ".csv"

    def read(self, path: Path) -> Table:
        """Return the columns that the header names, all cells as strings."""
        text, notes = _decode(path)
        if not text.strip():
            raise DataError(f"{path}: the file is empty. Expected a header and rows.")
        rows = _rows(text, _separator(text))
        at, header = next(rows)
        if header is None:
            raise DataError(f"{path}, line {at}: the header cannot be parsed; check its quotes.")
        header = [name.strip() for name in header]
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise DataError(f"{path}: the column name {twice[0]!r} stands twice; rename one.")
        columns: dict[str, list[Cell]] = {name: [] for name in header}
        names: list[str] = []
        aside: list[SetAside] = []
        for line, fields in rows:
            where = f"{path.name}, line {line}"
            if fields is None:
                aside.append(SetAside(where, "a quotation mark is not closed or out of place"))
            elif len(fields) != len(header):
                reason = f"{len(fields)} fields where the header has {len(header)}"
                aside.append(SetAside(where, reason))
            else:
                names.append(where)
                for name, field in zip(header, fields, strict=True):
                    columns[name].append(field)
        if not names:
            listed = f" {len(aside)} rows could not be parsed: {aside[0].where}." if aside else ""
            raise DataError(f"{path}: there are no rows below the header.{listed}")
        parts = [None] * len(names)
        return Table(str(path), path.parent, columns, names, list(parts), aside, notes)


readers.register("csv", CsvReader())
