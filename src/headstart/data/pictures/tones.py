"""Tones: values of any depth as the eight bits that networks see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return `values`, of any shape, in 0 to 255.

    Eight bits stay as they are, truth values become black and white, sixteen bits are divided by
    257. Other whole numbers are taken for eight bits if they fit, else for sixteen; what fits
    neither, and floating-point numbers, are stretched between their own extremes.
    """
    if values.dtype == np.uint8:
        return values.astype(np.uint8)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    numbers = np.nan_to_num(values.astype(np.float64))
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    if values.dtype.kind == "f" or low < 0 or high > 65535:
        return stretched(numbers, low, high)
    if values.dtype.str[1:] == "u2" or high > 255:
        numbers = numbers / 257.0
    return numbers.round().astype(np.uint8)


def stretched(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Return `values` in 0 to 255, with `low` black and `high` white, and beyond them the same."""
    share = (values - low) * (255.0 / (high - low or 1.0))
    return np.clip(share, 0, 255).round().astype(np.uint8)
