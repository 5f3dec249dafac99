"""What target cells look like: numbers, sets of labels, yes or no; and rows that disagree."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from headstart.data.dataset import Answer, Dataset
from headstart.errors import DataError
from headstart.wording import counted

DELIMITERS = ("|", ";", ",")
INFERRED = ("|", ";")
"""A comma stands in many names of classes, so it divides labels only if asked for."""
FEWEST = 3
"""Distinct rows that a class needs, or a label with it and without it, so that it can be learnt
from, chosen by and tested on."""
UNTIDY = 0.05
"""Share of rows whose target may be of another kind; they are set aside."""
SOME = 0.1
"""Share of rows in which a delimiter must stand so that labels are taken to be several."""
RECURRING = 3
"""Rows in which a label must stand on average, so that it is a label and not a remark."""
KINDS = 20
"""Distinct whole numbers up to which they are taken to be classes."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_GROUPED = re.compile(r"[+-]?\d{1,3}([, ]\d{3})+(\.\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_UNIT = re.compile(r"[^\w+-]*[+-]?(\d+\.?\d*|\.\d+)\s*[^\d\s_.:/-].*|[^\w+.-]+\s*[\d.]+")
_MISSING = {"nan", "na", "n/a", "none", "null", "inf", "infinity", "-", "?", "missing", "#n/a"}
_TRUTH = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), 1),
    **dict.fromkeys(("0", "0.0", "false", "no"), 0),
}


def require_rows(dataset: Dataset) -> None:
    """Raise `DataError` for fewer rows than two kinds of answers need."""
    if len(dataset) < 2 * FEWEST:
        raise DataError(
            f"{dataset.path}: only {counted(len(dataset), 'usable row')}; at least {2 * FEWEST} "
            "are needed, and some dozens before a result means much."
        )


def number(cell: Answer) -> float | str:
    """Return the number that a cell is, or else why it is none that can be used."""
    if not isinstance(cell, str):
        return "several labels where one number should be"
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else f"not a finite number: {text!r}"
    if is_missing(text):
        return f"not a finite number: {text!r}"
    if _DATE.fullmatch(text):
        return f"a date, not a number: {text!r}"
    if _GROUPED.fullmatch(text):
        return f"separators in a number, write it without: {text!r}"
    if _COMMA.fullmatch(text):
        return f"a comma in a number, write a full stop: {text!r}"
    if _UNIT.fullmatch(text):
        return f"a number with a unit, write the number alone: {text!r}"
    return f"not a number: {text!r}"


def is_missing(cell: Answer) -> bool:
    """Say whether a cell says that there is no number."""
    return isinstance(cell, str) and cell.strip().lower().lstrip("+-") in _MISSING | {""}


def is_date(cell: Answer) -> bool:
    """Say whether a cell is a date as they are commonly written."""
    return isinstance(cell, str) and bool(_DATE.fullmatch(cell.strip()))


def truth(cell: Answer) -> int | None:
    """Return 1 or 0 for a cell that says yes or no, else None."""
    return _TRUTH.get(cell.strip().lower()) if isinstance(cell, str) else None


def are_numbers(cells: Sequence[Answer]) -> bool:
    """Say whether all but a few cells are numbers; those that say there is none do not count."""
    said = [cell for cell in cells if not is_missing(cell)]
    wrong = sum(isinstance(number(cell), str) for cell in said)
    return len(said) > wrong and wrong <= max(1, UNTIDY * len(said))


def are_truths(cells: Sequence[Answer]) -> bool:
    """Say whether all but a few cells say yes or no."""
    wrong = sum(truth(cell) is None for cell in cells)
    return len(cells) > wrong and wrong <= UNTIDY * len(cells)


def are_quantities(cells: Sequence[Answer]) -> bool:
    """Say whether cells are numbers that measure, rather than names of classes or of rows.

    Fractions measure, if there are more than two kinds of them. Whole numbers do if there are more
    than `KINDS` of them, in more than a tenth of the rows (a twentieth beyond 1,000 rows), so that
    years, stars or digits stay classes. (AutoGluon decides by the same shares.) Numbers with zeros
    in front are codes, and a run of whole numbers of which each stands once counts the rows.
    """
    if not are_numbers(cells):
        return False
    texts = [c.strip() for c in cells if isinstance(c, str) and not isinstance(number(c), str)]
    if any(re.fullmatch(r"[+-]?0\d.*", text) for text in texts):
        return False
    values = np.array([float(text) for text in texts])
    distinct = np.unique(values)
    if (distinct != np.round(distinct)).any():
        return len(distinct) > 2
    if len(distinct) == len(values) and distinct[-1] - distinct[0] == len(values) - 1:
        return False
    share = 0.05 if len(values) > 1000 else 0.1
    return len(distinct) > max(KINDS, share * len(values))


def labels_of(cell: Answer, delimiter: str | None) -> frozenset[str]:
    """Return the set of labels in a cell."""
    if isinstance(cell, str):
        cell = tuple(cell.split(delimiter)) if delimiter else (cell,)
    return frozenset(label.strip() for label in cell if label.strip())


def delimiter_of(cells: Sequence[Answer]) -> str | None:
    """Return what surely divides labels in the cells, or None.

    It stands in a good share of the cells, what lies between is short and recurs, and there are
    fewer kinds of it than of whole cells.
    """
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells):
        return None
    for delimiter in INFERRED:
        if sum(delimiter in text for text in texts) < max(2, SOME * len(texts)):
            continue
        pieces = [piece for text in texts for piece in labels_of(text, delimiter)]
        kinds = Counter(pieces)
        recurring = len(pieces) >= RECURRING * len(kinds)
        if recurring and len(kinds) <= len(set(texts)) and max(map(len, kinds)) <= 60:
            return delimiter
    return None


def any_delimiter(cells: Sequence[Answer]) -> str | None:
    """Return what divides labels where it is known that there are several, or None."""
    found = Counter(d for cell in cells for d in DELIMITERS if isinstance(cell, str) and d in cell)
    return delimiter_of(cells) or (found.most_common(1)[0][0] if found else None)
