"""Low-rank updates of linear layers, by `peft`.

LoRA (Hu et al., ICLR 2022), DoRA, which trains size and direction apart (Liu et al., ICML 2024),
and (IA)³, which scales what a layer gives (Liu et al., NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from headstart.training.adapters import Adapter, adapters, within

RANK = 8
SCALE = 16
"""Strength of an update, in ranks; twice the rank is what the paper's own code takes."""


def _lora(names: list[str]) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=SCALE, target_modules=names)


def _dora(names: list[str]) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=SCALE, target_modules=names, use_dora=True)


def _ia3(names: list[str]) -> Any:
    from peft import IA3Config

    return IA3Config(target_modules=names, feedforward_modules=[])


def _attached(
    configured: Callable[[list[str]], Any],
) -> Callable[[nn.Module, Sequence[str]], list[nn.Parameter]]:
    def attach(network: nn.Module, names: Sequence[str]) -> list[nn.Parameter]:
        """Return the parameters of the updates; none where there are no linear layers."""
        from peft import inject_adapter_in_model

        linear = [name for name, module in within(network, names) if _is_linear(module)]
        if not linear:
            return []
        inject_adapter_in_model(configured(linear), network)
        return [p for _, module in within(network, names) for p in _added(module)]

    return attach


def _is_linear(module: nn.Module) -> bool:
    """Say whether a layer maps vectors linearly: torch's own, or GPT-2's."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, (nn.Linear, Conv1D))


def _added(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that an adapted layer has besides those of its own layer."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not isinstance(module, BaseTunerLayer):
        return []
    own = {id(parameter) for parameter in module.get_base_layer().parameters()}
    return [p for p in module.parameters() if id(p) not in own and p.requires_grad]


def merge(network: nn.Module) -> None:
    """Put the updates into the layers' own weights."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [n for n, m in network.named_modules() if isinstance(m, BaseTunerLayer)]
    for name in adapted:
        layer: Any = network.get_submodule(name)
        layer.merge(safe_merge=True)
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, layer.get_base_layer())


for name, configured in (("lora", _lora), ("dora", _dora), ("ia3", _ia3)):
    adapters.register(name, Adapter(_attached(configured), merge))
