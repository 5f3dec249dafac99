"""Descent: an optimiser over groups of parameters, each at its own rate, or frozen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from headstart.training.memory import AtOnce
from headstart.training.plan import HEAD

CLIP = 1.0
"""Largest norm of the gradient; longer ones are shortened to it."""
WORST = 100.0
"""How many times larger than the first loss, and than one, a loss is that will not come down."""
MOMENTUM = 0.9


class Diverged(Exception):
    """The loss is no longer a finite number, or out of all proportion."""


class Descent:
    """An optimiser over groups of parameters, of which some may be frozen at a step."""

    def __init__(
        self,
        groups: Mapping[str, Sequence[nn.Parameter]],
        optimizer: Literal["adamw", "sgd"],
        decay: float,
        towards: Literal["zero", "start"],
    ) -> None:
        self.decay = decay
        self.first: float | None = None
        """The loss of the first step."""
        anchored = [name for name in groups if towards == "start" and name != HEAD]
        each = [
            {
                "params": list(groups[name]),
                "lr": 0.0,
                "name": name,
                "weight_decay": 0.0 if name in anchored else decay,
            }
            for name in groups
        ]
        self.optimizer: torch.optim.Optimizer
        if optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(each, fused=True)
        else:
            self.optimizer = torch.optim.SGD(each, momentum=MOMENTUM, nesterov=True, fused=True)
        self.start = {name: [p.detach().clone() for p in groups[name]] for name in anchored}

    def set_rates(self, rate_of: Callable[[str], float]) -> None:
        """Give each group its learning rate; frozen ones get no gradient, so that nothing moves."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate_of(group["name"])
            for parameter in group["params"]:
                if parameter.requires_grad != (group["lr"] > 0):
                    parameter.requires_grad_(group["lr"] > 0)

    def moments(self) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield the number of each parameter that has moved, and its running means."""
        for number, parameter in enumerate(self._parameters()):
            if known := self.optimizer.state.get(parameter):
                yield number, known

    def take(self, moments: dict[str, Tensor]) -> None:
        """Go on from moments by ``number/name``; they are laid out as their parameters are."""
        parameters = self._parameters()
        for name, value in moments.items():
            number, _, kind = name.partition("/")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter).copy_(value)
            else:
                value = value.to(parameter.device)
            self.optimizer.state[parameter][kind] = value

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(
        self, step: Callable[[Tensor, int], Tensor], taken: Tensor, epoch: int, at_once: AtOnce
    ) -> float:
        """Take a step down the loss of a batch; return the loss."""

        def part(some: Tensor) -> float:
            loss = step(some, epoch) * (len(some) / len(taken))
            value = loss.item()
            if not math.isfinite(value):
                raise Diverged(f"the loss was {value} in epoch {epoch + 1}")
            loss.backward()
            return value

        loss = sum(at_once.over(taken, part, self.optimizer.zero_grad))
        self.first = loss if self.first is None else self.first
        if loss > WORST * max(1.0, self.first):
            raise Diverged(
                f"the loss went from {self.first:.3g} to {loss:.3g} in epoch {epoch + 1}"
            )
        moving = [group for group in self.optimizer.param_groups if group["lr"] > 0]
        size = nn.utils.clip_grad_norm_([p for group in moving for p in group["params"]], CLIP)
        if not torch.isfinite(size):
            raise Diverged(f"the gradient was {size.item()} in epoch {epoch + 1}")
        self.optimizer.step()
        for group in moving:
            if (start := self.start.get(group["name"])) is not None:
                with torch.no_grad():
                    torch._foreach_lerp_(group["params"], start, group["lr"] * self.decay)
        return loss


def hold_statistics(module: nn.Module, always: bool) -> None:
    """Let batch normalisation keep its statistics bit for bit: where it is frozen, or `always`.

    With a small batch and few rows, adapting statistics cost more accuracy than they brought.
    """
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            own = list(layer.parameters(recurse=False))
            layer.train(not always and all(p.requires_grad for p in own))
