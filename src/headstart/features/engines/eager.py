"""Eager PyTorch in float32: always there, the reference for the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from headstart.features.engines import Batch, Computed, engines


class Eager:
    """Runs a module as it is."""

    name = "eager"
    precision = "f32"
    batch = 16

    def __init__(self, module: nn.Module) -> None:
        self._module = module.eval()

    def run(self, batches: Iterable[Batch]) -> Computed:
        """Yield the boundary values of each batch, in order."""
        for batch in batches:
            with torch.no_grad():
                found = self._module(**{name: torch.from_numpy(v) for name, v in batch.items()})
            yield found


def compile_eager(module: nn.Module, _example: Batch, _key: str, _folder: Path) -> Eager:
    """Return the module itself as an engine."""
    return Eager(module)


engines.register("eager", compile_eager)
