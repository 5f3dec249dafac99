"""Embedding: the features of a source for every row, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.columns import Roles
from headstart.data.dataset import Dataset, SetAside
from headstart.data.inputs import rows_from
from headstart.data.readers import is_in_memory
from headstart.data.unlabelled import read_rows
from headstart.data.writing import write_vectors
from headstart.errors import DataError, SourceError, UsageError
from headstart.features.shared import shared_extractor
from headstart.models.heads import readout
from headstart.sources.catalogue import Source, default_source
from headstart.sources.opening import find_source


@dataclass(frozen=True)
class Embedding:
    """What a source says of each row; ``np.asarray(embedding)`` gives the values.

    Attributes
    ----------
    values
        (rows, width) float32.
    names
        What each row is called: a file's path inside the data, ``file, line 7``, or ``row 7``.
    labels
        One a row, empty where a row has none, several joined by ``|``; None where the data have no
        labels.
    set_aside
        Rows that could not be used, each with its reason; they have no row in `values`.
    source
        Id of the source.
    """

    values: np.ndarray
    names: tuple[str, ...]
    labels: tuple[str, ...] | None
    set_aside: tuple[SetAside, ...]
    source: str

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)

    def save(self, path: str | Path) -> None:
        """Write values, names and labels to a .npz, .parquet, .csv or .safetensors file.

        Raises
        ------
        UsageError
            If the name ends in nothing of these.
        DataError
            If the file cannot be written.
        """
        labels = {} if self.labels is None else {"label": self.labels}
        write_vectors(Path(path), self.values, {"name": self.names, **labels}, self.source)


def embed(
    data: Any,
    *,
    source: str | None = None,
    layers: bool = False,
    input: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
) -> Embedding:
    """Return the features of a source for each row; what was computed once is read the next time.

    Parameters
    ----------
    data
        A path: of a folder of files, of class folders, or of a table; a DataFrame or a
        `datasets.Dataset`; or the inputs themselves: texts, paths, `PIL.Image` pictures, arrays of
        uint8 pixels, as `TransferClassifier.fit` takes them.
    source
        Such as ``bundled/minilm``; the catalogue's default for the inputs where None.
    layers
        Give the summaries of the middle stages too, before the last features.
    input, label
        Columns of a table. Labels are kept with the values, and need not be there.

    Raises
    ------
    DataError
        If no row can be used.
    SourceError
        If the source is unknown, cannot be loaded, or is for other inputs.
    """
    if isinstance(data, str | Path) or is_in_memory(data):
        rows = read_rows(data, Roles.of(input, label))
    else:
        rows = rows_from(data, None if source is None else find_source(source).modality)
    if not len(rows):
        listed = "; ".join(f"{s.where}: {s.reason}" for s in rows.set_aside[:5])
        raise DataError(f"there is nothing to embed. {listed}".strip())
    if len(rows.targets) > 1:
        named = ", ".join(repr(column.name) for column in rows.targets)
        raise UsageError(f"one column of labels is kept with the values, not {named}")
    chosen = source_for(rows.modality, source)
    values = features_of(rows, chosen, "layers" if layers else "linear")
    labels = None
    if rows.targets:
        labels = tuple(v if isinstance(v, str) else "|".join(v) for v in rows.targets[0].values)
    return Embedding(values, rows.names, labels, rows.set_aside, chosen.id)


def source_for(modality: str, name: str | None) -> Source:
    """Return the source called `name`, or the default for a modality; it must be for that one."""
    source = default_source(modality) if name is None else find_source(name, modality)
    if source.modality != modality:
        raise SourceError(f"{source.id} is for {source.modality} inputs, but these are {modality}.")
    return source


def features_of(rows: Dataset, source: Source, kind: str) -> np.ndarray:
    """Return what a head of `kind` reads of a source, (rows, width) float32."""
    extractor = shared_extractor(source)
    values = extractor.extract(rows, extractor.backbone.end)
    return np.concatenate([readout(some, kind).numpy() for some in values.chunks()])
