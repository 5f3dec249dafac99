"""Light changes that almost every label survives."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from headstart.data.pictures.views import policies
from headstart.data.pictures.views.operations import edge


def light(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Crop a little, turn a little, change brightness and contrast a little; never mirror.

    Mirroring is left out because it destroys the label of letters, digits, and left and right.
    """
    width, height = picture.size
    scale = random.uniform(0.8, 1.0)
    stretch = random.uniform(0.95, 1.05)
    w, h = min(width, width * scale * stretch), min(height, height * scale / stretch)
    left, top = random.uniform(0, width - w), random.uniform(0, height - h)
    angle = random.uniform(-8, 8)
    turned = picture.rotate(angle, Image.Resampling.BILINEAR, fillcolor=edge(picture))
    cropped = turned.resize(
        picture.size, Image.Resampling.BILINEAR, box=(left, top, left + w, top + h)
    )
    brighter = ImageEnhance.Brightness(cropped).enhance(random.uniform(0.85, 1.15))
    return ImageEnhance.Contrast(brighter).enhance(random.uniform(0.85, 1.15))


policies.register("light", light)
