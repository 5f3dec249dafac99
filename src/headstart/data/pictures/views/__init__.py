"""Random views of pictures. One file a policy, which recipes name; ``a+b`` is one after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from headstart.registry import Registry

Policy = Callable[[Image.Image, np.random.Generator], Image.Image]
"""Makes another view of an RGB picture; only the generator is random."""
policies: Registry[Policy] = Registry("augmentation", __name__)


def seen(picture: Image.Image, policy: str, random: np.random.Generator) -> Image.Image:
    """Return a view of a picture."""
    for name in policy.split("+"):
        picture = policies.get(name)(picture, random)
    return picture
