"""Data sets of Hugging Face's `datasets`, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.data.arrow import raw_columns
from headstart.data.cells import Rows, joined, tabulate
from headstart.data.dataset import Data, Part, Table
from headstart.data.parts import PARTS
from headstart.data.readers import readers
from headstart.errors import DataError


class DatasetReader:
    """Reads a `Dataset`, or a `DatasetDict` whose splits are the parts."""

    form = "a Dataset or DatasetDict of datasets"
    rank = 0

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is one of them, without importing `datasets` to know."""
        names = ("Dataset", "DatasetDict")
        return any(
            kind.__name__ in names and kind.__module__.split(".")[0] == "datasets"
            for kind in type(data).__mro__
        )

    def read(self, data: Any) -> Table:
        """Return the columns; row 0 is the first of its split.

        Paths are relative to the current folder and may lie anywhere.
        """
        return table_of(data, type(data).__name__, Path.cwd(), confined=False)


def table_of(data: Any, path: str, root: Path, *, confined: bool) -> Table:
    """Return a table of a `Dataset`, or of the splits of a `DatasetDict`.

    Pictures and classes of `Image` and `ClassLabel` features come as encoded bytes and names. A
    column that a split lacks is missing there.

    Raises
    ------
    DataError
        If there are no rows, or it is not clear which splits are meant.
    """
    splits, notes = _splits(data, path)
    found: list[Rows] = []
    parts: list[Part | None] = []
    for split, (part, rows) in splits.items():
        names = [f"{split or path}, row {i}" for i in range(len(rows))]
        columns = raw_columns(rows.with_format("arrow")[:], rows.features)
        found.append(Rows(columns, names))
        parts += [part] * len(rows)
    rows = joined(found)
    return tabulate(path, root, replace(rows, notes=notes), parts, confined=confined)


def _splits(data: Any, path: str) -> tuple[dict[str, tuple[Part | None, Any]], list[str]]:
    """Return (part, rows) of each split that is used, and what is to be said of it."""
    if not isinstance(data, Mapping):
        return {"": (None, data)}, []
    if len(data) == 1:
        return {name: (None, rows) for name, rows in data.items()}, []
    used = {name: PARTS[name.lower()] for name in data if name.lower() in PARTS}
    if "train" not in used.values() or len(used) < 2:
        raise DataError(
            f"{path}: its splits are {', '.join(map(str, data))}; headstart knows train, "
            "validation and test. Give it one of them, or rename them."
        )
    notes = [f"the split is respected as given by {', '.join(used)}"]
    unused = [name for name in data if name not in used]
    if unused:
        notes.append(f"left out: {', '.join(unused)}, neither train, validation nor test")
    return {name: (part, data[name]) for name, part in used.items()}, notes


readers.register("datasets", DatasetReader())
