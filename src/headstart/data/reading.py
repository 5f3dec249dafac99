"""From DATA to a data set: which column is what, which rows are usable, and what was inferred."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.data.dataset import Cell, Column, Dataset, Part, SetAside, Table
from headstart.data.modalities import Modality, modalities, require
from headstart.data.readers import read_table
from headstart.data.readers.folder import files_in
from headstart.errors import DataError, Unreadable

LABELS = ("label", "labels", "class", "category", "target", "y", "sentiment", "intent", "topic")
INPUTS = ("text", "image", "picture", "photo", "file", "filename", "path", "message", "sentence")
Enough = Callable[[str, int], bool]
_CHUNK = 64


def read(
    path: str | Path,
    *,
    input: str | None = None,
    label: str | None = None,
    group: str | None = None,
    test: str | Path | None = None,
    seed: int = 0,
    enough: Enough = lambda _path, _looked: False,
) -> Dataset:
    """Read a labelled target.

    Parameters
    ----------
    path
        A folder with a sub-folder per class, a folder with ``train/``, ``validation/`` and
        ``test/``, or a CSV file.
    input, label, group
        Columns of a table; inferred where None (`group` is never inferred).
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
    columns = _columns(table, input, label, group)
    dataset = _checked(table, columns, seed, enough)
    if test is None:
        return dataset
    if any(part == "test" for part in dataset.parts):
        raise DataError(f"{path} has test rows of its own: leave out --test, or its test folder.")
    own = read_table(test)
    # a few test rows by themselves might suggest other columns
    input = input or (columns.input if columns.input in own.columns else None)
    label = label or (columns.label if columns.label in own.columns else None)
    given = _checked(own, _columns(own, input, label, group), seed, enough)
    if given.modality != dataset.modality:
        raise DataError(f"{test} holds {given.modality} inputs, {path} {dataset.modality} inputs.")
    tested: tuple[Part | None, ...] = tuple("test" for _ in range(len(given)))
    return _joined(dataset, replace(given, parts=tested))


def read_inputs(paths: Sequence[str | Path], input: str | None = None) -> Dataset:
    """Read inputs without labels: files, folders (searched through) and CSV tables.

    Raises
    ------
    DataError
        If a path does not exist, or no input can be read.
    """
    cells: list[Cell] = []
    names: list[str] = []
    aside: list[SetAside] = []
    for path in map(Path, paths):
        if path.suffix.lower() == ".csv" and path.is_file():
            table = read_table(path)
            column = _input_column(table, input, taken=())
            found, lost = _cells(table, column)
            cells += [cell for cell in found if cell is not None]
            names += [table.names[i] for i, cell in enumerate(found) if cell is not None]
            aside += table.set_aside + [SetAside(table.names[i], r) for i, r in lost.items()]
        elif path.is_dir():
            for file in files_in(path):
                if any(modality.recognises(file) for modality in modalities):
                    cells.append(file)
                    names.append(str(file))
                else:
                    aside.append(SetAside(str(file), "neither a picture nor a text, by its name"))
        elif path.exists():
            cells.append(path)
            names.append(str(path))
        else:
            aside.append(SetAside(str(path), "no such file"))
    if not cells:
        listed = "; ".join(f"{s.where}: {s.reason}" for s in aside[:5])
        raise DataError(f"There is nothing to predict. {listed}".strip())
    return from_cells(cells, names, tuple(aside))


def read_rows(path: str | Path, *, input: str | None = None, label: str | None = None) -> Dataset:
    """Read rows that may be labelled or not: a folder of files, class folders, or a table.

    Where there are labels they are the data set's target, empty for rows that lack one.

    Raises
    ------
    DataError
        If the path does not exist, or no input can be read.
    """
    path = Path(path)
    table = _files(path) if path.is_dir() and not _has_classes(path) else read_table(path)
    if label is not None and label not in table.columns:
        known = ", ".join(table.columns)
        raise DataError(f"{table.path}: --label {label!r} is no column. It has: {known}.")
    named = [c for c in table.columns if c.lower() in LABELS and c != input]
    label = label or (named[0] if len(named) == 1 else None)
    cells, lost = _cells(table, _input_column(table, input, (label,) if label else ()))
    rows = from_cells(
        [cell for cell in cells if cell is not None],
        [table.names[i] for i, cell in enumerate(cells) if cell is not None],
        (*table.set_aside, *(SetAside(table.names[i], reason) for i, reason in lost.items())),
    )
    if label is None:
        return rows
    labels = dict(zip(table.names, map(str, table.columns[label]), strict=True))
    return replace(rows, targets=(Column(label, tuple(labels[n].strip() for n in rows.names)),))


