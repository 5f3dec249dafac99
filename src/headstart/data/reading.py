"""From DATA to a data set: which column is what, which rows are usable, and what was inferred."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.data.columns import LOOKED_AT, Roles, complete
from headstart.data.dataset import BY_ROW, Column, Data, Dataset, Part, SetAside, Table
from headstart.data.modalities import require
from headstart.data.readers import read_table
from headstart.data.rows import answers_of, digested, inputs_of
from headstart.data.times import in_time
from headstart.errors import DataError
from headstart.wording import counted

Enough = Callable[[str, int], bool]


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


def _checked(
    table: Table, roles: Roles, notes: tuple[str, ...], seed: int, enough: Enough
) -> Dataset:
    found, lost = inputs_of(table, roles.input)
    targets = {name: answers_of(table.columns[name]) for name in roles.label}
    for column, values in targets.items():
        lost |= {i: f"no label in column {column!r}" for i, v in enumerate(values) if v == ""}
    times: list[float] = []
    if roles.time is not None:
        times, unread, remarks = in_time(table.columns[roles.time])
        notes = (*notes, *(f"column {roles.time!r}: {remark}" for remark in remarks))
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
        without = counted(sum(not name for name in groups), "row has", "rows have")
        notes = (*notes, f"{without} no {roles.group!r}: each is a group of its own")
    order = np.random.default_rng(seed).permutation(len(inputs))
    digests, bad, unreached = digested(
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


def _reached(dataset: Dataset, unreached: int) -> Dataset:
    """Leave out the rows whose digest is empty: the budget did not reach them."""
    if not unreached:
        return dataset
    kept = dataset.take([i for i, digest in enumerate(dataset.digests) if digest])
    note = f"the budget left no time to look at {unreached:,} of {unreached + len(kept):,} rows"
    return replace(kept, notes=(*kept.notes, note), unseen=unreached)


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
