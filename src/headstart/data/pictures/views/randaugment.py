"""RandAugment (Cubuk et al., NeurIPS 2020): two changes of random kinds, of one degree."""

from __future__ import annotations

import numpy as np
from PIL import Image

from headstart.data.pictures.views import policies
from headstart.data.pictures.views.operations import OPERATIONS

CHANGES = 2
DEGREE = 0.3
"""Nine of thirty, as in the paper."""


def randaugment(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Change the picture in two ways, in either direction."""
    operations = list(OPERATIONS.values())
    for number in random.integers(len(operations), size=CHANGES).tolist():
        picture = operations[number](picture, DEGREE * random.choice([-1, 1]))
    return picture


policies.register("randaugment", randaugment)
