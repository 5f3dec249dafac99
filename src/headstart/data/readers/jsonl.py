"""JSON lines, one object a line, and JSON files that hold a list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.data.cells import Rows
from headstart.data.dataset import Raw, SetAside
from headstart.data.encodings import table_text
from headstart.data.readers import readers
from headstart.data.readers.files import FileReader, ends_in
from headstart.errors import DataError

Found = tuple[str, dict[str, Raw] | str]
"""Where a row is, and its object, or why it is set aside."""


class JsonReader(FileReader):
    """Reads objects of JSON; a key that an object lacks is a missing value of that row."""

    form = "a JSON Lines file, or a JSON file with a list of objects"
    suffixes = (".jsonl", ".ndjson", ".json")

    def rows(self, path: Path) -> Rows:
        """Return a column for each key that an object has; broken lines are set aside."""
        text, notes = table_text(path, "a JSON file")
        listed = ends_in(path, (".json",)) and text.lstrip().startswith("[")
        names: list[str] = []
        objects: list[dict[str, Raw]] = []
        aside: list[SetAside] = []
        for where, row in _listed(text, path) if listed else _lines(text, path.name):
            if isinstance(row, str):
                aside.append(SetAside(where, row))
            else:
                names.append(where)
                objects.append(row)
        keys = dict.fromkeys(key for found in objects for key in found)
        columns = {key: [found.get(key) for found in objects] for key in keys}
        return Rows(columns, names, aside, notes)


def _lines(text: str, file: str) -> Iterator[Found]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{file}, line {number}", _object(line)


def _object(line: str) -> dict[str, Raw] | str:
    try:
        found = json.loads(line, object_pairs_hook=_once)
    except _Twice as twice:
        return str(twice)
    except (ValueError, RecursionError) as error:
        return f"no valid JSON ({error})"
    return found if isinstance(found, dict) else "no JSON object"


def _listed(text: str, path: Path) -> Iterator[Found]:
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except _Twice as twice:
        raise DataError(f"{path}: {twice}; rename one.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: no valid JSON ({error}). Is it whole? As JSON Lines, one object a line, "
            "a damaged row would cost itself only."
        ) from None
    for number, row in enumerate(found):
        yield f"{path.name}, row {number}", row if isinstance(row, dict) else "no JSON object"


class _Twice(Exception):
    """A key stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Twice(f"the key {twice!r} stands twice in one object")
    return found


readers.register("jsonl", JsonReader())
