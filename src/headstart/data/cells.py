"""Cells: values as any container holds them become the same canonical values.

The same rows brought as CSV, JSON lines, Parquet, DataFrame or `datasets.Dataset` shall give the
same fingerprint and the same split, so every reader hands what it found to `tabulate`.

====================================  =================================================
as found                              canonical
====================================  =================================================
None, NaN, NaT                        the empty string: missing
texts                                 as they are
numbers, if all of a column are whole ``7``, also for 7.0
numbers otherwise                     ``7.0``, ``0.5``: the shortest digits that say it
truth values                          ``True``, ``False``
dates                                 ISO 8601, without the time where all are midnight
lists                                 a tuple of texts; single values beside lists too
bytes                                 texts if all of a column are UTF-8, else as they are
pictures of Pillow                    bytes of a PNG or TIFF file, without loss
``{"bytes": …, "path": …}``           the bytes, or else the path
====================================  =================================================
"""

from __future__ import annotations

import datetime
import decimal
import io
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.dataset import Cell, Part, Raw, SetAside, Table
from headstart.data.encodings import spelt
from headstart.errors import DataError
from headstart.wording import counted

_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?")
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})


@dataclass(frozen=True)
class Canonical:
    """A column's values, what is to be said of it, and why it is refused (empty if it is not)."""

    values: list[Cell]
    remarks: list[str]
    refused: str = ""


def canonical(column: Sequence[Raw]) -> Canonical:
    """Return the canonical values of a whole column.

    A column of which most values are nested is refused; where only some are, those are missing.
    """
    if all(type(value) is str for value in column):
        texts: list[Cell] = [_text(value) for value in column]
        return Canonical(texts, _remarks([], texts))
    found = [_plain(value) for value in column]
    nested = [value for value in found if isinstance(value, _Nested)]
    filled = sum(value is not None for value in found)
    if 2 * len(nested) > filled:
        reason = (
            f"holds {nested[0].kind}, which can be neither input nor label; "
            "bring what is to be learnt from or told in columns of their own"
        )
        return Canonical([], [], reason)
    found = [None if isinstance(value, _Nested) else value for value in found]
    values = _Writer(found).values()
    remarks = _remarks(found, values)
    if nested:
        where = counted(len(nested), "row, which counts", "rows, which count")
        remarks.append(f"holds {nested[0].kind} in {where} as missing")
    return Canonical(values, remarks)


def distinct(names: Iterable[object], where: str) -> list[str]:
    """Return column names as texts; raise `DataError` for one that stands twice."""
    texts = [str(name) for name in names]
    twice = [name for name, count in Counter(texts).items() if count > 1]
    if twice:
        raise DataError(f"{where}: the column name {twice[0]!r} stands twice; rename one.")
    return texts


@dataclass(frozen=True)
class Rows:
    """Rows as found in a container: `names` says where each is, columns hold a value for each."""

    columns: Mapping[str, Sequence[Raw]]
    names: Sequence[str]
    set_aside: Sequence[SetAside] = ()
    notes: Sequence[str] = ()


def joined(several: Sequence[Rows]) -> Rows:
    """Return rows one after the other; a column that some of them lack is missing there."""
    titles = dict.fromkeys(name for rows in several for name in rows.columns)
    return Rows(
        {
            name: [v for r in several for v in r.columns.get(name, [None] * len(r.names))]
            for name in titles
        },
        [name for rows in several for name in rows.names],
        [aside for rows in several for aside in rows.set_aside],
        [note for rows in several for note in rows.notes],
    )


def tabulate(
    path: str,
    root: Path,
    rows: Rows,
    parts: Sequence[Part | None] = (),
    *,
    confined: bool = True,
) -> Table:
    """Return rows as a table of canonical values.

    Parameters
    ----------
    path, root, confined
        As `Table` has them.
    parts
        Part of each row; none are given where it is empty.

    Raises
    ------
    DataError
        If there are no rows, or no column can be used.
    """
    if not rows.names:
        listed = "".join(f" {aside.where}: {aside.reason}." for aside in rows.set_aside[:3])
        raise DataError(f"{path}: there are no rows.{listed}")
    found = {name: canonical(values) for name, values in rows.columns.items()}
    refused = {name: column.refused for name, column in found.items() if column.refused}
    if len(refused) == len(found):
        listed = "; ".join(f"{name!r} {reason}" for name, reason in refused.items())
        raise DataError(f"{path}: there is no column to learn from. {listed}".strip())
    return Table(
        path=path,
        root=root,
        columns={name: c.values for name, c in found.items() if name not in refused},
        names=[_text(name) for name in rows.names],
        parts=list(parts) or [None] * len(rows.names),
        set_aside=[SetAside(_text(one.where), one.reason) for one in rows.set_aside],
        notes=[_text(note) for note in rows.notes],
        confined=confined,
        refused=refused,
        remarks={name: column.remarks for name, column in found.items() if column.remarks},
    )


