"""Noise in the background, of a colour between white and brown."""

from __future__ import annotations

import numpy as np

from headstart.data.sounds.views import Policy, policies

DECIBELS = (10.0, 40.0)
"""By how much the recording is louder than the noise."""


def noise(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add noise; what is silent stays so."""
    spectrum = np.fft.rfft(random.standard_normal(len(samples)))
    spectrum /= np.maximum(1, np.arange(len(spectrum))) ** random.uniform(0, 1)
    added = np.fft.irfft(spectrum, len(samples))
    loud, size = (float(np.sqrt(np.mean(np.square(part)))) for part in (samples, added))
    ratio = 10 ** (random.uniform(*DECIBELS) / 20)
    changed: np.ndarray = samples + added * (loud / (ratio * max(size, 1e-12)))
    return changed.astype(np.float32)


policies.register("noise", Policy(samples=noise))
