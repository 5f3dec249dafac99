"""Random erasing (Zhong et al., AAAI 2020): noise hides a rectangle of every second picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from headstart.data.pictures.views import policies

SHARES = (0.02, 0.33)
"""Of the picture that is hidden."""
SHAPES = (0.3, 3.3)
"""Height of the rectangle beside its width."""


def erase(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Hide a part of the picture, or leave it as it is."""
    if random.random() < 0.5:
        return picture
    width, height = picture.size
    area = random.uniform(*SHARES) * width * height
    shape = np.exp(random.uniform(*np.log(SHAPES)))
    w = int(np.clip(np.sqrt(area / shape), 1, width))
    h = int(np.clip(np.sqrt(area * shape), 1, height))
    left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
    noise = Image.fromarray(random.integers(0, 256, (h, w, 3), np.uint8))
    hidden = picture.copy()
    hidden.paste(noise, (left, top))
    return hidden


policies.register("erase", erase)
