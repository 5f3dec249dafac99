"""From DATA to a data set: which column is what, which rows are usable, and what was inferred."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.data.dataset import Cell, Column, Dataset, Part, SetAside, Table
from headstart.data.modalities import Modality, modalities, require
from headstart.data.readers import read_table, reader_if_any, readers
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


def inputs_in(paths: Iterable[str | Path], input: str | None = None) -> Iterator[Asked]:
    """Yield inputs without labels, one after another: of files, tables, and folders (searched).

    Nothing is decoded, and of folders nothing is held. Rows of a table that could not be parsed
    come after its others.

    Parameters
    ----------
    paths
        A folder is searched through for files; what else a reader recognises is a table.
    input
        Column of a table; inferred where None.

    Raises
    ------
    DataError
        If a table cannot be read, or it cannot be told which column is the input.
    """
    for path in map(Path, paths):
        if _is_table(path):
            yield from _rows_of(read_table(path), input)
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


def _rows_of(table: Table, input: str | None) -> Iterator[Asked]:
    cells, lost = _cells(table, _input_column(table, input, taken=()))
    for i, cell in enumerate(cells):
        columns = {name: values[i] for name, values in table.columns.items()}
        yield Asked(table.names[i], cell, lost.get(i, ""), columns)
    for aside in table.set_aside:
        yield Asked(aside.where, None, aside.reason, dict.fromkeys(table.columns, ""))


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
