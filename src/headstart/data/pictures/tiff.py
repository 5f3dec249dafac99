"""TIFF files that Pillow cannot read: floating point, deep colours, planes, many channels."""

from __future__ import annotations

import functools
import logging
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from headstart.data.dataset import Cell
from headstart.data.pictures import opened, require_size
from headstart.data.pictures.tones import eight_bits
from headstart.errors import Unreadable

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _ORIENTATION, _PLANES, _FORMAT = 258, 274, 284, 339
_ALPHA = (1, 2)
"""Values of the tag ExtraSamples that say transparency."""


def decode(cell: Cell) -> Image.Image:
    """Return the first page, upright, in eight bits a channel.

    Of more than four channels the first three are taken; two are grey and something else.

    Raises
    ------
    Unreadable
        If it is no TIFF, too large by its header, damaged, compressed in a way that needs another
        package, or tifffile is not installed.
    """
    with _tifffile().TiffFile(opened(cell)) as file:
        page = file.pages[0]
        require_size(page.imagewidth, page.imagelength)
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise Unreadable(
                f"a TIFF compressed as {page.compression.name} that Pillow cannot read; "
                "`pip install imagecodecs`, or save it without compression"
            ) from None
        picture = _picture(values, page)
        orientation = page.tags.get(_ORIENTATION)
        if orientation is not None:
            picture.getexif()[_ORIENTATION] = int(orientation.value)
        return ImageOps.exif_transpose(picture)


def misread(picture: Image.Image) -> bool:
    """Say whether Pillow opens this TIFF but would mix up its values.

    So it does with planes of more than eight bits, and with 32 bits without a sign.
    """
    tags = getattr(picture, "tag_v2", {})
    bits = max(tags.get(_BITS, (1,)))
    planes = tags.get(_PLANES, 1) == 2 and len(tags.get(_BITS, (1,))) > 1
    unsigned = tags.get(_FORMAT, (1,))[0] == 1
    return bits > 8 and (planes or (bits > 16 and unsigned))


def size(cell: Cell) -> tuple[int, int]:
    """Return width and height of the first page in pixels, from its header."""
    with _tifffile().TiffFile(opened(cell)) as file:
        return file.pages[0].imagewidth, file.pages[0].imagelength


def _picture(values: np.ndarray, page: Any) -> Image.Image:
    axes = str(page.axes)
    channels = np.moveaxis(values, axes.index("S"), -1) if "S" in axes else values[..., None]
    channels = channels.reshape(-1, *channels.shape[-3:])[0]  # of a volume, the first plane
    tones = eight_bits(channels)
    count = tones.shape[-1]
    photometric = page.photometric.name
    if photometric == "MINISWHITE":
        tones = 255 - tones
    if photometric == "SEPARATED" and count >= 4:
        return Image.fromarray(np.ascontiguousarray(tones[..., :4]), "CMYK")
    if count < 3:
        return Image.fromarray(np.ascontiguousarray(tones[..., 0]))
    alpha = count == 4 and bool(page.extrasamples) and int(page.extrasamples[0]) in _ALPHA
    return Image.fromarray(np.ascontiguousarray(tones[..., : 4 if alpha else 3]))


@functools.cache
def _tifffile() -> Any:
    try:
        import tifffile
    except ImportError:
        raise Unreadable(
            "a TIFF that Pillow cannot read; tifffile can: `pip install 'headstart[medical]'`"
        ) from None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    return tifffile
