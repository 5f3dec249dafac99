"""From DATA to a data set: which column is what, which rows are usable, and what was inferred."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.columns import LOOKED_AT, Roles, are_pictures, complete, unlabelled
from headstart.data.dataset import (
    BY_ROW,
    Answer,
    Cell,
    Column,
    Data,
    Dataset,
    Part,
    SetAside,
    Table,
)
from headstart.data.modalities import Modality, modalities, require
from headstart.data.readers import read_table, reader_if_any, readers
from headstart.data.readers.folder import files_in
from headstart.errors import DataError, Unreadable

Enough = Callable[[str, int], bool]
_CHUNK = 64


def read(
    path: Data,
    roles: Roles | None = None,
    *,
    known: Roles | None = None,
    test: Data | None = None,
    seed: int = 0,
    enough: Enough = lambda _path, _looked: False,
) -> Dataset:
    """Read a labelled target.

    Parameters
    ----------
    path
        Anything that a reader knows: a folder with a sub-folder per class, a CSV, TSV, JSON Lines
        or Parquet file, a DataFrame, a `datasets.Dataset`, …
    roles
        What the columns of a table are for; inferred where it does not say.
    known
        What the columns were for in rows read before; it is so here too, if they are there.
    test
        The user's own test rows, in any of the same forms.
    seed
        Seed of the order in which inputs are checked.
    enough
        Given (path, rows looked at), says whether checking must end, for lack of time; rows not
        reached are left out and said.

    Raises
    ------
    DataError
        If nothing usable can be read; the text says what, where and what to do.
    """
    table = read_table(path)
    asked = (roles or Roles()).besides(known or Roles(), table)
    found, notes = complete(table, asked)
    dataset = _checked(table, found, notes, seed, enough)
    if test is None:
        return dataset
    if any(part == "test" for part in dataset.parts):
        raise DataError(
            f"{table.path} has test rows of its own: leave out --test, or its test folder."
        )
    own = read_table(test)
    # a few test rows by themselves might suggest other columns
    theirs = replace(asked, time=None).besides(found, own)
    given = _checked(own, *complete(own, theirs), seed, enough)
    if given.modality != dataset.modality:
        raise DataError(
            f"{own.path} holds {given.modality} inputs, {table.path} {dataset.modality} inputs."
        )
    tested: tuple[Part | None, ...] = tuple("test" for _ in range(len(given)))
    return _joined(dataset, replace(given, parts=tested))


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
        if path is None:
            yield from _rows_of(read_table(data), input, known)
        elif _is_table(path):
            yield from _rows_of(read_table(path), input, known)
        elif path.is_dir():
            yield from map(_asked, files_in(path))
        elif path.exists():
            yield Asked(str(path), path)
        else:
            yield Asked(str(path), None, "no such file")


def _is_table(path: Path) -> bool:
    """Say whether `path` holds rows and columns: not a folder to search through, nor an input."""
    known = any(modality.recognises(path) for modality in modalities)
    return path.exists() and not known and reader_if_any(path) not in (None, readers.get("folder"))


def _asked(file: Path) -> Asked:
    if any(modality.recognises(file) for modality in modalities):
        return Asked(str(file), file)
    return Asked(str(file), None, "neither a picture nor a text, by its name")


def _rows_of(table: Table, input: tuple[str, ...], known: tuple[str, ...]) -> Iterator[Asked]:
    roles = Roles(input).besides(Roles(known), table)
    cells, lost = _inputs(table, unlabelled(table, roles).input)
    for i, cell in enumerate(cells):
        columns = {name: values[i] for name, values in table.columns.items()}
        yield Asked(table.names[i], cell, lost.get(i, ""), columns)
    for aside in table.set_aside:
        yield Asked(aside.where, None, aside.reason, dict.fromkeys(table.columns, ""))


def read_rows(path: Data, roles: Roles | None = None) -> Dataset:
    """Read rows that may be labelled or not: a folder of files, class folders, or a table.

    Where there are labels they are the data set's target, empty for rows that lack one.

    Raises
    ------
    DataError
        If there is nothing there, or no input can be read.
    """
    searched = isinstance(path, str | Path) and Path(path).is_dir() and _holds_files(Path(path))
    table = _files(Path(str(path))) if searched else read_table(path)
    found = unlabelled(table, roles or Roles())
    cells, lost = _inputs(table, found.input)
    kept = [i for i, cell in enumerate(cells) if cell is not None]
    rows = from_cells(
        [cell for cell in cells if cell is not None],
        [table.names[i] for i in kept],
        (*table.set_aside, *(SetAside(table.names[i], reason) for i, reason in lost.items())),
    )
    row_of = {table.names[i]: i for i in kept}
    return replace(
        rows,
        path=table.path,
        targets=tuple(
            Column(name, tuple(_answer(table.columns[name][row_of[n]]) for n in rows.names))
            for name in found.label
        ),
    )


def _files(folder: Path) -> Table:
    """Return all inputs in a folder, however deep, without labels."""
    aside: list[SetAside] = []
    files: list[Cell] = []
    for file in files_in(folder):
        if any(modality.recognises(file) for modality in modalities):
            files.append(file)
        else:
            aside.append(
                SetAside(str(file.relative_to(folder)), "neither a picture nor a text, by its name")
            )
    names = [str(file.relative_to(folder)) for file in files if isinstance(file, Path)]
    parts: list[Part | None] = [None] * len(files)
    return Table(str(folder), folder, {"file": files}, names, parts, aside, [])


def _holds_files(folder: Path) -> bool:
    """Say whether a folder holds inputs by themselves: no classes of them, and no tables."""
    inputs = [file for file in files_in(folder) if any(m.recognises(file) for m in modalities)]
    in_classes = 2 * sum(file.parent != folder for file in inputs) > len(inputs)
    return not in_classes and reader_if_any(folder) in (None, readers.get("folder"))


def from_cells(
    cells: Sequence[Cell],
    names: Sequence[str] | None = None,
    aside: tuple[SetAside, ...] = (),
    modality: Modality | None = None,
) -> Dataset:
    """Return unlabelled `cells` as a data set; those that cannot be decoded are set aside.

    What they are is inferred where `modality` is None.
    """
    modality = modality or require(cells, "The inputs to predict")
    names = names or [_called(i, cell) for i, cell in enumerate(cells)]
    digests, bad, _ = _check(modality, cells, np.arange(len(cells)), lambda _looked: False)
    dataset = Dataset(
        path="",
        modality=modality.name,
        inputs=tuple(cells),
        names=tuple(names),
        digests=tuple(digests),
        targets=(),
        groups=None,
        parts=(None,) * len(cells),
        set_aside=aside,
    )
    return dataset.without(bad)


def _called(number: int, cell: Cell) -> str:
    if isinstance(cell, bytes):
        return f"input {number}"
    return cell[:80] if isinstance(cell, str) else str(cell)


def _checked(
    table: Table, roles: Roles, notes: tuple[str, ...], seed: int, enough: Enough
) -> Dataset:
    found, lost = _inputs(table, roles.input)
    targets = {name: [_answer(cell) for cell in table.columns[name]] for name in roles.label}
    for column, values in targets.items():
        lost |= {i: f"no label in column {column!r}" for i, v in enumerate(values) if v == ""}
    times: list[float] = []
    if roles.time is not None:
        times, unread = _times(table.columns[roles.time])
        reason = f"column {roles.time!r} holds no number and no date that can be read"
        lost |= dict.fromkeys(unread, reason)
    usable = [i for i in range(len(table.names)) if i not in lost]
    aside = table.set_aside + [SetAside(table.names[i], reason) for i, reason in lost.items()]
    if not usable:
        raise DataError(f"{table.path}: no row is usable. {_listed(aside)}")
    inputs = [cell for i in usable if (cell := found[i]) is not None]
    modality = require(inputs[:LOOKED_AT], table.path)
    notes = (*table.notes, *notes, f"the inputs are {modality.noun}s")

    def marks(column: str | None) -> tuple[str, ...] | None:
        if column is None:
            return None
        return tuple(str(table.columns[column][i]).strip() for i in usable)

    groups = marks(roles.group)
    if groups is not None and not all(groups):
        without = sum(not name for name in groups)
        notes = (*notes, f"{without} rows have no {roles.group!r}: each is a group of its own")
    order = np.random.default_rng(seed).permutation(len(inputs))
    digests, bad, unreached = _check(
        modality, inputs, order, lambda looked: enough(table.path, looked)
    )
    dataset = Dataset(
        path=table.path,
        modality=modality.name,
        inputs=tuple(inputs),
        names=tuple(
            table.names[i] + (f", column {roles.input[0]!r}" if isinstance(found[i], bytes) else "")
            for i in usable
        ),
        digests=tuple(digests),
        targets=tuple(
            Column(column, tuple(values[i] for i in usable)) for column, values in targets.items()
        ),
        groups=groups,
        parts=tuple(table.parts[i] for i in usable),
        subgroups=marks(roles.subgroup),
        times=tuple(times[i] for i in usable) if times else None,
        set_aside=tuple(aside),
        notes=notes,
        columns=roles.input,
    ).without(bad)
    if not len(dataset):
        raise DataError(
            f"{table.path}: no readable {modality.noun}. {_listed(list(dataset.set_aside))}"
        )
    return _reached(dataset, unreached)


def _answer(cell: Cell) -> Answer:
    """Return a label without surrounding white space, or several; an empty set is an answer."""
    if isinstance(cell, tuple):
        return tuple(str(label).strip() for label in cell)
    return str(cell).strip()


def _times(cells: Sequence[Cell]) -> tuple[list[float], list[int]]:
    """Return when each row came about, and the rows of which it cannot be said.

    Numbers are taken as they are (a year, seconds), anything else as dates, in seconds since 1970.
    """
    texts = [str(cell).strip() for cell in cells]
    try:
        times = [float(text or "nan") for text in texts]
    except ValueError:
        import pandas

        dates = pandas.to_datetime(pandas.Series(texts), errors="coerce", utc=True, format="mixed")
        known = dates.notna()
        times = ((dates - pandas.Timestamp(0, tz="UTC")).dt.total_seconds()).where(known).tolist()
    return times, [i for i, time in enumerate(times) if not np.isfinite(time)]


def _inputs(table: Table, columns: tuple[str, ...]) -> tuple[list[Cell | None], dict[int, str]]:
    """Return one cell a row, and the reason of each row without.

    Of several texts it is a tuple, in which some may be empty; of a picture and a text a pair of
    these two, in this order.
    """
    if len(columns) == 1:
        return _cells(table, columns[0])
    lost: dict[int, str] = {}
    pictures: list[list[Cell | None]] = []
    texts: list[list[Cell | None]] = []
    for column in columns:
        found, bad = _cells(table, column)
        if are_pictures(table.columns[column]):
            pictures.append(found)
            lost |= {i: f"column {column!r}: {reason}" for i, reason in bad.items()}
        else:
            texts.append(["" if cell is None else cell for cell in found])
    if len(pictures) > 1:
        raise DataError(
            f"{table.path}: {len(pictures)} of the columns {', '.join(map(repr, columns))} hold "
            "pictures; headstart takes one picture a row. Leave out an --input."
        )
    whole = pictures + ([_tied(texts)] if len(texts) > 1 and pictures else texts)
    return _tied(whole), lost


def _tied(parts: list[list[Cell | None]]) -> list[Cell | None]:
    """Return the cells of each row as one tuple, or None where one is missing."""
    rows = zip(*parts, strict=True)
    return [None if None in row else tuple(c for c in row if c is not None) for row in rows]


def _reached(dataset: Dataset, unreached: int) -> Dataset:
    """Leave out the rows whose digest is empty: the budget did not reach them."""
    if not unreached:
        return dataset
    kept = dataset.take([i for i, digest in enumerate(dataset.digests) if digest])
    note = f"the budget left no time to look at {unreached:,} of {unreached + len(kept):,} rows"
    return replace(kept, notes=(*kept.notes, note), unseen=unreached)


def _check(
    modality: Modality, cells: Sequence[Cell], order: np.ndarray, enough: Callable[[int], bool]
) -> tuple[list[str], dict[int, str], int]:
    """Return (digest a row, reason of each bad row, rows not reached before it was enough)."""
    digests = [""] * len(cells)
    bad: dict[int, str] = {}

    def look(i: int) -> None:
        try:
            digests[i] = modality.check(cells[i])
        except Unreadable as reason:
            bad[i] = str(reason)

    with ThreadPoolExecutor(2) as pool:
        for begin in range(0, len(order), _CHUNK):
            if begin and enough(begin):
                return digests, bad, len(order) - begin
            list(pool.map(look, order[begin : begin + _CHUNK]))
    return digests, bad, 0


def _cells(table: Table, column: str) -> tuple[list[Cell | None], dict[int, str]]:
    """Return the inputs of `column`, with paths resolved inside the table's own folder."""
    values = table.columns[column]
    cells: list[Cell | None] = [cell for cell in values if not isinstance(cell, tuple)]
    if len(cells) < len(values):
        raise DataError(
            f"{table.path}: column {column!r} holds lists, but an input is one text or picture a "
            "row. Say which column holds the input with --input COL."
        )
    lost: dict[int, str] = {}
    given = [cell for cell in cells if isinstance(cell, str)]
    if not given:
        return cells, lost
    if not are_pictures(given):
        missing = "an empty text" if len(given) == len(cells) else f"nothing in column {column!r}"
        lost = {
            i: missing for i, cell in enumerate(cells) if isinstance(cell, str) and not cell.strip()
        }
        return [None if i in lost else cell for i, cell in enumerate(cells)], lost
    root = table.root.resolve()
    for i, cell in enumerate(cells):
        if not isinstance(cell, str):
            continue
        text = cell.strip()
        # not Path.resolve, which raises where links go round in a circle
        path = Path(os.path.realpath(root / text))
        if not text:
            lost[i], cells[i] = "no path", None
        elif table.confined and not path.is_relative_to(root):
            lost[i], cells[i] = f"the path {text!r} leads out of {table.root}; move it inside", None
        else:
            cells[i] = path
    return cells, lost


def _joined(dataset: Dataset, given: Dataset) -> Dataset:
    def both(name: str) -> tuple[Any, ...] | None:
        ours, theirs = getattr(dataset, name), getattr(given, name)
        return None if ours is None or theirs is None else ours + theirs

    joined: dict[str, Any] = {name: both(name) for name in BY_ROW}
    if dataset.times is not None:  # the order in time is asked for where headstart splits
        joined["times"] = dataset.times + (math.inf,) * len(given)
    return replace(
        dataset,
        **joined,
        targets=tuple(
            Column(ours.name, ours.values + theirs.values)
            for ours, theirs in zip(dataset.targets, given.targets, strict=True)
        ),
        set_aside=dataset.set_aside + given.set_aside,
        unseen=dataset.unseen + given.unseen,
        notes=(*dataset.notes, f"the test rows are those of {given.path}"),
    )


def _listed(aside: list[SetAside]) -> str:
    shown = "; ".join(f"{s.where}: {s.reason}" for s in aside[:5])
    more = f"; and {len(aside) - 5} more" if len(aside) > 5 else ""
    return f"Set aside: {shown}{more}." if aside else ""
