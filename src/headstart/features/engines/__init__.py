"""Engines: the ways to run a prefix in evaluation mode. One file each.

An engine is trusted only after its answers on some of the user's own rows agree with eager PyTorch
in float32; otherwise the next one in `ORDER` is used, and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from headstart.registry import Registry

Batch = dict[str, np.ndarray]

COSINE = {"bf16": 0.99, "f32": 0.9999}
ERROR = {"bf16": 0.10, "f32": 0.01}
"""Bounds against eager float32: least cosine similarity of a row, and largest root mean square
error relative to that of the values themselves."""
ORDER = ("openvino", "openvino-f32", "eager")


class Engine(Protocol):
    """A compiled prefix."""

    name: str
    precision: str

    def run(self, batches: list[Batch]) -> list[dict[str, Tensor]]:
        """Return the boundary values of each batch, in order."""


Compile = Callable[[nn.Module, Batch, str, Path], Engine]
"""Turns a module, an example batch, a key and a folder into an engine; raises if it cannot."""
engines: Registry[Compile] = Registry("engine", __name__)


@dataclass(frozen=True)
class Chosen:
    """The engine that is used, how well it agrees, and why others were not taken."""

    engine: Engine
    cosine: float
    error: float
    refused: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Agreement:
    """How close an engine's answers are to eager float32."""

    cosine: float
    error: float

    def within(self, precision: str) -> bool:
        """Say whether both figures are within the documented bounds."""
        return self.cosine >= COSINE[precision] and self.error <= ERROR[precision]


def choose(
    module: nn.Module, sample: Batch, key: str, folder: Path, order: tuple[str, ...] = ORDER
) -> Chosen:
    """Return the first engine of `order` that can be compiled and agrees with eager float32.

    Parameters
    ----------
    module
        The prefix; called with named tensors, returns named tensors.
    sample
        Some of the user's rows, at least two.
    key
        Names the module's weights and cut, for the cache of compiled models.
    folder
        Where compiled models are kept.
    """
    refused: list[str] = []
    eager = engines.get("eager")(module, sample, key, folder)
    reference = eager.run([sample])[0]
    names = ",".join(sorted(reference))
    for name in order:
        if name == "eager":
            break
        try:
            engine = engines.get(name)(module, sample, f"{key}/{names}", folder)
            agreement = compare(engine.run([sample])[0], reference, sample)
        except Exception as error:  # conversion can fail in many ways; the next engine serves
            reason = (str(error).splitlines() or ["no reason given"])[0]
            refused.append(f"{name}: {type(error).__name__}: {reason[:200]}")
            continue
        if agreement.within(engine.precision):
            return Chosen(engine, agreement.cosine, agreement.error, tuple(refused))
        refused.append(
            f"{name}: cosine {agreement.cosine:.4f}, error {agreement.error:.4f} against eager"
        )
    return Chosen(eager, 1.0, 0.0, tuple(refused))


def compare(
    found: Mapping[str, Tensor], reference: Mapping[str, Tensor], sample: Batch
) -> Agreement:
    """Compare floating-point values row by row; padding does not count.

    Values that are not finite, or of another shape, never agree.
    """
    cosines, errors = [1.0], [0.0]
    for name, expected in reference.items():
        if not expected.is_floating_point():
            continue
        ours, theirs = found[name].float(), expected.float()
        finite = torch.isfinite(ours).all() and torch.isfinite(theirs).all()
        if ours.shape != theirs.shape or not finite:
            return Agreement(-1.0, float("inf"))
        mask = sample.get("attention_mask")
        if mask is not None and ours.ndim == 3:
            weight = torch.from_numpy(mask).unsqueeze(-1)
            ours, theirs = ours * weight, theirs * weight
        a, b = ours.flatten(1), theirs.flatten(1)
        alike = torch.cosine_similarity(a, b)
        silent = ~a.any(1) & ~b.any(1)  # two rows of zeros have no angle, and agree
        cosines.append(float(alike.masked_fill(silent, 1.0).min()))
        errors.append(float((a - b).pow(2).mean().sqrt() / b.pow(2).mean().sqrt().clamp(1e-12)))
    return Agreement(min(cosines), max(errors))
