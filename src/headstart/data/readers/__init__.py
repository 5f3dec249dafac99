"""Readers: from DATA, whatever it is, to a table of cells. One file each."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from headstart.data.dataset import Table
from headstart.errors import DataError
from headstart.registry import Registry


class Reader(Protocol):
    """Reads one kind of container."""

    form: str

    def recognises(self, path: Path) -> bool:
        """Say whether `path` is this kind of container."""

    def read(self, path: Path) -> Table:
        """Return its rows; broken ones are set aside. Raise `DataError` if there are none."""


readers: Registry[Reader] = Registry("reader", __name__)


def reader_if_any(path: Path) -> Reader | None:
    """Return the reader that recognises `path`, or None."""
    return next((reader for reader in readers if reader.recognises(path)), None)


def read_table(path: str | Path) -> Table:
    """Read `path` with the reader that recognises it, or raise `DataError`."""
    path = Path(path)
    if not path.exists():
        beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        hint = f" In {path.parent}/ there are: {', '.join(beside[:8])}." if beside else ""
        raise DataError(f"{path}: there is no such file or folder.{hint}")
    reader = reader_if_any(path)
    if reader is not None:
        return reader.read(path)
    forms = "; ".join(reader.form for reader in readers)
    raise DataError(f"{path}: headstart cannot read this kind of file. It reads: {forms}.")
