"""Inputs as Python programs hold them: lists, arrays, series and tables of texts or pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.data.cells import encoded, is_missing
from headstart.data.columns import LOOKED_AT
from headstart.data.dataset import Cell, Dataset, SetAside
from headstart.data.modalities import Modality, modalities, require
from headstart.data.rows import are_text_files, names_a_text
from headstart.data.unlabelled import from_cells
from headstart.errors import DataError


def rows_from(inputs: Any, modality: str | None = None) -> Dataset:
    """Return inputs as rows called ``row 0``, ``row 1``, …; bad ones are set aside.

    Parameters
    ----------
    inputs
        Texts, paths of pictures or of text files, contents of picture files, `PIL.Image` pictures,
        or arrays of uint8 pixels (height, width[, 3 or 4]); tuples of texts, or of a picture and a
        text: in a list, tuple, array or series, in a table or 2-D array of one column, or as one
        array of pictures (n, height, width[, 3 or 4]).
    modality
        What the inputs are; inferred where None.

    Raises
    ------
    DataError
        If they are nothing of this kind.
    """
    cells: list[Cell] = []
    names: list[str] = []
    aside: list[SetAside] = []
    for i, item in enumerate(_items(inputs)):
        name = f"row {i}"
        if is_missing(item):
            aside.append(SetAside(name, "missing"))
            continue
        cells.append(cell_of(item, name))
        names.append(name)
    kind = _known(cells, modality)
    if kind.name != "text":
        cells = [Path(cell) if isinstance(cell, str) else cell for cell in cells]
    elif are_text_files([cell for cell in cells if isinstance(cell, str)]):
        cells = [
            Path(cell) if isinstance(cell, str) and names_a_text(cell) else cell for cell in cells
        ]
    return from_cells(cells, names, tuple(aside), kind)


def _items(inputs: Any) -> Sequence[Any]:
    """Return the inputs one by one."""
    if isinstance(inputs, str | Path | bytes) or np.isscalar(inputs):
        raise DataError(f"expected a list of texts or pictures, not one {type(inputs).__name__}")
    if isinstance(inputs, Image.Image):
        raise DataError("expected a list of pictures, not a single one")
    if hasattr(inputs, "toarray"):
        raise DataError("a sparse matrix holds numbers; headstart takes texts or pictures")
    if hasattr(inputs, "to_numpy"):  # a series or a table
        inputs = inputs.to_numpy()
    if not isinstance(inputs, np.ndarray):
        return list(inputs)
    if inputs.dtype.kind in "OUS" or inputs.dtype.kind == "T":
        if inputs.ndim == 2 and inputs.shape[1] == 1:
            inputs = inputs[:, 0]
        if inputs.ndim != 1:
            raise DataError(
                f"expected one column of texts or paths, not an array of shape {inputs.shape}"
            )
        return inputs.tolist()
    if inputs.ndim < 3:
        raise DataError(
            f"an array of shape {inputs.shape} and type {inputs.dtype} holds neither texts nor "
            "pictures; pictures are (rows, height, width) or (rows, height, width, 3), uint8"
        )
    return list(inputs)


def cell_of(item: Any, name: str) -> Cell:
    """Return an input as headstart reads it; raise `DataError` for what is none, by its name."""
    if isinstance(item, str | Path | bytes):
        return str(item) if isinstance(item, str) else item
    if isinstance(item, tuple):
        return tuple(cell_of(part, name) for part in item)
    if isinstance(item, np.ndarray):
        item = _picture(item, name)
    if isinstance(item, Image.Image):
        try:
            return encoded(item)
        except Exception as error:  # it is decoded only now
            raise DataError(f"{name}: the picture cannot be decoded ({error})") from None
    raise DataError(
        f"{name} is of type {type(item).__name__}; expected a text, a path, a PIL picture or an "
        "array of uint8 pixels"
    )


def _picture(pixels: np.ndarray, name: str) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise DataError(f"{name}: pixels of type {pixels.dtype}; expected uint8, from 0 to 255")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))) or 0 in (
        pixels.shape
    ):
        raise DataError(
            f"{name}: an array of shape {pixels.shape} is no picture; expected (height, width) or "
            "(height, width, 3)"
        )
    return Image.fromarray(pixels)


def _known(cells: Sequence[Cell], modality: str | None) -> Modality:
    return require(cells[:LOOKED_AT], "X") if modality is None else modalities.get(modality)
