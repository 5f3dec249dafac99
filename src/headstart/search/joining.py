"""Joining: several models in place of one, if and only if validation says so.

Members are taken greedily, the best first (Caruana et al., Ensemble Selection from Libraries of
Models, ICML 2004); what is handed back averages their outputs, and takes as long as all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.models import Model
from headstart.models.fused import Fused
from headstart.recipes import Recipe, Start
from headstart.search.standing import Contender
from headstart.search.trial import Bench, validation_outputs

CLEAR = 0.99
"""What the loss of more members has to come down to, in that of fewer, for them to be taken. The
loss decides, not the score: of few rows it is the surer of the two."""


@dataclass(frozen=True)
class Joined:
    """The members, their model, and what it scores on the validation rows."""

    members: tuple[Contender, ...]
    model: Fused
    score: float
    loss: float


def recipe_of(modality: str, has_head_start: bool) -> Recipe:
    """Return the recipe that stands for joined models."""
    start: Start = "source" if has_head_start else "small"
    return Recipe("ensemble", modality, start, "ensemble", rank=99, stages=None)


def joined(
    bench: Bench, contenders: Sequence[Contender], model_of: Callable[[Contender], Model]
) -> Joined | None:
    """Return the models that do better together than the first alone, or None where none do.

    Parameters
    ----------
    contenders
        The best first.
    """
    held = bench.validation

    def respond(model: Model, rows: object) -> Tensor:
        return model.outputs(held.data)

    members: list[Contender] = []
    taken: list[Tensor] = []
    least = math.inf
    for contender in contenders:
        outputs = validation_outputs(bench, model_of(contender), respond)
        loss = bench.loss(torch.stack([*taken, outputs]).mean(0), held.targets)
        if not members or loss <= CLEAR * least:
            members.append(contender)
            taken.append(outputs)
            least = loss
    if len(members) < 2:
        return None
    score = bench.metric.score(torch.stack(taken).mean(0), held.targets)
    return Joined(tuple(members), Fused([model_of(c) for c in members]), score, least)
