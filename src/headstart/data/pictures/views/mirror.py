"""Left and right exchanged, in every second view; only for labels that survive it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from headstart.data.pictures.views import policies


def mirror(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Mirror the picture, or leave it as it is."""
    return ImageOps.mirror(picture) if random.random() < 0.5 else picture


def mirrored(picture: Image.Image, _random: np.random.Generator) -> Image.Image:
    """Mirror the picture: so it can be measured whether its label survives."""
    return ImageOps.mirror(picture)


policies.register("mirror", mirror)
policies.register("mirrored", mirrored)
