"""Scale and shift of the normalisation layers alone.

Frankle, Schwab and Morcos, Training BatchNorm and Only BatchNorm, ICLR 2021; for transformers
Zhao et al., Tuning LayerNorm in Attention, ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from headstart.training.adapters import Adapter, adapters, within


def attach(network: nn.Module, names: Sequence[str]) -> list[nn.Parameter]:
    """Return the parameters of the layers that normalise, which are called so in every library."""
    return [
        parameter
        for _, module in within(network, names)
        if "norm" in type(module).__name__.lower()
        for parameter in module.parameters(recurse=False)
    ]


adapters.register("norms", Adapter(attach))