def _files(folder: Path) -> Table:
    """Return all inputs in a folder, however deep, without labels."""
    aside: list[SetAside] = []
    files: list[Cell] = []
    for file in files_in(folder):
        if any(modality.recognises(file) for modality in modalities):
            files.append(file)
        else:
            where = str(file.relative_to(folder))
            aside.append(SetAside(where, "neither a picture nor a text, by its name"))
    names = [str(Path(file).relative_to(folder)) for file in files]
    parts: list[Part | None] = [None] * len(files)
    return Table(str(folder), folder, {"file": files}, names, parts, aside, [])


def _has_classes(folder: Path) -> bool:
    """Say whether most inputs in a folder lie in sub-folders, which are their classes then."""
    inputs = [file for file in files_in(folder) if any(m.recognises(file) for m in modalities)]
    return 2 * sum(file.parent != folder for file in inputs) > len(inputs)


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
    names = names or [str(cell)[:80] for cell in cells]
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


@dataclass(frozen=True)
class _Columns:
    """Which column is what, and what was inferred of it."""

    input: str
    label: str
    group: str | None
    notes: tuple[str, ...]


def _columns(table: Table, input: str | None, label: str | None, group: str | None) -> _Columns:
    asked: dict[str, str] = {}
    for name, option in ((input, "--input"), (label, "--label"), (group, "--group")):
        if name is None:
            continue
        if name not in table.columns:
            known = ", ".join(table.columns)
            raise DataError(f"{table.path}: {option} {name!r} is no column. It has: {known}.")
        if name in asked:
            raise DataError(f"{asked[name]} and {option} name the same column {name!r}.")
        asked[name] = option
    label_column = label or _label_column(table, input, group)
    input_column = _input_column(table, input, tuple(c for c in (label_column, group) if c))
    notes: list[str] = []
    if not Path(table.path).is_dir():  # a folder leaves nothing to choose
        if label is None:
            notes.append(f"the label is column {label_column!r} (--label COL says otherwise)")
        if input is None:
            notes.append(f"the input is column {input_column!r} (--input COL says otherwise)")
    return _Columns(input_column, label_column, group, tuple(notes))


def _checked(table: Table, columns: _Columns, seed: int, enough: Enough) -> Dataset:
    label, group = columns.label, columns.group
    cells, lost = _cells(table, columns.input)
    labels = [str(cell).strip() for cell in table.columns[label]]
    lost |= {i: f"no label in column {label!r}" for i, v in enumerate(labels) if not v}
    usable = [i for i in range(len(cells)) if i not in lost]
    aside = table.set_aside + [SetAside(table.names[i], reason) for i, reason in lost.items()]
    if not usable:
        raise DataError(f"{table.path}: no row is usable. {_listed(aside)}")
    inputs = [cell for i in usable if (cell := cells[i]) is not None]
    modality = require(inputs[:1000], table.path)
    notes = (*table.notes, *columns.notes, f"the inputs are {modality.noun}s")
    groups = None
    if group is not None:
        groups = tuple(str(table.columns[group][i]).strip() for i in usable)
        if not all(groups):
            without = sum(not name for name in groups)
            notes = (*notes, f"{without} rows have no {group!r}: each is a group of its own")
    order = np.random.default_rng(seed).permutation(len(inputs))
    digests, bad, unreached = _check(
        modality, inputs, order, lambda looked: enough(table.path, looked)
    )
    dataset = Dataset(
        path=table.path,
        modality=modality.name,
        inputs=tuple(inputs),
        names=tuple(table.names[i] for i in usable),
        digests=tuple(digests),
        targets=(Column(label, tuple(labels[i] for i in usable)),),
        groups=groups,
        parts=tuple(table.parts[i] for i in usable),
        set_aside=tuple(aside),
        notes=notes,
    ).without(bad)
    if not len(dataset):
        raise DataError(
            f"{table.path}: no readable {modality.noun}. {_listed(list(dataset.set_aside))}"
        )
    return _reached(dataset, unreached)


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
    cells: list[Cell | None] = list(table.columns[column])
    lost: dict[int, str] = {}
    given = [cell for cell in cells if isinstance(cell, str)]
    if not given:
        return cells, lost
    if not _are_paths(given):
        lost = {i: "an empty text" for i, cell in enumerate(cells) if not str(cell).strip()}
        return [None if i in lost else cell for i, cell in enumerate(cells)], lost
    root = table.root.resolve()
    for i, cell in enumerate(cells):
        text = str(cell).strip()
        # not Path.resolve, which raises where links go round in a circle
        path = Path(os.path.realpath(root / text))
        if not text:
            lost[i], cells[i] = "no path", None
        elif not path.is_relative_to(root):
            lost[i], cells[i] = f"the path {text!r} leads out of {table.root}; move it inside", None
        else:
            cells[i] = path
    return cells, lost


