"""Resizing a picture before the network, by Pillow, or in its compiled graph: milliseconds each.

On one core, to 224 pixels, from pictures of 28 and of 500 pixels. Pillow smooths what it makes
smaller; in a graph only the modes do so that are named after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset11
from PIL import Image

from records import keep

TARGET = 224
SIDES = (28, 500)
SECONDS = 2.0


def milliseconds(work: Callable[[], object]) -> float:
    """Return what a call takes: the median of those that fit in some seconds."""
    work()
    taken, until = [], time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken)) * 1000


def graph(side: int, mode: str) -> Callable[[np.ndarray], object]:
    """Return a compiled graph that resizes one picture (1, 3, side, side) float32."""
    given = opset11.parameter([1, 3, side, side], np.float32)
    resized = opset11.interpolate(
        given,
        opset11.constant(np.array([TARGET, TARGET], np.int64)),
        mode=mode,
        shape_calculation_mode="sizes",
        axes=opset11.constant(np.array([2, 3], np.int64)),
    )
    compiled = ov.Core().compile_model(
        ov.Model([resized], [given]), "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    )
    return lambda picture: compiled([picture])


def compared(side: int) -> dict[str, float]:
    """Time Pillow and the graphs on one picture of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    picture = Image.fromarray(pixels)
    floats = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    found = {
        "pillow_bicubic": milliseconds(
            lambda: np.asarray(picture.resize((TARGET, TARGET), Image.Resampling.BICUBIC))
        )
    }
    for mode in ("linear_onnx", "cubic", "bilinear_pillow", "bicubic_pillow"):
        resize = graph(side, mode)
        found[f"graph_{mode}"] = milliseconds(
            lambda resize=resize: resize(floats)  # type: ignore[misc]
        )
    return found


def main() -> None:
    """Compare at each size and keep the table."""
    table: dict[str, Any] = {str(side): compared(side) for side in SIDES}
    keep("resizing", {"to": TARGET, "milliseconds_by_side": table})


if __name__ == "__main__":
    main()
