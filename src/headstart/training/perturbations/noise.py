"""Gaussian noise on activations (Sietsma and Dow, 1991), in proportion to their own size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from headstart.training.perturbations import Perturbed, perturbations


def noise(batch: Perturbed, strength: float, random: np.random.Generator) -> Perturbed:
    """Add noise whose standard deviation is `strength` times each value's root mean square."""
    values = dict(batch.values)
    for name, value in values.items():
        if value.is_floating_point():
            size = strength * value.float().pow(2).mean().sqrt()
            drawn = random.standard_normal(tuple(value.shape), dtype=np.float32)
            values[name] = value + (size * torch.from_numpy(drawn)).to(value.dtype)
    return replace(batch, values=values)


perturbations.register("noise", noise)
