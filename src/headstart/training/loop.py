"""The one training loop, over ``step(rows, epoch) -> loss``; it knows no task and no modality."""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from headstart.devices import device
from headstart.recipes import Norm, Phase
from headstart.training.batches import batches
from headstart.training.checkpoint import Checkpoint
from headstart.training.descent import Descent, hold_statistics
from headstart.training.memory import AtOnce
from headstart.training.plan import FreezePlan
from headstart.training.stopping import EarlyStopping

_COUNT = "n_averaged"


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
    optimizer: Literal["adamw", "sgd"] = "adamw",
    towards: Literal["zero", "start"] = "zero",
    average: float = 0.0,
    evaluate: Callable[[], tuple[float, float]] | None = None,
    choose: bool = True,
    patience: int = 5,
    late: Callable[[], bool] = lambda: False,
    norm: Norm = "adapting",
    at_once: AtOnce | None = None,
    lengths: np.ndarray | None = None,
    checkpoint: Checkpoint | None = None,
    watch: Callable[[Epoch], None] = lambda _epoch: None,
) -> Trained:
    """Train `module` in place.

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
    optimizer
        AdamW (Loshchilov and Hutter, ICLR 2019), or stochastic gradient descent with Nesterov's
        momentum, whose learning rates are some hundred times larger.
    decay, towards
        Share of a weight, times its learning rate, by which a step takes it nearer to zero, or to
        what it was at the beginning; the head always towards zero (Li et al., Explicit Inductive
        Bias for Transfer Learning with Convolutional Networks, ICML 2018).
    average
        Share of the running average that stays at each step; what is evaluated and kept is that
        average of the weights. 0 is the weights themselves.
    evaluate
        Returns (signed score, loss) on validation rows after each epoch; None where there are none.
    choose, patience
        The weights of the best epoch are restored at the end, which comes after so many epochs
        without a better one. If not to `choose`, all epochs are trained, and the last weights stay.
    late
        Says whether the deadline has come; training then ends with the best weights so far.
    norm
        ``frozen``: no batch normalisation changes its statistics, whether its scale and shift train
        or not; ``adapting``: those whose parameters train do.
    at_once
        How many rows of a batch are in memory together; halved when memory runs out. None begins
        with the whole batch.
    lengths
        (rows,) by which rows are dealt into batches, where they differ in length; see `batches`.
    checkpoint
        Where training is kept from time to time, and goes on from if something is there.
    watch
        Receives each epoch when it has ended; those of an earlier session at once.

    Raises
    ------
    Diverged
        If the loss is not finite, or more than a hundred times larger than at first.
    NotEnoughMemory
        If a single row does not fit into memory.
    """
    at_once = at_once or AtOnce(batch)
    for parameter in module.parameters():
        parameter.requires_grad_(False)  # what is in no group stays so
    plan = FreezePlan.over(phases, groups, math.ceil(rows / batch))
    course = _Course(module, groups, optimizer, decay, towards, average, patience)
    kept = checkpoint.read() if checkpoint is not None else None
    if kept is not None:
        course.take(*kept)
        for known in course.history:
            watch(known)
        at_once.rows = min(at_once.rows, course.at_once)
    total = math.ceil(plan.steps / plan.steps_an_epoch)
    while course.done < total and not course.stopping.exhausted(course.done):
        epoch = course.done
        number = epoch * plan.steps_an_epoch
        module.train()
        course.descent.set_rates(partial(plan.rate, step=number))
        hold_statistics(module, norm == "frozen")
        # all that is random in an epoch begins anew, so that it is the same after a resumption
        random = np.random.default_rng([seed, epoch])
        torch.manual_seed(int(random.integers(2**62)))
        dealt = batches(torch.from_numpy(random.permutation(rows)), batch, lengths)
        number += len(course.losses)
        course.chance.restore()
        for taken in dealt[len(course.losses) :]:
            if late():
                return course.ended(cut_short=True)
            course.descent.set_rates(partial(plan.rate, step=number))
            course.losses.append(course.descent.step(step, taken, epoch, at_once))
            if course.averaged is not None:
                course.averaged.update_parameters(module)
            number += 1
            course.at_once = at_once.rows
            if checkpoint is not None and checkpoint.due:
                checkpoint.write(course.tensors(), course.facts(len(dealt)))
        course.end_epoch(evaluate, choose)
        watch(course.history[-1])
        if checkpoint is not None and checkpoint.due:
            checkpoint.write(course.tensors(), course.facts(len(dealt)))
    return course.ended(cut_short=False)


