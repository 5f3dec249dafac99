"""The rows of a table: inputs and answers from its cells, and what of them can be decoded."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from headstart.data.columns import LOOKED_AT, are_media
from headstart.data.dataset import Answer, Cell, Table
from headstart.data.modalities import Modality, modalities
from headstart.devices import on_cores
from headstart.errors import DataError, Unreadable

_CHUNK = 64
_LONGEST = 1000
"""Letters of a path, at most."""
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?").fullmatch


def inputs_of(table: Table, columns: tuple[str, ...]) -> tuple[list[Cell | None], dict[int, str]]:
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
        if are_media(table.columns[column]):
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


def answers_of(cells: Sequence[Cell]) -> list[Answer]:
    """Return the labels of a column, or several a row; an empty set is an answer.

    They are without surrounding white space, in Unicode's composed form; where all are whole
    numbers, ``7.0`` is ``7``.
    """
    found = [
        tuple(map(_label, cell)) if isinstance(cell, tuple) else _label(cell) for cell in cells
    ]
    if not all(isinstance(answer, str) and (not answer or _WHOLE(answer)) for answer in found):
        return found
    return [str(answer).partition(".")[0] for answer in found]


def _label(cell: Cell) -> str:
    return unicodedata.normalize("NFC", str(cell).strip())


def digested(
    modality: Modality, cells: Sequence[Cell], order: np.ndarray, enough: Callable[[int], bool]
) -> tuple[list[str], dict[int, str], int]:
    """Return (digest a row, reason of each bad row, rows not reached before it was enough)."""
    digests = [""] * len(cells)
    bad: dict[int, str] = {}

    def look(i: int) -> tuple[int, str, str]:
        try:
            return i, modality.check(cells[i]), ""
        except Unreadable as reason:
            return i, "", str(reason)

    with contextlib.closing(on_cores(look, order.tolist())) as looked:
        for done, (i, digest, reason) in enumerate(looked, 1):
            digests[i] = digest
            if reason:
                bad[i] = reason
            if done % _CHUNK == 0 and done < len(order) and enough(done):
                return digests, bad, len(order) - done
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
    if not are_media(given) and not are_text_files(given, table.root):
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
        if not text or "\0" in text:
            lost[i], cells[i] = "no path", None
            continue
        # not Path.resolve, which raises where links go round in a circle
        path = Path(os.path.realpath(root / text))
        if table.confined and not path.is_relative_to(root):
            lost[i], cells[i] = f"the path {text!r} leads out of {table.root}; move it inside", None
        else:
            cells[i] = path
    return cells, lost


def names_a_text(cell: str) -> bool:
    """Say whether `cell` is written like the path of a text file."""
    return len(cell) < _LONGEST and modalities.get("text").recognises(Path(cell.strip()))


def are_text_files(cells: Sequence[str], root: Path = Path()) -> bool:
    """Say whether most cells name text files that are there; the first ones are looked at."""
    first = cells[:LOOKED_AT]
    paths = [root / cell.strip() for cell in first if names_a_text(cell)]
    return 2 * sum(map(os.path.isfile, paths)) > len(first)
