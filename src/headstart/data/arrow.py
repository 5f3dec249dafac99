"""Arrow tables, in which Parquet files and Hugging Face data sets hold their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from headstart.data.dataset import Raw

if TYPE_CHECKING:
    import pyarrow

_INDEX = re.compile(r"__index_level_\d+__")


def raw_columns(
    table: pyarrow.Table, features: Mapping[str, object] | None = None
) -> dict[str, list[Raw]]:
    """Return the values of each column; numbers of a `ClassLabel` become the class's name.

    `features` are those of `datasets`; where None they are taken from the metadata that it writes
    into Parquet files. The numbers of rows that pandas writes beside its columns are left out.
    """
    if features is None and b"huggingface" in (table.schema.metadata or {}):
        import datasets

        features = datasets.Features.from_arrow_schema(table.schema)
    known = features or {}
    return {
        name: [_named(value, known.get(name)) for value in _values(column)]
        for name, column in zip(table.column_names, table.columns, strict=True)
        if not _INDEX.fullmatch(name)
    }


def _values(column: pyarrow.ChunkedArray) -> list[Raw]:
    import pyarrow

    found = column.to_pylist()
    if pyarrow.types.is_float32(column.type):
        return [None if value is None else np.float32(value) for value in found]
    if pyarrow.types.is_float16(column.type):
        return [None if value is None else np.float16(value) for value in found]
    return found


def _named(value: Raw, feature: Raw) -> Raw:
    """Return a value with classes by name, also inside lists; a negative number is no class."""
    if isinstance(value, list):
        inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
        return [_named(element, inner) for element in value]
    if type(feature).__name__ == "ClassLabel" and isinstance(value, int):
        return feature.int2str(value) if value >= 0 else None
    return value
