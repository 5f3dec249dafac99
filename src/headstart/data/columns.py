"""Which column of a table is what: as the user says, else inferred, and then said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.data.dataset import Cell, Table
from headstart.data.modalities import is_medium
from headstart.errors import DataError

LABELS = ("label", "labels", "class", "category", "target", "y", "sentiment", "intent", "topic")
INPUTS = ("text", "message", "sentence", "image", "picture", "photo", "audio", "recording", "sound")
LOOKED_AT = 1000
"""Cells by which a column is judged."""


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for.

    Attributes
    ----------
    input, label
        One column or several; inferred where there is none.
    group
        Rows of one group stay on one side of a split.
    subgroup
        Part of the population; scores are told for each.
    time
        When rows came about: older ones are learnt from, newer ones tested on.
    """

    input: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    group: str | None = None
    subgroup: str | None = None
    time: str | None = None

    @classmethod
    def of(
        cls,
        input: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        **single: str | None,
    ) -> Roles:
        """Return roles in which one column, several or none may be given."""
        return cls(_listed(input), _listed(label), **single)

    def named(self) -> list[tuple[str, str]]:
        """Return (option, column) of everything that is said."""
        several = [("--input", c) for c in self.input] + [("--label", c) for c in self.label]
        single = (("--group", self.group), ("--time", self.time), ("--subgroup", self.subgroup))
        return several + [(option, column) for option, column in single if column is not None]

    def besides(self, known: Roles, table: Table) -> Roles:
        """Return the roles, input and label taken from `known` where they are not said.

        They are those of rows read before, and taken only if the table has them.

        Raises
        ------
        DataError
            If the table has some of the known inputs, but not all.
        """
        has = table.columns
        lacking = [c for c in known.input if c not in has]
        if not self.input and 0 < len(lacking) < len(known.input):
            raise DataError(
                f"{table.path}: inputs are read from {' and '.join(map(repr, known.input))}, but "
                f"there is no column {lacking[0]!r}. Say which to take by one --input COL each."
            )
        input_ = known.input if all(c in has for c in known.input) else ()
        label = known.label if all(c in has for c in known.label) else ()
        return replace(self, input=self.input or input_, label=self.label or label)


def _listed(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns or ())


def complete(table: Table, roles: Roles) -> tuple[Roles, tuple[str, ...]]:
    """Return the roles with what had to be inferred, and what to tell the user of it.

    Raises
    ------
    DataError
        If a column is not there or has two roles, or a role cannot be inferred; the text names the
        candidates and the option that decides.
    """
    _checked(table, roles)
    found = replace(roles, label=roles.label or (_label(table, roles),))
    found = replace(found, input=roles.input or (_input(table, _taken(found)),))
    notes: list[str] = []
    if not isinstance(table.columns[found.input[0]][0], Path):  # a folder leaves nothing to choose
        if not roles.label:
            notes.append(f"the label is column {found.label[0]!r} (--label COL says otherwise)")
        if not roles.input:
            notes.append(f"the input is column {found.input[0]!r} (--input COL says otherwise)")
    for _, column in found.named():
        notes += [f"column {column!r} {remark}" for remark in table.remarks.get(column, [])]
    return found, tuple(dict.fromkeys(notes))


def unlabelled(table: Table, roles: Roles) -> Roles:
    """Return the roles of rows that need no labels; a column of a usual name holds them.

    Raises
    ------
    DataError
        As `complete` does.
    """
    _checked(table, roles)
    usual = [c for c in table.columns if c.lower() in LABELS and c not in roles.input]
    found = replace(roles, label=roles.label or tuple(usual if len(usual) == 1 else ()))
    return replace(found, input=roles.input or (_input(table, _taken(found)),))


def _taken(roles: Roles) -> tuple[str, ...]:
    """Return the columns that are no inputs."""
    single = (roles.group, roles.subgroup, roles.time)
    return (*roles.label, *(column for column in single if column is not None))


def _checked(table: Table, roles: Roles) -> None:
    """Raise `DataError` for a column that is not there, or is named twice.

    A subgroup may be any column: scores by class, or by hospital, are asked for as well.
    """
    asked: dict[str, str] = {}
    for option, column in roles.named():
        if column in table.refused:
            raise DataError(f"{table.path}: column {column!r} {table.refused[column]}.")
        if column not in table.columns:
            known = ", ".join(table.columns)
            raise DataError(f"{table.path}: {option} {column!r} is no column. It has: {known}.")
        if option == "--subgroup":
            continue
        if column in asked:
            raise DataError(f"{asked[column]} and {option} name the same column {column!r}.")
        asked[column] = option


def _label(table: Table, roles: Roles) -> str:
    own = (*roles.input, roles.group, roles.time)
    named = [c for c in table.columns if c not in own and c.lower() in LABELS]
    if len(named) == 1:
        return named[0]
    free = [c for c in table.columns if c not in (*own, roles.subgroup)]
    candidates = named
    for looks_like in (_few_values, _sets, _numbers):
        candidates = candidates or [c for c in free if looks_like(table.columns[c])]
    if not candidates and any(are_media(table.columns[c]) for c in (*free, *roles.input)):
        candidates = [c for c in free if _words(table.columns[c])]
    if len(candidates) == 1 and len(free) + len(roles.input) > 1:
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
    distinct = len(set(cells))
    return 2 <= distinct <= max(2, min(1000, len(cells) // 3)) and not are_media(cells)


def _sets(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, tuple) for cell in cells)


def _numbers(cells: Sequence[Cell]) -> bool:
    """Say whether all cells but empty ones are numbers, some of them with a fraction."""
    filled = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    try:
        values = [float(cell) for cell in filled]
    except ValueError:
        return False
    return any(value % 1 for value in values)


def _words(cells: Sequence[Cell]) -> bool:
    """Say whether cells are texts of several words, as what is said in a recording."""
    filled = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    several = sum(len(cell.split()) > 1 for cell in filled)
    return 2 * several > len(filled) and not are_media(cells)


def are_media(cells: Sequence[Cell]) -> bool:
    """Say whether most cells are pictures or recordings: their content, or like their paths."""
    filled = [c for c in cells if not isinstance(c, str) or c.strip()][:LOOKED_AT]
    return 2 * sum(map(is_medium, filled)) > len(filled)


def _input(table: Table, taken: Sequence[str]) -> str:
    """Return the one column of a table that is the input.

    Raises
    ------
    DataError
        If there is none, or several that could be.
    """
    free = [c for c in table.columns if c not in taken and not _sets(table.columns[c])]
    if not free:
        raise DataError(
            f"{table.path}: besides {' and '.join(map(repr, taken))} there is no column to learn "
            "from. Say which holds the input with --input COL."
        )
    media = [c for c in free if are_media(table.columns[c])]
    named = [c for c in free if c.lower() in INPUTS]
    for candidates in (media, named, free):
        if len(candidates) == 1:
            return candidates[0]
    length = {
        c: sum(len(v) if isinstance(v, str | bytes) else 0 for v in table.columns[c]) for c in free
    }
    longest = sorted(free, key=lambda c: -length[c])
    if length[longest[0]] > 3 * length[longest[1]]:
        return longest[0]
    raise DataError(
        f"{table.path}: which column holds the input? It could be "
        f"{' or '.join(map(repr, longest[:4]))}. Say it with --input COL; several inputs of a row "
        "(a pair of texts, a picture and a text) by one --input each."
    )
