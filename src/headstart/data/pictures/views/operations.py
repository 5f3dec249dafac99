"""What TrivialAugment and RandAugment draw from: fourteen changes of a picture, each by degrees.

Cubuk et al., RandAugment, NeurIPS 2020; the ranges are the wide ones of Müller and Hutter,
TrivialAugment, ICCV 2021.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Operation = Callable[[Image.Image, float], Image.Image]
"""Changes an RGB picture by a degree from -1 to 1; at 0 it stays as it is."""


def edge(picture: Image.Image) -> tuple[int, ...]:
    """Return the colour of the first pixel, with which what comes into view is filled."""
    return tuple(int(value) for value in np.asarray(picture)[0, 0])


def _moved(
    picture: Image.Image, matrix: tuple[float, float, float, float, float, float]
) -> Image.Image:
    transform = Image.Transform.AFFINE
    return picture.transform(
        picture.size, transform, matrix, Image.Resampling.BILINEAR, fillcolor=edge(picture)
    )


def _shear_x(picture: Image.Image, degree: float) -> Image.Image:
    slope = 0.99 * degree
    return _moved(picture, (1, slope, -slope * picture.height / 2, 0, 1, 0))


def _shear_y(picture: Image.Image, degree: float) -> Image.Image:
    slope = 0.99 * degree
    return _moved(picture, (1, 0, 0, slope, 1, -slope * picture.width / 2))


def _shift_x(picture: Image.Image, degree: float) -> Image.Image:
    return _moved(picture, (1, 0, degree * picture.width / 7, 0, 1, 0))


def _shift_y(picture: Image.Image, degree: float) -> Image.Image:
    return _moved(picture, (1, 0, 0, 0, 1, degree * picture.height / 7))


def _turned(picture: Image.Image, degree: float) -> Image.Image:
    return picture.rotate(135 * degree, Image.Resampling.BILINEAR, fillcolor=edge(picture))


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda picture, degree: kind(picture).enhance(1 + 0.99 * degree)


def _posterized(picture: Image.Image, degree: float) -> Image.Image:
    return ImageOps.posterize(picture, 8 - round(6 * abs(degree)))


def _solarized(picture: Image.Image, degree: float) -> Image.Image:
    return ImageOps.solarize(picture, 256 - round(256 * abs(degree)))


def _as_it_is(picture: Image.Image, _degree: float) -> Image.Image:
    return picture


OPERATIONS: dict[str, Operation] = {
    "identity": _as_it_is,
    "shear-x": _shear_x,
    "shear-y": _shear_y,
    "shift-x": _shift_x,
    "shift-y": _shift_y,
    "rotate": _turned,
    "brightness": _enhanced(ImageEnhance.Brightness),
    "colour": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "posterize": _posterized,
    "solarize": _solarized,
    "autocontrast": lambda picture, degree: ImageOps.autocontrast(picture) if degree else picture,
    "equalize": lambda picture, degree: ImageOps.equalize(picture) if degree else picture,
}
