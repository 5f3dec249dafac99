"""The one training loop, over ``step(rows, epoch) -> loss``; it knows no task and no modality."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from headstart.recipes import Phase
from headstart.sources.staged import OTHERS
from headstart.training.memory import AtOnce
from headstart.training.plan import HEAD, FreezePlan
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
    phases: Sequence[Phase],
    rows: int,
    batch: int,
    step: Callable[[Tensor, int], Tensor],
    *,
    decay: float,
    seed: int,
    towards: Literal["zero", "start"] = "zero",
    average: float = 0.0,
    evaluate: Callable[[], tuple[float, float]] | None = None,
    patience: int = 5,
    most_epochs: int | None = None,
    late: Callable[[], bool] = lambda: False,
    norm: Literal["frozen", "adapting"] = "adapting",
    at_once: AtOnce | None = None,
) -> Trained:
    """Train `module` in place by AdamW (Loshchilov and Hutter, ICLR 2019).

    Where a batch does not fit into memory it is taken in parts, whose gradients are added up to
    that of the whole batch: a step is the same, up to rounding. There are two exceptions: a loss
    that is weighted by classes is normalised within a part, and batch normalisation that adapts
    sees the statistics of a part. Frozen normalisation is exact.

    Parameters
    ----------
    groups
        Parameters by group name, stage by stage, the head's last.
    phases
        Which of them train, and how fast.
    rows, batch
        Training rows, and how many a step takes; the last, smaller batch of an epoch is kept
        unless it is a single row.
    step
        Returns the loss of a batch of row numbers in an epoch.
    decay, towards
        Share of a weight, times its learning rate, by which a step takes it nearer to zero, or to
        what it was at the beginning; the head always towards zero (Li et al., Explicit Inductive
        Bias for Transfer Learning with Convolutional Networks, ICML 2018).
    average
        Share of the running average that stays at each step; what is evaluated and kept is that
        average of the weights. 0 is the weights themselves.
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
    for parameter in module.parameters():
        parameter.requires_grad_(False)  # what is in no group stays so
    stages = tuple(name for name in groups if name not in (HEAD, OTHERS))
    plan = FreezePlan(tuple(phases), math.ceil(rows / batch), stages)
    descent = _Descent(groups, decay, towards)
    averaged = _averaged(module, average) if average else None
    stopping = EarlyStopping(patience)
    random = np.random.default_rng(seed)
    total = math.ceil(plan.steps / plan.steps_an_epoch)
    last = total if most_epochs is None else min(total, most_epochs)
    history: list[Epoch] = []
    done, number = 0, 0
    for epoch in range(last):
        module.train()
        descent.set_rates(plan, number)
        _hold_statistics(module, norm == "frozen")
        losses: list[float] = []
        shuffled = torch.from_numpy(random.permutation(rows))
        for taken in _batches(shuffled, batch):
            if late():
                return _ended(module, averaged, stopping, history, epoch, cut_short=True)
            descent.set_rates(plan, number)
            losses.append(descent.step(step, taken, epoch, at_once))
            if averaged is not None:
                averaged.update_parameters(module)
            number += 1
        done = epoch + 1
        number = done * plan.steps_an_epoch
        score = validation_loss = None
        if evaluate is not None:
            module.eval()
            with _standing_in(module, averaged):
                score, validation_loss = evaluate()
                stopping.better(module, done, score, validation_loss)
        history.append(Epoch(done, float(np.mean(losses)), score, validation_loss, at_once.rows))
        if evaluate is not None and stopping.exhausted(done):
            break
    return _ended(module, averaged, stopping, history, done, cut_short=False)


class _Descent:
    """AdamW over groups of parameters, of which some may be frozen at a step."""

    def __init__(
        self,
        groups: Mapping[str, Sequence[nn.Parameter]],
        decay: float,
        towards: Literal["zero", "start"],
    ) -> None:
        self.decay = decay
        anchored = [name for name in groups if towards == "start" and name != HEAD]
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": list(groups[name]),
                    "lr": 0.0,
                    "name": name,
                    "weight_decay": 0.0 if name in anchored else decay,
                }
                for name in groups
            ],
            fused=True,
        )
        self.start = {name: [p.detach().clone() for p in groups[name]] for name in anchored}

    def set_rates(self, plan: FreezePlan, number: int) -> None:
        """Give each group its learning rate; frozen ones get no gradient, so that nothing moves."""
        for group in self.optimizer.param_groups:
            group["lr"] = plan.rate(group["name"], number)
            for parameter in group["params"]:
                if parameter.requires_grad != (group["lr"] > 0):
                    parameter.requires_grad_(group["lr"] > 0)

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
        moving = [group for group in self.optimizer.param_groups if group["lr"] > 0]
        torch.nn.utils.clip_grad_norm_([p for group in moving for p in group["params"]], CLIP)
        self.optimizer.step()
        for group in moving:
            if (start := self.start.get(group["name"])) is not None:
                with torch.no_grad():
                    torch._foreach_lerp_(group["params"], start, group["lr"] * self.decay)
        return loss


def _averaged(module: nn.Module, share: float) -> AveragedModel:
    """Return the running average of a module's weights, its statistics as they are."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(share))


@contextlib.contextmanager
def _standing_in(module: nn.Module, averaged: AveragedModel | None) -> Iterator[None]:
    """Let the module have the averaged weights meanwhile, if there are any."""
    if averaged is None:
        yield
        return
    own = [parameter.detach().clone() for parameter in module.parameters()]
    _take_over(module, averaged.module.parameters())
    try:
        yield
    finally:
        _take_over(module, own)


def _take_over(module: nn.Module, weights: Iterable[Tensor]) -> None:
    """Give a module's parameters these values."""
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), weights, strict=True):
            parameter.copy_(value)


def _hold_statistics(module: nn.Module, always: bool) -> None:
    """Let batch normalisation keep its statistics bit for bit: where it is frozen, or `always`.

    With a small batch and few rows, adapting statistics cost more accuracy than they brought.
    """
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            own = list(layer.parameters(recurse=False))
            layer.train(not always and all(p.requires_grad for p in own))


def _ended(
    module: nn.Module,
    averaged: AveragedModel | None,
    stopping: EarlyStopping,
    history: list[Epoch],
    done: int,
    cut_short: bool,
) -> Trained:
    if averaged is not None and stopping.best_epoch < 0:
        _take_over(module, averaged.module.parameters())
    stopping.restore(module)
    module.eval()
    epochs = stopping.best_epoch if stopping.best_epoch >= 0 else done
    return Trained(epochs, cut_short, history)


def _batches(shuffled: Tensor, batch: int) -> list[Tensor]:
    pieces = list(shuffled.split(batch))
    return pieces[:-1] if len(pieces) > 1 and len(pieces[-1]) == 1 else pieces
