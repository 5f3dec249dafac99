"""TrivialAugment (Müller and Hutter, ICCV 2021): one change, of a random kind and degree."""

from __future__ import annotations

import numpy as np
from PIL import Image

from headstart.data.pictures.views import policies
from headstart.data.pictures.views.operations import OPERATIONS


def trivial(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Change the picture in one way."""
    operation = list(OPERATIONS.values())[random.integers(len(OPERATIONS))]
    return operation(picture, random.uniform(-1, 1))


policies.register("trivial", trivial)
