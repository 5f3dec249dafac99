"""Rows without labels: what is to be predicted, or embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.data.cells import Rows, tabulate
from headstart.data.columns import Roles, unlabelled
from headstart.data.dataset import Cell, Column, Data, Dataset, SetAside, Table
from headstart.data.modalities import Modality, recognised, require, strange
from headstart.data.readers import is_there, read_table, reader_if_any, readers
from headstart.data.readers.folder import files_in
from headstart.data.rows import answers_of, digested, inputs_of
from headstart.errors import DataError


@dataclass(frozen=True)
class Asked:
    """One input to predict.

    Attributes
    ----------
    name
        Where it is: a path, or ``file, line 7``.
    cell
        The input itself, not decoded; None where there is none.
    problem
        Why there is none.
    columns
        Its row in the table it stands in, as it was read; None of files.
    """

    name: str
    cell: Cell | None
    problem: str = ""
    columns: Mapping[str, Cell] | None = None


def inputs_in(
    paths: Iterable[Data], input: tuple[str, ...] = (), known: tuple[str, ...] = ()
) -> Iterator[Asked]:
    """Yield inputs without labels, one after another: of files, tables, and folders (searched).

    Nothing is decoded, and of folders nothing is held. Rows of a table that could not be parsed
    come after its others.

    Parameters
    ----------
    paths
        A folder is searched through for files; what else a reader recognises is a table, in memory
        too.
    input
        Columns of a table; inferred where there are none.
    known
        Columns in which inputs were before; they are so here too, if they are there.

    Raises
    ------
    DataError
        If a table cannot be read, or it cannot be told which column is the input.
    """
    for data in paths:
        path = Path(data) if isinstance(data, str | Path) else None
        if path is None or _is_table(path):
            yield from _rows_of(read_table(data), input, known)
        elif path.is_dir():
            yield from map(_asked, files_in(path))
        elif is_there(path):
            yield Asked(str(path), path)
        else:
            yield Asked(str(path), None, "no such file")


def _is_table(path: Path) -> bool:
    """Say whether `path` holds rows and columns: not a folder to search through, nor an input."""
    return (
        is_there(path)
        and not recognised(path)
        and reader_if_any(path) not in (None, readers.get("folder"))
    )


def _asked(file: Path) -> Asked:
    return Asked(str(file), file) if recognised(file) else Asked(str(file), None, strange(file))


def _rows_of(table: Table, input: tuple[str, ...], known: tuple[str, ...]) -> Iterator[Asked]:
    roles = Roles(input).besides(Roles(known), table)
    cells, lost = inputs_of(table, unlabelled(table, roles).input)
    for i, cell in enumerate(cells):
        columns = {name: values[i] for name, values in table.columns.items()}
        yield Asked(table.names[i], cell, lost.get(i, ""), columns)
    for aside in table.set_aside:
        yield Asked(aside.where, None, aside.reason, dict.fromkeys(table.columns, ""))


def read_rows(path: Data, roles: Roles | None = None, known: Roles | None = None) -> Dataset:
    """Read rows that may be labelled or not: a folder of files, class folders, or a table.

    Where there are labels they are the data set's target, empty for rows that lack one. `known` are
    the roles of columns in rows that were read before.

    Raises
    ------
    DataError
        If there is nothing there, or no input can be read.
    """
    place = Path(path) if isinstance(path, str | Path) else None
    searched = place is not None and is_there(place) and place.is_dir() and _holds_files(place)
    table = _files(place) if place is not None and searched else read_table(path)
    found = unlabelled(table, (roles or Roles()).besides(known or Roles(), table))
    cells, lost = inputs_of(table, found.input)
    kept = [i for i, cell in enumerate(cells) if cell is not None]
    rows = from_cells(
        [cell for cell in cells if cell is not None],
        [table.names[i] for i in kept],
        (*table.set_aside, *(SetAside(table.names[i], reason) for i, reason in lost.items())),
        targets=tuple(
            Column(name, tuple(answers_of([table.columns[name][i] for i in kept])))
            for name in found.label
        ),
    )
    return replace(rows, path=table.path)


def _files(folder: Path) -> Table:
    """Return all inputs in a folder, however deep, without labels."""
    found = list(files_in(folder))
    files = [file for file in found if recognised(file)]
    aside = [SetAside(str(f.relative_to(folder)), strange(f)) for f in found if not recognised(f)]
    if not files:
        listed = "".join(f" {one.where}: {one.reason}." for one in aside[:3])
        raise DataError(f"{folder}: there are no inputs.{listed}")
    names = [str(file.relative_to(folder)) for file in files]
    return tabulate(str(folder), folder, Rows({"file": files}, names, aside))


def _holds_files(folder: Path) -> bool:
    """Say whether a folder holds inputs by themselves: no classes of them, and no tables."""
    inputs = list(filter(recognised, files_in(folder)))
    in_classes = 2 * sum(file.parent != folder for file in inputs) > len(inputs)
    return not in_classes and reader_if_any(folder) in (None, readers.get("folder"))


def from_cells(
    cells: Sequence[Cell],
    names: Sequence[str] | None = None,
    aside: tuple[SetAside, ...] = (),
    modality: Modality | None = None,
    targets: tuple[Column, ...] = (),
) -> Dataset:
    """Return `cells` as a data set; those that cannot be decoded are set aside.

    What they are is inferred where `modality` is None; `targets` are there where they are labelled.
    """
    modality = modality or require(cells, "The inputs to predict")
    names = names or [_called(i, cell) for i, cell in enumerate(cells)]
    digests, bad, _ = digested(modality, cells, np.arange(len(cells)), lambda _looked: False)
    dataset = Dataset(
        path="",
        modality=modality.name,
        inputs=tuple(cells),
        names=tuple(names),
        digests=tuple(digests),
        targets=targets,
        groups=None,
        parts=(None,) * len(cells),
        set_aside=aside,
    )
    return dataset.without(bad)


def _called(number: int, cell: Cell) -> str:
    if isinstance(cell, bytes):
        return f"input {number}"
    return cell[:80] if isinstance(cell, str) else str(cell)
