"""Precision of training: bfloat16 products where the processor has instructions for them."""

from __future__ import annotations

import contextlib
import functools
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn


@functools.cache
def precision() -> str:
    """Return ``bf16`` or ``f32``; it is part of a trial's specification."""
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "f32"


def autocast() -> AbstractContextManager[object]:
    """Return the context in which a training or validation forward runs; weights stay float32."""
    if precision() == "bf16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def lay_out(module: nn.Module) -> None:
    """Lay a network's convolutions out channels-last, which the processor's kernels prefer."""
    if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
        module.to(memory_format=torch.channels_last)


def laid_out(value: Tensor) -> Tensor:
    """Return maps (rows, channels, height, width) channels-last, other tensors as they are."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
