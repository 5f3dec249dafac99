"""Stretches of time and of bands are left out (Park et al., SpecAugment, Interspeech 2019).

Without its warping of time, which the paper finds to bring least; ``speed`` does more of it.
"""

from __future__ import annotations

import numpy as np

from headstart.data.sounds.views import Policy, policies

COUNT = 2
BANDS = 0.2
"""Of all bands that a mask takes at most: the paper's 15 to 27 of 80."""
TIME = 0.1
"""Of all frames that a mask takes at most: recordings of a second are common here."""


def masks(energies: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Put the mean in place of some stretches."""
    changed, mean = energies.copy(), energies.mean()
    frames, bands = energies.shape
    for _ in range(COUNT):
        size = int(random.integers(0, int(BANDS * bands) + 1))
        begin = int(random.integers(0, bands - size + 1))
        changed[:, begin : begin + size] = mean
        size = int(random.integers(0, int(TIME * frames) + 1))
        begin = int(random.integers(0, frames - size + 1))
        changed[begin : begin + size] = mean
    return changed


policies.register("masks", Policy(energies=masks))
