"""The biases alone (Ben Zaken et al., BitFit, ACL 2022): a thousandth of the weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from headstart.training.adapters import Adapter, adapters, within


def attach(network: nn.Module, names: Sequence[str]) -> list[nn.Parameter]:
    """Return the biases of all layers."""
    found = [module._parameters.get("bias") for _, module in within(network, names)]
    return [bias for bias in found if bias is not None]


adapters.register("biases", Adapter(attach))