@dataclass(frozen=True)
class _Nested:
    """A value that is no cell; `kind` is what the user reads of it."""

    kind: str


def is_missing(value: Raw) -> bool:
    """Say whether `value` is None, NaN, or what pandas puts where there is nothing."""
    nothing = value is None or type(value).__name__ in ("NaTType", "NAType")
    return nothing or (isinstance(value, float) and value != value)


def _plain(value: Raw) -> Any:
    """Return None, or a value of Python's own types, a list of them, a path, or `_Nested`."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (bytes, bool, int, Path)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, np.generic):
        return _plain(_unboxed(value))
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return value
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return None if value != value else str(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dict):
        return _of_mapping(value)
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return _of_list(value)
    if type(value).__module__.startswith("PIL."):
        try:
            return encoded(value)
        except Exception:  # it is decoded only now
            return _Nested("pictures that cannot be decoded")
    return _Nested(f"values of type {type(value).__name__}")


def _text(value: str) -> str:
    """Return `value` as a plain string that can be written: half a surrogate pair is spelt out."""
    return spelt(str.__str__(value))


def _unboxed(value: np.generic) -> Raw:
    if isinstance(value, np.floating):
        return float(str(value))  # 0.1 in float32 is 0.1, not 0.10000000149011612
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.astype("datetime64[us]").item()
    if isinstance(value, np.void):
        return {}
    return value.item()


def _of_mapping(value: dict[Any, Any]) -> Any:
    content, path = value.get("bytes"), value.get("path")
    if not value or not value.keys() <= {"bytes", "path"}:
        return _Nested("nested values (dicts)")
    if isinstance(content, bytes):
        return content
    if content is None and (path is None or isinstance(path, str)):
        return path
    return _Nested("nested values (dicts)")


def _of_list(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return _plain(value[()])
        value = list(value)
    elements = [_plain(element) for element in value]
    if any(isinstance(element, (list, bytes, Path, _Nested)) for element in elements):
        return _Nested("nested lists or arrays")
    kept = [element for element in elements if element is not None]
    return sorted(kept, key=str) if isinstance(value, (set, frozenset)) else kept


def encoded(picture: Any) -> bytes:
    """Return a picture of Pillow as the bytes of a file, the right way up."""
    from PIL import ImageOps

    written = io.BytesIO()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("HSV", "RGBa", "La", "RGBX", "PA"):
        picture = picture.convert("RGBA" if picture.mode in ("RGBa", "La", "PA") else "RGB")
    kind = {"format": "PNG", "compress_level": 1} if picture.mode in _PNG_MODES else {}
    picture.save(written, **(kind or {"format": "TIFF"}))
    return written.getvalue()


class _Writer:
    """Writes plain values as texts, by what the whole column holds."""

    def __init__(self, column: list[Any]) -> None:
        self.column = column
        self.lists = any(isinstance(value, list) for value in column)
        flat = [v for value in column for v in (value if isinstance(value, list) else [value])]
        self.whole = all(v.is_integer() for v in flat if isinstance(v, float))
        self.dated = all(
            v.time() == datetime.time() and v.tzinfo is None
            for v in flat
            if isinstance(v, datetime.datetime)
        )
        self.decoded = all(_is_text(v) for v in flat if isinstance(v, bytes))

    def values(self) -> list[Cell]:
        return [self._value(value) for value in self.column]

    def _value(self, value: Any) -> Cell:
        if value is None:
            return ""
        if isinstance(value, Path):
            return value
        if isinstance(value, bytes):
            return value.decode() if self.decoded else value
        if isinstance(value, list):
            return tuple(self._text(element) for element in value)
        return (self._text(value),) if self.lists else self._text(value)

    def _text(self, value: Any) -> str:
        if isinstance(value, float):
            return str(int(value)) if self.whole else repr(value)
        if isinstance(value, int) and not isinstance(value, bool) and not self.whole:
            return repr(float(value)) if abs(value) < 2**53 else str(value)
        if isinstance(value, datetime.datetime):
            return str(value.date() if self.dated else value)
        return str(value)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "truth values"),
    ((int, float), "numbers"),
    (str, "texts"),
    ((datetime.date, datetime.time, datetime.timedelta), "dates"),
    (list, "lists"),
)


def _remarks(found: list[Any], values: list[Cell]) -> list[str]:
    kinds = {
        next((noun for kind, noun in _KINDS if isinstance(value, kind)), "files")
        for value in found
        if value is not None and value != ""
    }
    remarks = []
    if len(kinds) > 1:
        remarks.append(f"mixes {' and '.join(sorted(kinds))}; 1 and '1' are taken for the same")
    filled = [value for value in values if value != ""]
    if filled and all(isinstance(v, str) and _DATE.fullmatch(v.strip()) for v in filled):
        remarks.append(f"holds dates such as {filled[0]!r}, which are taken as texts")
    return remarks
