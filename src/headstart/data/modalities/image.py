"""Pictures: decoded at the size that is needed, in any mode, with random views for training."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.data.dataset import Cell
from headstart.data.modalities import (
    Modality,
    Preprocessing,
    Trait,
    View,
    at_length_one,
    low_frequencies,
    modalities,
)
from headstart.data.pictures import LARGEST, dicom, head, opened, require_size, tiff
from headstart.data.pictures.tones import eight_bits
from headstart.data.pictures.views import seen
from headstart.devices import on_cores
from headstart.errors import Unreadable

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
    | {".pgm", ".pbm", ".tga", ".ico", ".avif", ".jp2", ".j2k"}
    | dicom.SUFFIXES
)

_KINDS = ("PNG", "JPEG", "JPEG2000", "GIF", "BMP", "WEBP", "AVIF", "TIFF", "PPM", "ICO")
"""Pillow's names of the formats whose content tells them."""

# once and for all: pictures are decoded in threads, where `catch_warnings` does not work
warnings.filterwarnings("ignore", module=r"PIL\.")

_SKETCHED = 32
"""Pixels of a side that a sketch is taken from."""
_CAMERA = (271, 272, 305)
"""Tags of EXIF: maker, model, software."""
_INTERPOLATION = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def load(cell: Cell, at_least: int | None = None) -> Image.Image:
    """Decode a picture to upright RGB.

    Grey, palette, alpha (over white), CMYK, 16-bit and floating-point pictures are converted; the
    EXIF orientation is applied. Of several pages or frames one is taken: the first of a TIFF or
    GIF, the middle one of a DICOM file.

    Parameters
    ----------
    cell
        Path of the file, or its content.
    at_least
        Pixels of the shorter side that are enough: a JPEG is then decoded at a fraction of its
        size, no smaller than this.

    Raises
    ------
    Unreadable
        If the file is missing, empty, no picture, cut short, or larger than `LARGEST` pixels.
    """
    try:
        if _is_dicom(cell):
            return _to_rgb(dicom.decode(cell))
        try:
            return _by_pillow(cell, at_least)
        except (Unreadable, Image.DecompressionBombError):
            raise
        except Exception:
            if not head(cell).startswith(tiff.MAGIC):
                raise
            return _to_rgb(tiff.decode(cell))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not a picture" if head(cell, 1) else "an empty file") from None
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"over the limit of {LARGEST // 1_000_000} million pixels") from None
    except Exception as error:  # a damaged file can fail anywhere in a decoder
        raise Unreadable(f"the picture cannot be decoded ({error})") from None


def _is_dicom(cell: Cell) -> bool:
    named = isinstance(cell, Path) and cell.suffix.lower() in dicom.SUFFIXES and cell.exists()
    return named or dicom.has_magic(cell)


def _by_pillow(cell: Cell, at_least: int | None) -> Image.Image:
    with Image.open(opened(cell)) as picture:
        require_size(*picture.size)
        if tiff.misread(picture):
            return _to_rgb(tiff.decode(cell))
        if at_least is not None:
            picture.draft("RGB", (at_least, at_least))
        return _to_rgb(ImageOps.exif_transpose(picture))


def _size(cell: Cell) -> tuple[int, int]:
    """Return width and height in pixels, from the header."""
    if _is_dicom(cell):
        return dicom.size(cell)
    try:
        with Image.open(opened(cell)) as picture:
            return picture.size
    except UnidentifiedImageError:
        return tiff.size(cell)


