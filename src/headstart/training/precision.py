"""Numerics of training: in which precision products are taken, and how maps lie in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.devices import device


@dataclass(frozen=True)
class Numerics:
    """How a network computes while it trains; weights, their gradients and moments are float32.

    Attributes
    ----------
    precision
        ``bf16``: products in bfloat16 (automatic mixed precision), except those of grouped
        convolutions; ``f32``: everything in float32.
    layout
        Of convolutions and maps: ``channels-last`` or ``contiguous``.
    """

    precision: Literal["bf16", "f32"]
    layout: Literal["channels-last", "contiguous"]

    @staticmethod
    def of(settled: Mapping[str, Any]) -> Numerics:
        """Return what was settled, or the usual numerics where nothing was."""
        if "precision" not in settled:
            return usual()
        return Numerics(settled["precision"], settled["layout"])

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a training or validation forward runs."""
        if self.precision == "f32":
            return contextlib.nullcontext()
        stack = contextlib.ExitStack()
        stack.enter_context(torch.autocast(device().type, torch.bfloat16))
        if device().type == "cpu":
            stack.enter_context(_GroupedInFloat32())
        return stack

    def lay_out(self, module: nn.Module) -> None:
        """Put a network on the device, its convolutions laid out."""
        module.to(device())
        if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
            module.to(memory_format=self._format)

    def laid_out(self, value: Tensor) -> Tensor:
        """Return a tensor on the device, maps (rows, channels, height, width) laid out."""
        there = value.to(device(), non_blocking=True)
        return there.contiguous(memory_format=self._format) if value.ndim == 4 else there

    @property
    def _format(self) -> torch.memory_format:
        last = self.layout == "channels-last"
        return torch.channels_last if last else torch.contiguous_format


def usual() -> Numerics:
    """Return the numerics that are used unless others are measured to be faster."""
    if device().type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_avx512_bf16_supported()
    return Numerics("bf16" if fast else "f32", "channels-last")


def all_numerics() -> list[Numerics]:
    """Return what may be measured, the usual numerics first."""
    found = [
        Numerics(precision, layout)
        for precision in ("bf16", "f32")
        for layout in ("channels-last", "contiguous")
        if precision == "f32" or usual().precision == "bf16"
    ]
    return sorted(found, key=lambda numerics: numerics != usual())


class _GroupedInFloat32(TorchFunctionMode):
    """Takes grouped convolutions out of automatic mixed precision.

    They move more than they compute, and have slow kernels for gradients in bfloat16: the last
    three stages of EfficientNet-Lite0 train twice as fast with them in float32.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func is not torch.nn.functional.conv2d or _groups(args, named) == 1:
            return func(*args, **named)
        with torch.autocast("cpu", enabled=False):
            return func(*(_float32(value) for value in args), **named)


def _groups(args: tuple[Any, ...], named: Mapping[str, Any]) -> int:
    place = 6
    return args[place] if len(args) > place else named.get("groups", 1)


def _float32(value: Any) -> Any:
    return value.float() if torch.is_tensor(value) else value
