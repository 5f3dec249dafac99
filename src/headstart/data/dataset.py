"""What has been read: the rows that can be used, and those that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from headstart.digest import digest_data

Part = Literal["train", "validation", "test"]
Cell = str | Path
"""One input as it was found: text, or the path of a file that stays encoded until it is needed."""
Target = str | tuple[str, ...]
"""One cell of a target as it was read: a value, or a set of labels."""


@dataclass(frozen=True)
class SetAside:
    """A row that is not used, where it is, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Column:
    """One named output of the target: `values` are as read, one a row."""

    name: str
    values: tuple[Target, ...]


@dataclass(frozen=True)
class Table:
    """What a reader returns: named columns of cells, before anything is inferred from them.

    `names` says where each row is (for messages), `parts` the part of the split that the data
    themselves give (or None), `root` the folder that paths in cells are relative to.
    """

    path: str
    root: Path
    columns: dict[str, list[Cell]]
    names: list[str]
    parts: list[Part | None]
    set_aside: list[SetAside]
    notes: list[str]


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
    parts
        Part of the split given by the data, or None where headstart splits.
    set_aside
        Rows that cannot be used, each with its reason.
    notes
        What was inferred, each with how to override it.
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
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()
    unseen: int = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Sequence[int]) -> Dataset:
        """Return the data set of these rows, in this order."""
        return replace(
            self,
            inputs=tuple(self.inputs[i] for i in rows),
            names=tuple(self.names[i] for i in rows),
            digests=tuple(self.digests[i] for i in rows),
            targets=tuple(
                Column(column.name, tuple(column.values[i] for i in rows))
                for column in self.targets
            ),
            groups=None if self.groups is None else tuple(self.groups[i] for i in rows),
            parts=tuple(self.parts[i] for i in rows),
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
            ]
            for i in range(len(self))
        )
        return digest_data({"modality": self.modality, "rows": rows})


def _text(cell: Target) -> str:
    """Return a target as one text; a set of labels is the same in any order."""
    return cell if isinstance(cell, str) else "\x1f".join(sorted(set(cell)))
