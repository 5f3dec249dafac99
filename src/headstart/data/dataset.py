"""What has been read: the rows that can be used, and those that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from headstart.digest import digest_data

if TYPE_CHECKING:
    import datasets
    import pandas

Data: TypeAlias = "str | Path | pandas.DataFrame | datasets.Dataset | datasets.DatasetDict"
"""What users bring: a path, the name of a data set on the hub, or rows that are in memory."""
Part = Literal["train", "validation", "test"]
Raw = Any
"""One value as a container holds it: text, number, truth value, date, bytes, path, list, picture,
``{"bytes": …, "path": …}``; None, NaN and NaT where it is missing. `cells` makes a `Cell` of it.
"""
Cell: TypeAlias = "str | Path | bytes | tuple[Cell, ...]"
"""One input, the same from every container: a text, or a file that stays encoded until it is
needed, as its path or its content; a tuple where a row has several inputs, or several labels. In a
table the empty string is what is missing."""
TOGETHER = "+"
"""Joins the names of modalities that come together in one row, and the digests of its parts."""
Answer = str | tuple[str, ...]
"""One output as read: a text, or several where a row has several labels."""


@dataclass(frozen=True)
class SetAside:
    """A row that is not used, where it is, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Column:
    """One named output of the target: `values` are as read, one a row."""

    name: str
    values: tuple[Answer, ...]


@dataclass(frozen=True)
class Table:
    """What a reader returns: named columns, before anything is inferred from them.

    Attributes
    ----------
    path
        What the data are called in messages: their path, or such as ``DataFrame``.
    root
        The folder that paths in cells are relative to.
    columns
        Canonical values, one a row.
    names
        Where each row is, for messages.
    parts
        The part of the split that the data themselves give, or None.
    confined
        Whether paths in cells must stay inside `root`: not where the user gave them in Python.
    refused
        Columns whose values can be neither input nor label, each with what to do about it.
    remarks
        What is to be said of a column if it is used.
    """

    path: str
    root: Path
    columns: dict[str, list[Cell]]
    names: list[str]
    parts: list[Part | None]
    set_aside: list[SetAside]
    notes: list[str]
    confined: bool = True
    refused: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)


BY_ROW = ("inputs", "names", "digests", "groups", "alike", "parts", "subgroups", "times")
"""What a data set holds of each row besides its targets."""


@dataclass(frozen=True)
class Dataset:
    """The usable rows of a target.

    Attributes
    ----------
    inputs
        One encoded input a row.
    names
        What each row is called: a file's path inside the data, or ``file, row 7``.
    digests
        Content digest of each input; equal digests are exact duplicates.
    targets
        The named outputs: one column, or several that are learnt together.
    groups
        Group of each row (patient, speaker, …) that must stay on one side of a split, or None.
    alike
        Set of near duplicates that each row belongs to, empty for none; None before it is known.
    subgroups
        Part of the population that each row belongs to, for scores by subgroup, or None.
    times
        When each row came about, in seconds or in the data's own unit, or None. The split then lets
        older rows be learnt from and newer ones be tested on.
    parts
        Part of the split given by the data, or None where headstart splits.
    set_aside
        Rows that cannot be used, each with its reason.
    notes
        What was inferred, each with how to override it.
    columns
        Columns of the table in which the inputs were.
    unseen
        Rows that the budget left no time to look at.
    """

    path: str
    modality: str
    inputs: tuple[Cell, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    targets: tuple[Column, ...]
    groups: tuple[str, ...] | None
    parts: tuple[Part | None, ...]
    alike: tuple[str, ...] | None = None
    subgroups: tuple[str, ...] | None = None
    times: tuple[float, ...] | None = None
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    unseen: int = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Sequence[int]) -> Dataset:
        """Return the data set of these rows, in this order."""
        taken: dict[str, Any] = {
            name: tuple(values[i] for i in rows)
            for name in BY_ROW
            if (values := getattr(self, name)) is not None
        }
        targets = tuple(
            Column(column.name, tuple(column.values[i] for i in rows)) for column in self.targets
        )
        return replace(self, targets=targets, **taken)

    def of(self, modality: str) -> Dataset:
        """Return the same rows with that part of each input which is of `modality`."""
        if modality == self.modality:
            return self
        number = self.modality.split(TOGETHER).index(modality)
        return replace(
            self,
            modality=modality,
            inputs=tuple(cell[number] for cell in self.inputs if isinstance(cell, tuple)),
            digests=tuple(digest_of_part(digest, number) for digest in self.digests),
        )

    def without(self, rows: dict[int, str]) -> Dataset:
        """Set `rows` aside, each with its reason."""
        kept = self.take([i for i in range(len(self)) if i not in rows])
        gone = tuple(SetAside(self.names[i], reason) for i, reason in sorted(rows.items()))
        return replace(kept, set_aside=self.set_aside + gone)

    def fingerprint(self) -> str:
        """Return the digest of the content: rows in any order, from any container, give the same.

        What counts are each row's input, outputs, group and given part; names and paths do not.
        """
        rows = sorted(
            [
                self.digests[i],
                *(_text(column.values[i]) for column in self.targets),
                self.groups[i] if self.groups else "",
                self.parts[i] or "",
                *([repr(self.times[i])] if self.times else []),
            ]
            for i in range(len(self))
        )
        return digest_data({"modality": self.modality, "rows": rows})


def digest_of_part(digest: str, number: int) -> str:
    """Return the digest of one part of a cell; empty where the cell was not looked at."""
    return digest.split(TOGETHER)[number] if digest else ""


def _text(cell: Answer) -> str:
    """Return a target as one text; a set of labels is the same in any order."""
    return cell if isinstance(cell, str) else "\x1f".join(sorted(set(cell)))
