"""Readers: from DATA, whatever it is, to a table of cells. One file each."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from headstart.data.dataset import Data, Table
from headstart.errors import DataError
from headstart.registry import Registry


class Reader(Protocol):
    """Reads one kind of container.

    Attributes
    ----------
    form
        What it reads, for messages.
    rank
        Readers of a lower rank are asked first: 0 for those that know their kind by a mark of its
        own, 1 for those that take whatever is left of a kind, 2 for what is not on this machine.
    """

    form: str
    rank: int

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is this kind of container: a `Path` that exists, else as given."""

    def read(self, data: Data) -> Table:
        """Return its rows, as `cells.tabulate` makes them; broken ones are set aside.

        Raises
        ------
        DataError
            If there are none, or the container is damaged.
        """


readers: Registry[Reader] = Registry("reader", __name__)


def title(data: Data) -> str:
    """Return what `data` are called in messages: their path, or the type of what is in memory."""
    return str(data) if isinstance(data, (str, Path)) else type(data).__name__


def reader_if_any(data: Data) -> Reader | None:
    """Return the reader that recognises `data`, or None."""
    data = _located(data)
    ranked = sorted(readers, key=lambda reader: reader.rank)
    return next((reader for reader in ranked if reader.recognises(data)), None)


def is_in_memory(data: object) -> bool:
    """Say whether `data` are rows in memory that a reader knows, such as a DataFrame."""
    return not isinstance(data, (str, Path)) and reader_if_any(data) is not None


def reader_of(data: Data) -> Reader:
    """Return the reader that recognises `data`; a data set on the hub is fetched by that.

    Raises
    ------
    DataError
        If nothing is there, or no reader knows what it is.
    """
    reader = reader_if_any(data)
    if reader is not None:
        return reader
    forms = "; ".join(reader.form for reader in readers)
    if not isinstance(data, (str, Path)):
        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        raise DataError(f"headstart cannot read an object of type {kind}. It reads: {forms}.")
    path = Path(data)
    if not is_there(path):
        around = path.parent
        beside = sorted(p.name for p in around.iterdir()) if is_there(around) else []
        hint = f" In {around}/ there are: {', '.join(beside[:8])}." if beside else ""
        raise DataError(f"{path}: there is no such file or folder.{hint}")
    raise DataError(f"{path}: headstart cannot read this kind of file. It reads: {forms}.")


def read_table(data: Data) -> Table:
    """Read `data` with the reader that recognises it, or raise `DataError`."""
    return reader_of(data).read(_located(data))


def _located(data: Data) -> Data:
    """Return a path as `Path` where it exists; what else a text may name, its reader knows."""
    return Path(data) if isinstance(data, str) and is_there(Path(data)) else data


def is_there(path: Path) -> bool:
    """Say whether there is such a file or folder; what can be no path, as a long text, is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