def _header(cell: Cell) -> dict[str, float | str]:
    """Return what a picture's file says of it before its pixels."""
    bytes_ = len(cell) if isinstance(cell, bytes) else Path(str(cell)).stat().st_size
    width, height = _size(cell)
    found: dict[str, float | str] = {
        "size of the file": float(bytes_),
        "width": float(width),
        "height": float(height),
        "shape": width / height,
        "format": "DICOM",
        "colours": "",
        "compression": 0.0,
        "camera": "",
    }
    with contextlib.suppress(UnidentifiedImageError), Image.open(opened(cell)) as picture:
        tables = getattr(picture, "quantization", None) or {}
        known = picture.getexif()
        found["format"] = picture.format or ""
        found["colours"] = picture.mode
        found["compression"] = float(sum(sum(table) for table in tables.values()))
        found["camera"] = " ".join(str(known[tag]) for tag in _CAMERA if tag in known)
    return found


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return Image.fromarray(eight_bits(np.asarray(picture))).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture.convert("RGB")


def _begins_like_a_picture(content: bytes) -> bool:
    if dicom.has_magic(content):
        return True
    Image.init()
    known = [Image.OPEN[kind][1] for kind in _KINDS if kind in Image.OPEN]
    return len(content) > 16 and any(accept and accept(content[:16]) is True for accept in known)


class ImageModality(Modality):
    """Pictures from files, or from their content."""

    name = "image"
    noun = "picture"

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` is, or is written like, the path of a picture, or is its content.

        A file whose name has no suffix, or a number for one, is a picture if it begins like DICOM.
        """
        if isinstance(cell, tuple):
            return False
        if isinstance(cell, bytes):
            return _begins_like_a_picture(cell)
        suffix = Path(str(cell)[-300:]).suffix.lower()
        if isinstance(cell, Path) and (not suffix or suffix[1:].isdigit()):
            return dicom.has_magic(cell)
        return suffix in SUFFIXES

    def check(self, cell: Cell) -> str:
        """Decode the picture once and return the digest of its upright pixels.

        Pixels, not file bytes: the same picture saved twice is a duplicate.
        """
        pixels = np.asarray(load(cell))
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()

    def collate(
        self,
        cells: Sequence[Cell],
        digests: Sequence[str],
        preprocessing: Preprocessing,
        view: View,
    ) -> dict[str, np.ndarray]:
        """Return ``{"pixels": (rows, 3, size, size) uint8}``; normalising is the network's part."""
        size = int(preprocessing.settings["size"])
        resample = _INTERPOLATION[preprocessing.settings.get("interpolation", "bilinear")]

        def pixels(row: int) -> np.ndarray:
            picture = load(cells[row], at_least=size)
            if view.index:
                if min(picture.size) > 2 * size:
                    picture = picture.resize((2 * size, 2 * size), resample)
                picture = seen(picture, view.policy, view.random(digests[row]))
            return np.asarray(picture.resize((size, size), resample)).transpose(2, 0, 1)

        return {"pixels": np.stack([pixels(row) for row in range(len(cells))])}

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the shorter side of each picture in pixels, from its header."""
        return [min(_size(cell)) for cell in cells]

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the given order: all pictures of a batch have one size."""
        return list(range(len(cells)))

    def sketch(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return the low frequencies of each picture's brightness, (rows, 255).

        They are the coefficients of a cosine transform whose signs are known as perceptual hash
        (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010), here
        with their magnitudes' square roots. The mean brightness is left out.
        """

        def low(cell: Cell) -> np.ndarray:
            grey = load(cell, at_least=_SKETCHED).convert("L")
            small = grey.resize((_SKETCHED, _SKETCHED), Image.Resampling.BICUBIC)
            return low_frequencies(np.asarray(small, np.float32))

        return at_length_one(np.stack(list(on_cores(low, cells))))

    def traits(self, cells: Sequence[Cell]) -> list[Trait]:
        """Return sizes, format, colours, compression and camera, from the headers."""
        found = list(on_cores(_header, cells))
        seen = {"format": False, "camera": False}
        return [
            Trait(name, tuple(one[name] for one in found), seen.get(name, True))
            for name in found[0]
        ]

    def render(self, cell: Cell) -> str:
        """Return the picture, at most 96 pixels wide, inside an HTML image tag."""
        picture = load(cell)
        picture.thumbnail((96, 96))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


modalities.register("image", ImageModality())