def _are_paths(cells: Sequence[Cell]) -> bool:
    image = modalities.get("image")
    filled = [cell for cell in cells if str(cell).strip()]
    return 2 * sum(map(image.recognises, filled)) > len(filled)


def _label_column(table: Table, input: str | None, group: str | None) -> str:
    free = [c for c in table.columns if c not in (input, group)]
    named = [c for c in free if c.lower() in LABELS]
    if len(named) == 1:
        return named[0]
    candidates = named or [c for c in free if _few_values(table.columns[c])]
    if len(candidates) == 1 and len(free) + (input is not None) > 1:
        return candidates[0]
    if candidates:
        raise DataError(
            f"{table.path}: which column holds the label? It could be "
            f"{' or '.join(map(repr, candidates))}. Say it with --label COL."
        )
    raise DataError(
        f"{table.path}: no column looks like a label. "
        f"The columns are: {', '.join(table.columns)}. Say which with --label COL."
    )


def _few_values(cells: Sequence[Cell]) -> bool:
    distinct = len({str(cell) for cell in cells})
    return 2 <= distinct <= max(2, min(1000, len(cells) // 3)) and not _are_paths(cells)


def _input_column(table: Table, input: str | None, taken: Sequence[str]) -> str:
    if input is not None:
        if input not in table.columns:
            known = ", ".join(table.columns)
            raise DataError(f"{table.path}: --input {input!r} is no column. It has: {known}.")
        return input
    free = [c for c in table.columns if c not in taken]
    if not free:
        raise DataError(
            f"{table.path}: besides {' and '.join(map(repr, taken))} there is no column to learn "
            "from. Say which holds the input with --input COL."
        )
    paths = [c for c in free if _are_paths(table.columns[c])]
    named = [c for c in free if c.lower() in INPUTS]
    for candidates in (paths, named, free):
        if len(candidates) == 1:
            return candidates[0]
    length = {c: sum(len(str(v)) for v in table.columns[c]) for c in free}
    longest = sorted(free, key=lambda c: -length[c])
    if length[longest[0]] > 3 * length[longest[1]]:
        return longest[0]
    raise DataError(
        f"{table.path}: which column holds the input? It could be "
        f"{' or '.join(map(repr, longest[:4]))}. Say it with --input COL."
    )


def _joined(dataset: Dataset, given: Dataset) -> Dataset:
    parts: tuple[Part | None, ...] = dataset.parts + given.parts
    groups = None
    if dataset.groups is not None and given.groups is not None:
        groups = dataset.groups + given.groups
    return replace(
        dataset,
        inputs=dataset.inputs + given.inputs,
        names=dataset.names + given.names,
        digests=dataset.digests + given.digests,
        targets=tuple(
            Column(ours.name, ours.values + theirs.values)
            for ours, theirs in zip(dataset.targets, given.targets, strict=True)
        ),
        groups=groups,
        parts=parts,
        set_aside=dataset.set_aside + given.set_aside,
        unseen=dataset.unseen + given.unseen,
        notes=(*dataset.notes, f"the test rows are those of {given.path}"),
    )


def _listed(aside: list[SetAside]) -> str:
    shown = "; ".join(f"{s.where}: {s.reason}" for s in aside[:5])
    more = f"; and {len(aside) - 5} more" if len(aside) > 5 else ""
    return f"Set aside: {shown}{more}." if aside else ""
