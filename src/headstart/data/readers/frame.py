"""DataFrames of pandas, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.data.cells import Rows, distinct, tabulate
from headstart.data.dataset import Data, Table
from headstart.data.readers import readers


class FrameReader:
    """Reads a DataFrame; its cells may be texts, paths, bytes or Pillow's pictures."""

    form = "a pandas DataFrame"
    rank = 0

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is a DataFrame, without importing pandas to know."""
        return any(
            kind.__name__ == "DataFrame" and kind.__module__.split(".")[0] == "pandas"
            for kind in type(data).__mro__
        )

    def read(self, data: Any) -> Table:
        """Return the frame's columns; row 0 is the first, whatever the index is.

        Paths are relative to the current folder and may lie anywhere.
        """
        titles = distinct(data.columns, "DataFrame")
        columns = {name: list(data.iloc[:, i].array) for i, name in enumerate(titles)}
        rows = Rows(columns, [f"DataFrame, row {i}" for i in range(len(data))])
        return tabulate("DataFrame", Path.cwd(), rows, confined=False)


readers.register("frame", FrameReader())
