"""Dropout on activations (Srivastava et al., 2014): of maps whole channels (Tompson et al., 2015).

Neighbours on a map say almost the same, so that single ones would hardly be missed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from headstart.training.perturbations import Perturbed, perturbations


def dropout(batch: Perturbed, strength: float, random: np.random.Generator) -> Perturbed:
    """Set a share `strength` of all values to zero, and scale up what stays."""
    values = dict(batch.values)
    for name, value in values.items():
        if value.is_floating_point():
            shape = value.shape[:2] if value.ndim == 4 else value.shape
            stays = random.random(tuple(shape), dtype=np.float32) >= strength
            kept = torch.from_numpy(stays).to(value.dtype) / (1 - strength)
            values[name] = value * kept.view(*shape, *[1] * (value.ndim - len(shape)))
    return replace(batch, values=values)


perturbations.register("dropout", dropout)
