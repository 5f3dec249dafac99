"""The one training loop, over ``step(rows, epoch) -> loss``; it knows no task and no modality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.training.memory import AtOnce
from headstart.training.plan import FreezePlan
from headstart.training.stopping import EarlyStopping

CLIP = 1.0
"""Largest norm of the gradient; longer ones are shortened to it."""


class Diverged(Exception):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to; the score is signed so that greater is better.

    `at_once` is how many rows of a batch were in memory together at its end.
    """

    number: int
    loss: float
    score: float | None
    validation_loss: float | None
    at_once: int


@dataclass
class Trained:
    """How training went.

    Attributes
    ----------
    epochs
        Epochs after which the weights were as they are now.
    cut_short
        The deadline came before the plan or its stopping rule ended training.
    """

    epochs: int
    cut_short: bool
    history: list[Epoch] = field(default_factory=list)


def train(
    module: nn.Module,
    groups: Mapping[str, Sequence[nn.Parameter]],
    plan: FreezePlan,
    rows: int,
    batch: int,
    step: Callable[[Tensor, int], Tensor],
    *,
    decay: float,
    seed: int,
    evaluate: Callable[[], tuple[float, float]] | None = None,
    patience: int = 5,
    most_epochs: int | None = None,
    late: Callable[[], bool] = lambda: False,
    norm: Literal["frozen", "adapting"] = "adapting",
    at_once: AtOnce | None = None,
) -> Trained:
    """Train `module` in place by AdamW (Loshchilov and Hutter, 2019).

    Where a batch does not fit into memory it is taken in parts, whose gradients are added up to
    that of the whole batch: a step is the same, up to rounding. There are two exceptions: a loss
    that is weighted by classes is normalised within a part, and batch normalisation that adapts
    sees the statistics of a part. Frozen normalisation is exact.

    Parameters
    ----------
    groups
        Parameters by group name; `plan` says which train at each step.
    rows, batch
        Training rows, and how many a step takes; the last, smaller batch of an epoch is kept
        unless it is a single row.
    step
        Returns the loss of a batch of row numbers in an epoch.
    evaluate
        Returns (signed score, loss) on validation rows after each epoch; the best weights are
        restored at the end. None trains for `most_epochs`.
    most_epochs
        Stop after so many epochs of the plan, whose learning rates do not change for it.
    late
        Says whether the deadline has come; training then ends with the best weights so far.
    norm
        ``frozen``: no batch normalisation changes its statistics, whether its scale and shift train
        or not; ``adapting``: those whose parameters train do.
    at_once
        How many rows of a batch are in memory together; halved when memory runs out. None begins
        with the whole batch.

    Raises
    ------
    Diverged
        If the loss is not finite.
    NotEnoughMemory
        If a single row does not fit into memory.
    """
    at_once = at_once or AtOnce(batch)
    optimizer = torch.optim.AdamW(
        [{"params": list(groups[name]), "lr": 0.0, "name": name} for name in groups],
        weight_decay=decay,
        fused=True,
    )
    stopping = EarlyStopping(patience)
    random = np.random.default_rng(seed)
    total = math.ceil(plan.steps / plan.steps_an_epoch)
    last = total if most_epochs is None else min(total, most_epochs)
    history: list[Epoch] = []
    done, number = 0, 0
    for epoch in range(last):
        module.train()
        _set_rates(optimizer, plan, number)
        _hold_statistics(module, norm == "frozen")
        losses: list[float] = []
        shuffled = torch.from_numpy(random.permutation(rows))
        for taken in _batches(shuffled, batch):
            if late():
                return _ended(module, stopping, history, epoch, cut_short=True)
            _set_rates(optimizer, plan, number)
            losses.append(_descend(optimizer, step, taken, epoch, at_once))
            number += 1
        done = epoch + 1
        number = done * plan.steps_an_epoch
        score = validation_loss = None
        if evaluate is not None:
            module.eval()
            score, validation_loss = evaluate()
            stopping.better(module, done, score, validation_loss)
        history.append(Epoch(done, float(np.mean(losses)), score, validation_loss, at_once.rows))
        if evaluate is not None and stopping.exhausted(done):
            break
    return _ended(module, stopping, history, done, cut_short=False)


def _descend(
    optimizer: torch.optim.Optimizer,
    step: Callable[[Tensor, int], Tensor],
    taken: Tensor,
    epoch: int,
    at_once: AtOnce,
) -> float:
    """Take a step of the optimiser down the loss of a batch; return the loss."""

    def part(some: Tensor) -> float:
        loss = step(some, epoch) * (len(some) / len(taken))
        value = loss.item()
        if not math.isfinite(value):
            raise Diverged(f"the loss was {value} in epoch {epoch + 1}")
        loss.backward()
        return value

    loss = sum(at_once.over(taken, part, optimizer.zero_grad))
    trained = [p for group in optimizer.param_groups if group["lr"] > 0 for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(trained, CLIP)
    optimizer.step()
    return loss


def _hold_statistics(module: nn.Module, always: bool) -> None:
    """Let batch normalisation keep its statistics bit for bit: where it is frozen, or `always`.

    With a small batch and few rows, adapting statistics cost more accuracy than they brought.
    """
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            own = list(layer.parameters(recurse=False))
            layer.train(not always and all(p.requires_grad for p in own))


def _ended(
    module: nn.Module, stopping: EarlyStopping, history: list[Epoch], done: int, cut_short: bool
) -> Trained:
    stopping.restore(module)
    module.eval()
    epochs = stopping.best_epoch if stopping.best_epoch >= 0 else done
    return Trained(epochs, cut_short, history)


def _batches(shuffled: Tensor, batch: int) -> list[Tensor]:
    pieces = list(shuffled.split(batch))
    return pieces[:-1] if len(pieces) > 1 and len(pieces[-1]) == 1 else pieces


def _set_rates(optimizer: torch.optim.Optimizer, plan: FreezePlan, number: int) -> None:
    """Give each group its learning rate; frozen groups get no gradient, so that nothing moves."""
    for group in optimizer.param_groups:
        group["lr"] = plan.rate(group["name"], number)
        for parameter in group["params"]:
            if parameter.requires_grad != (group["lr"] > 0):
                parameter.requires_grad_(group["lr"] > 0)
