"""Pictures: decoded at the size that is needed, in any mode, with random views for training."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps, UnidentifiedImageError

from headstart.data.dataset import Cell
from headstart.data.modalities import Extent, Preprocessing, View, modalities
from headstart.errors import Unreadable

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
    | {".pgm", ".pbm", ".tga", ".ico"}
)
LARGEST = 100_000_000
"""Pixels beyond which a picture is refused before it is decoded (a decompression bomb)."""

# once and for all: pictures are decoded in threads, where `catch_warnings` does not work
warnings.filterwarnings("ignore", module=r"PIL\.")

_INTERPOLATION = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def load(cell: Cell, at_least: int | None = None) -> Image.Image:
    """Decode a picture to upright RGB.

    Grey, palette, alpha (over white), CMYK, 16-bit and floating-point pictures are converted; the
    EXIF orientation is applied.

    Parameters
    ----------
    cell
        Path of the file.
    at_least
        Pixels of the shorter side that are enough: a JPEG is then decoded at a fraction of its
        size, no smaller than this.

    Raises
    ------
    Unreadable
        If the file is missing, empty, no picture, cut short, or larger than `LARGEST` pixels.
    """
    try:
        with Image.open(_file(cell)) as picture:
            if picture.width * picture.height > LARGEST:
                raise Unreadable(
                    f"a picture of {picture.width} x {picture.height} pixels is over the limit "
                    f"of {LARGEST // 1_000_000} million; make it smaller"
                )
            if at_least is not None:
                picture.draft("RGB", (at_least, at_least))
            return _to_rgb(ImageOps.exif_transpose(picture))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        empty = isinstance(cell, Path) and cell.exists() and cell.stat().st_size == 0
        raise Unreadable("an empty file" if empty else "not a picture") from None
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"over the limit of {LARGEST // 1_000_000} million pixels") from None
    except Exception as error:  # a damaged file can fail anywhere in a decoder
        raise Unreadable(f"the picture cannot be decoded ({error})") from None


def _file(cell: Cell) -> str | Path | io.BytesIO:
    """Return what Pillow opens."""
    if isinstance(cell, tuple):
        raise Unreadable("several inputs where one picture is expected")
    return io.BytesIO(cell) if isinstance(cell, bytes) else cell


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, np.float64))
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            low, high = float(values.min()), float(values.max())
            values = (values - low) * (255.0 / (high - low or 1.0))
        elif picture.mode.startswith("I;16") or values.max() > 255:
            values = values / 257.0
        return Image.fromarray(values.round().astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture.convert("RGB")


def _light(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Crop a little, turn a little, change brightness and contrast a little; never mirror.

    Mirroring is left out because it destroys the label of letters, digits, and left and right.
    """
    width, height = picture.size
    scale = random.uniform(0.8, 1.0)
    stretch = random.uniform(0.95, 1.05)
    w, h = min(width, width * scale * stretch), min(height, height * scale / stretch)
    left, top = random.uniform(0, width - w), random.uniform(0, height - h)
    angle = random.uniform(-8, 8)
    edge = tuple(int(v) for v in np.asarray(picture)[0, 0])
    turned = picture.rotate(angle, Image.Resampling.BILINEAR, fillcolor=edge)
    cropped = turned.resize(
        picture.size, Image.Resampling.BILINEAR, box=(left, top, left + w, top + h)
    )
    brighter = ImageEnhance.Brightness(cropped).enhance(random.uniform(0.85, 1.15))
    return ImageEnhance.Contrast(brighter).enhance(random.uniform(0.85, 1.15))


POLICIES = {"light": _light}


class ImageModality:
    """Pictures from files."""

    name = "image"
    noun = "picture"

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` is, or is written like, the path of a picture."""
        if isinstance(cell, tuple):
            return False
        return Path(str(cell)[-300:]).suffix.lower() in SUFFIXES

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
                seed = int(digests[row][:12], 16)
                random = np.random.default_rng([view.seed, view.index, seed])
                if min(picture.size) > 2 * size:
                    picture = picture.resize((2 * size, 2 * size), resample)
                picture = POLICIES[view.policy](picture, random)
            return np.asarray(picture.resize((size, size), resample)).transpose(2, 0, 1)

        with ThreadPoolExecutor(2) as pool:
            return {"pixels": np.stack(list(pool.map(pixels, range(len(cells)))))}

    def pieces(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[int]:
        """Return 1 for each picture."""
        return [1] * len(cells)

    def extents(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[Extent]:
        """Return nothing: all of a picture is read, made smaller."""
        return []

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the shorter side of each picture in pixels, from its header."""
        found = []
        for cell in cells:
            with Image.open(_file(cell)) as picture:
                found.append(min(picture.size))
        return found

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the given order: all pictures of a batch have one size."""
        return list(range(len(cells)))

    def render(self, cell: Cell) -> str:
        """Return the picture, at most 96 pixels wide, inside an HTML image tag."""
        picture = load(cell)
        picture.thumbnail((96, 96))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


modalities.register("image", ImageModality())
