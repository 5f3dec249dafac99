"""Another speed, and with it another pitch (Ko et al., Audio Augmentation for Speech Recognition,
Interspeech 2015)."""

from __future__ import annotations

import numpy as np

from headstart.data.sounds.views import Policy, policies

FASTER = (0.9, 1.1)
"""Speeds; the paper takes these two and the own one."""


def speed(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Play samples faster or slower, between samples on a straight line."""
    factor = random.uniform(*FASTER)
    count = max(1, round(len(samples) / factor))
    places = np.linspace(0, len(samples) - 1, count)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


policies.register("speed", Policy(samples=speed))
