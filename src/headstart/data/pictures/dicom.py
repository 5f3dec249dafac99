"""DICOM files: pixels as a viewer shows them, with modality and window applied."""

from __future__ import annotations

import functools
import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.data.dataset import Cell
from headstart.data.pictures import head, opened, require_size
from headstart.data.pictures.tones import eight_bits, stretched
from headstart.errors import Unreadable

SUFFIXES = frozenset({".dcm", ".dicom"})
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FAR = 1e12
"""Beyond every window: what is there shows the tones that a window begins and ends with."""

# once and for all: pictures are decoded in threads, where `catch_warnings` does not work
warnings.filterwarnings("ignore", module=r"pydicom\.")


def has_magic(cell: Cell) -> bool:
    """Say whether a file or its content begins as DICOM files do."""
    return head(cell)[128:132] == b"DICM"


def decode(cell: Cell) -> Image.Image:
    """Return the picture of a DICOM file in eight bits; of several frames the middle one.

    Rescaling or the modality table is applied first, then the first window or table of values of
    interest, as PS3.3 C.7.6.3.1 and C.11.2 define them. Without one the values are stretched
    between their extremes, padding left out. In ``MONOCHROME1`` low values are bright.

    Raises
    ------
    Unreadable
        If it is no DICOM file, has no pixels, is too large by its header, is damaged, is
        compressed in a way that no installed package decodes, or pydicom is not installed.
    """
    pydicom = _pydicom()
    try:
        dataset = pydicom.dcmread(opened(cell))
    except pydicom.errors.InvalidDicomError:
        raise Unreadable("not a DICOM file") from None
    if not any(keyword in dataset for keyword in _PIXELS):
        raise Unreadable("a DICOM without pixels")
    require_size(int(dataset.Columns), int(dataset.Rows))
    return Image.fromarray(_tones(_middle_frame(dataset), dataset))


def size(cell: Cell) -> tuple[int, int]:
    """Return width and height in pixels, from the header."""
    tags = ["Rows", "Columns"]
    header = _pydicom().dcmread(opened(cell), stop_before_pixels=True, specific_tags=tags)
    return int(header.Columns), int(header.Rows)


def _middle_frame(dataset: Any) -> NDArray[np.generic]:
    """Return (rows, columns) or (rows, columns, 3) values as stored, colours as RGB."""
    pixels = _pydicom().pixels
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not syntax.is_deflated:
        decoder = pixels.get_decoder(syntax)
        if not decoder.is_available:
            lacking = "; or ".join(decoder.missing_dependencies)
            raise Unreadable(f"a DICOM compressed as {syntax.name}; to decode it: {lacking}")
    return pixels.pixel_array(dataset, index=int(dataset.get("NumberOfFrames") or 1) // 2)


def _tones(values: NDArray[np.generic], dataset: Any) -> NDArray[np.uint8]:
    pixels = _pydicom().pixels
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return eight_bits(pixels.apply_color_lut(values, dataset))
    if values.ndim == 3:
        deep = values.astype(np.float64) * (255.0 / (2.0 ** int(dataset.BitsStored) - 1))
        return eight_bits(values) if values.dtype == np.uint8 else stretched(deep, 0, 255)
    real = pixels.apply_modality_lut(values, dataset)
    if "VOILUTSequence" in dataset or "WindowCenter" in dataset:
        tones = _windowed(real, dataset)
    else:
        tones = _between_extremes(real.astype(np.float64), values, dataset)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    return np.uint8(255) - tones if inverted else tones


def _windowed(real: NDArray[np.generic], dataset: Any) -> NDArray[np.uint8]:
    pixels = _pydicom().pixels
    if dataset.get("VOILUTSequence"):
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        whole = real.round().astype(np.int64)  # a table has an entry for each whole number
        return stretched(pixels.apply_voi(whole, dataset).astype(np.float64), 0, 2.0**bits - 1)
    marked = np.append(real.astype(np.float64).ravel(), [-_FAR, _FAR])
    with np.errstate(over="ignore"):
        *_, low, high = found = pixels.apply_windowing(marked, dataset)
    return stretched(found[:-2].reshape(real.shape), float(low), float(high))


def _between_extremes(
    real: NDArray[np.float64], stored: NDArray[np.generic], dataset: Any
) -> NDArray[np.uint8]:
    shown = np.isfinite(real)
    if "PixelPaddingValue" in dataset:
        shown &= stored != int(dataset.PixelPaddingValue)
    if not shown.any():
        return np.zeros(real.shape, np.uint8)
    low, high = float(real[shown].min()), float(real[shown].max())
    return stretched(np.nan_to_num(real), low, high)


@functools.cache
def _pydicom() -> Any:
    try:
        import pydicom.pixels
    except ImportError:
        raise Unreadable(
            "a DICOM file; reading them needs pydicom: `pip install 'headstart[medical]'`"
        ) from None
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    return pydicom
