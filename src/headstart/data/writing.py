"""Writing what was computed of rows to files."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.data.encodings import spelt
from headstart.errors import DataError, UsageError

Columns = Mapping[str, Sequence[str]]
"""What stands beside the vectors, by name: a text a row."""
Write = Callable[[Path, np.ndarray, Columns, str], None]


def writer_for(path: Path) -> Write:
    """Return what writes `path`; raise `UsageError` for a suffix that says nothing."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(f"{path}: name a file that ends in {', '.join(_WRITERS)}")
    return _WRITERS[path.suffix.lower()]


def write_vectors(path: Path, values: np.ndarray, columns: Columns, source: str) -> None:
    """Write `path` in one step, so that it is there whole or not at all.

    Parameters
    ----------
    values
        (rows, width) float32.
    columns
        Names and labels of the rows.
    source
        What made the vectors.

    Raises
    ------
    UsageError
        If the suffix names no known form.
    DataError
        If the file cannot be written.
    """
    write = writer_for(path)
    # the name of a file may hold bytes that are no letters
    texts = {name: [spelt(text) for text in column] for name, column in columns.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
            partial = Path(scratch) / path.name
            write(partial, values, texts, source)
            os.replace(partial, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from None


def _npz(path: Path, values: np.ndarray, columns: Columns, source: str) -> None:
    beside = {f"{name}s": np.array(column, str) for name, column in columns.items()}
    with path.open("wb") as out:
        np.savez(out, values=values, source=np.array(source), **beside)  # type: ignore[arg-type]


def _csv(path: Path, values: np.ndarray, columns: Columns, source: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow([*columns, *(f"e{i}" for i in range(values.shape[1]))])
        for *beside, vector in zip(*columns.values(), values, strict=True):
            # nine digits give a float32 back as it was
            table.writerow([*beside, *(f"{value:.9g}" for value in vector.tolist())])


def _parquet(path: Path, values: np.ndarray, columns: Columns, source: str) -> None:
    """Write the vectors as one column of lists of fixed size."""
    import pyarrow as pa
    from pyarrow import parquet

    flat = pa.array(np.ascontiguousarray(values).reshape(-1), pa.float32())
    lists = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    beside = {name: pa.array(list(column)) for name, column in columns.items()}
    table = pa.table({**beside, "embedding": lists})
    parquet.write_table(table.replace_schema_metadata({"source": source}), path)


def _safetensors(path: Path, values: np.ndarray, columns: Columns, source: str) -> None:
    """Write the vectors as a tensor; names and labels are JSON lists in the header."""
    from safetensors.numpy import save

    beside = {f"{name}s": json.dumps(list(c)) for name, c in columns.items()}
    tensors = {"values": np.ascontiguousarray(values)}
    path.write_bytes(save(tensors, {"source": source, **beside}))


_WRITERS = {".npz": _npz, ".parquet": _parquet, ".csv": _csv, ".safetensors": _safetensors}
