"""Files that hold one table: what their readers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from headstart.data.cells import Rows, tabulate
from headstart.data.dataset import Data, Table


class FileReader(ABC):
    """Reads files whose names end in one of `suffixes`; its rows can be put to those of others."""

    form: str
    suffixes: tuple[str, ...]
    rank = 0

    @abstractmethod
    def rows(self, path: Path) -> Rows:
        """Return the rows of the file as found; raise `DataError` if it is damaged."""

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is a file of one of the suffixes."""
        return isinstance(data, Path) and data.is_file() and ends_in(data, self.suffixes)

    def read(self, data: Data) -> Table:
        """Return the file's table; paths in cells are relative to its folder."""
        path = Path(str(data))
        return tabulate(str(path), path.parent, self.rows(path))


def ends_in(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Say whether the name ends in one of these, in capitals or not, ``.gz`` after it or not."""
    return path.name.lower().removesuffix(".gz").endswith(suffixes)