class _Course:
    """All that training changes: weights, moments, the average, the best so far, the history."""

    def __init__(
        self,
        module: nn.Module,
        groups: Mapping[str, Sequence[nn.Parameter]],
        optimizer: Literal["adamw", "sgd"],
        decay: float,
        towards: Literal["zero", "start"],
        average: float,
        patience: int,
    ) -> None:
        trained = {id(parameter) for group in groups.values() for parameter in group}
        still = {name for name, p in module.named_parameters() if id(p) not in trained}
        self.module = module
        self.moving = frozenset(name for name in module.state_dict() if name not in still)
        self.descent = Descent(groups, optimizer, decay, towards)
        self.averaged = _averaged(module, average) if average else None
        self.stopping = EarlyStopping(patience, self.moving)
        self.history: list[Epoch] = []
        self.done = 0
        self.losses: list[float] = []
        """Of the steps of the epoch that is not done yet."""
        self.at_once = 0
        self.chance = _Chance()
        self._began = time.monotonic()

    def end_epoch(self, evaluate: Callable[[], tuple[float, float]] | None, choose: bool) -> None:
        """Evaluate, and take note of the epoch, and of its weights if they are to be chosen."""
        self.done += 1
        loss, self.losses = float(np.mean(self.losses)), []
        score = validation_loss = None
        if evaluate is not None:
            self.module.eval()
            with _standing_in(self.module, self.averaged):
                score, validation_loss = evaluate()
                if choose:
                    self.stopping.better(self.module, self.done, score, validation_loss)
        self.history.append(Epoch(self.done, loss, score, validation_loss, self.at_once))

    def ended(self, cut_short: bool) -> Trained:
        """Put the best weights back, or the average of all, and return how it went."""
        if self.averaged is not None and self.stopping.best_epoch < 0:
            _take_over(self.module, self.averaged.module.parameters())
        self.stopping.restore(self.module)
        self.module.eval()
        best = self.stopping.best_epoch
        return Trained(best if best >= 0 else self.done, cut_short, self.history)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that is made of tensors, by name."""
        state = self.module.state_dict()
        found = {f"module/{name}": state[name] for name in self.moving}
        found |= {f"best/{name}": value for name, value in self.stopping.weights.items()}
        if self.averaged is not None:
            found |= {
                f"average/{name}": value
                for name, value in self.averaged.state_dict().items()
                if name == _COUNT or name.removeprefix("module.") in self.moving
            }
        for number, moments in self.descent.moments():
            found |= {f"moments/{number}/{name}": value for name, value in moments.items()}
        if self.losses:
            found |= {f"chance/{name}": value for name, value in self.chance.now().items()}
        return found

    def facts(self, steps: int) -> dict[str, Any]:
        """Return everything else, as JSON data; `steps` are those of an epoch.

        ``epochs`` are those that are done, with the share of the one that is not.
        """
        return {
            "done": self.done,
            "epochs": self.done + len(self.losses) / steps,
            "losses": self.losses,
            "at_once": self.at_once,
            "history": [vars(epoch) for epoch in self.history],
            "best": list(self.stopping.best),
            "best_epoch": self.stopping.best_epoch,
            "first": self.descent.first,
            "seconds": time.monotonic() - self._began,
        }

    def take(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from what `tensors` and `facts` returned."""
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = value
        self.module.load_state_dict(parts["module"], strict=False)
        self.stopping.weights = parts["best"]
        self.stopping.best = tuple(facts["best"])
        self.stopping.best_epoch = facts["best_epoch"]
        if self.averaged is not None:
            self.averaged.load_state_dict(parts["average"], strict=False)
        self.descent.take(parts["moments"])
        self.descent.first = facts["first"]
        self.done, self.losses = facts["done"], facts["losses"]
        self.at_once = facts["at_once"]
        self.chance = _Chance(parts["chance"])
        self._began -= facts["seconds"]
        self.history = [Epoch(**epoch) for epoch in facts["history"]]


class _Chance:
    """Where the random numbers of torch are that networks draw from, in dropout for example."""

    def __init__(self, kept: Mapping[str, Tensor] | None = None) -> None:
        self._kept = dict(kept or {})

    def now(self) -> dict[str, Tensor]:
        """Return where they are now, by device."""
        found = {"cpu": torch.get_rng_state()}
        if device().type == "cuda":
            found["cuda"] = torch.cuda.get_rng_state()
        return found

    def restore(self) -> None:
        """Go on where they were kept, once."""
        kept, self._kept = self._kept, {}
        if "cpu" in kept:
            torch.set_rng_state(kept["cpu"])
        if "cuda" in kept and device().type == "cuda":
            torch.cuda.set_rng_state(kept["cuda"])


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
