"""PyTorch on a GPU: stages compiled, in bf16 and channels-last; as they are where that fails."""

from __future__ import annotations

import contextlib
import copy
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.features.engines import Batch, Computed, engines, rate
from headstart.sources.staged import Boundary, Prefix

DEVICE = "cuda"
BATCHES = (32, 64, 128, 256, 512)
"""Rows at a time that are tried."""
SLOWER = 1.02
"""Share of the best speed so far that a larger batch must reach to be worth its memory."""
PENDING = 2
"""Batches that the device is given before the first of them is fetched."""


class Cuda:
    """A prefix on the device, where it works on the next batch while one is fetched.

    Parameters
    ----------
    module
        A copy of the prefix that lies there.
    precision
        ``bf16``: products in bfloat16, weights and sums in float32; or ``f32``.
    """

    def __init__(self, module: nn.Module, name: str, precision: str, batch: int = 32) -> None:
        self.name = name
        self.precision = precision
        self.batch = batch
        self._module = module

    def run(self, batches: Iterable[Batch]) -> Computed:
        """Yield the boundary values of each batch, in order."""
        pending: deque[Boundary] = deque()
        for batch in batches:
            try:
                pending.append(self._started(batch))
            except torch.cuda.OutOfMemoryError:  # its rows are longer than those it was tried with
                while pending:
                    yield _fetched(pending.popleft())
                yield self._in_halves(batch)
            if len(pending) > PENDING:
                yield _fetched(pending.popleft())
        while pending:
            yield _fetched(pending.popleft())

    def _in_halves(self, batch: Batch) -> Boundary:
        """Return the values of a batch that is too large; raise where a single row is."""
        rows = len(next(iter(batch.values())))
        if rows < 2:
            raise torch.cuda.OutOfMemoryError("a single row needs more memory than the GPU has")
        found: list[Boundary] = []
        for some in (slice(0, rows // 2), slice(rows // 2, rows)):
            half = {name: value[some] for name, value in batch.items()}
            torch.cuda.empty_cache()
            try:
                found.append(_fetched(self._started(half)))
            except torch.cuda.OutOfMemoryError:
                found.append(self._in_halves(half))
        return {name: torch.cat([each[name] for each in found]) for name in found[0]}

    def _started(self, batch: Batch) -> Boundary:
        given = {n: torch.from_numpy(v).to(DEVICE, non_blocking=True) for n, v in batch.items()}
        half = torch.autocast(DEVICE, torch.bfloat16) if self.precision == "bf16" else None
        with torch.no_grad(), half or contextlib.nullcontext():
            found: Boundary = self._module(**given)
        return found


def _fetched(values: Boundary) -> Boundary:
    return {n: _float(v).cpu() for n, v in values.items()}


def _float(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def compile_stages(module: nn.Module, example: Batch, _key: str, _folder: Path) -> Cuda:
    """Return the prefix in bf16, each of its stages compiled."""
    moved = _moved(module)
    if isinstance(moved, Prefix):
        # stage by stage: the way out of a prefix, by a hook and an exception, stays as it is
        for name in moved.modules_run:
            stage = moved.model.get_submodule(name)
            stage.forward = torch.compile(stage.forward, dynamic=_varies(example))
    else:
        moved.compile(dynamic=_varies(example))
    return _at_best_pace(Cuda(moved, "cuda-compiled", "bf16"), example)


def compile_bf16(module: nn.Module, example: Batch, _key: str, _folder: Path) -> Cuda:
    """Return the prefix in bf16, its stages as they are."""
    return _at_best_pace(Cuda(_moved(module), "cuda", "bf16"), example)


def compile_f32(module: nn.Module, example: Batch, _key: str, _folder: Path) -> Cuda:
    """Return the prefix in float32, for networks to which bf16 is too coarse."""
    return _at_best_pace(Cuda(_moved(module), "cuda-f32", "f32"), example)


def _moved(module: nn.Module) -> nn.Module:
    moved = copy.deepcopy(module).to(DEVICE)
    if any(isinstance(layer, nn.Conv2d) for layer in moved.modules()):
        moved = moved.to(memory_format=torch.channels_last)
    return moved.eval()


def _varies(example: Batch) -> bool:
    """Say whether batches differ in more than their number of rows: texts have lengths."""
    return any(np.ndim(value) == 2 for value in example.values())


def _at_best_pace(engine: Cuda, example: Batch) -> Cuda:
    """Set the number of rows at a time with which the engine is fastest, as memory allows."""
    best = 0.0
    for batch in BATCHES:
        try:
            found = rate(engine, example, batch, PENDING + 1)
        except torch.cuda.OutOfMemoryError:
            break
        if found < SLOWER * best:
            break
        best, engine.batch = found, batch
    return engine


engines.register("cuda-compiled", compile_stages)
engines.register("cuda", compile_bf16)
engines.register("cuda-f32", compile_f32)
