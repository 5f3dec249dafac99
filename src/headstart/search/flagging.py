"""What the model that is handed back needs to flag rows unlike its training rows, in the budget.

Training rows are described, the rows of validation and test, which are not among them, are what
their distances are compared with. After a refit on all rows it is still so: the same rows of each
kind, their features computed through the refitted model. A refitted network has learnt from its
held-out rows too, so the guarantee is that of the evaluated model only as far as their features do
not tell them from rows that it never saw; `benchmarks/novelty.py` measures how far that is.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.evidence.novelty import REFERENCE as MOST
from headstart.evidence.novelty import Novelty, describe
from headstart.features.values import below
from headstart.models import Model
from headstart.recipes import Recipe
from headstart.search.listener import Listener
from headstart.search.preparation import Prepared
from headstart.search.standing import Contender

REFERENCE = 500
"""Training rows whose features are computed for this alone, at most."""
HELD = 300
"""Held-out rows whose features are computed again for a refitted model, at most."""
KEPT = 2_000
"""Rows of a part of the data whose features are kept, about: memory does not grow with the rows."""
DESCRIBING = 0.3
"""Seconds kept back for describing features."""


@dataclass
class HeldOut:
    """The held-out rows' features, which come with the winner's answers to them.

    `first` is the seconds of the first answer, in which a network is converted to an engine;
    `each` the seconds a row of the last. Neither counts the writing of texts: features need none.
    """

    rows: list[Dataset] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    first: float = 0.0
    each: float = 0.0

    def respond(self, model: Model, rows: Dataset) -> Tensor:
        """Return the model's outputs; keep features, at even distances, and how long it took."""
        started = time.monotonic()
        apart = math.ceil(len(rows) / KEPT)
        outputs, features = [], []
        done, writing = 0, 0.0
        for response in model.responses(rows):
            writing += response.writing
            outputs.append({"outputs": response.outputs})
            if response.features is not None:
                features.append(response.features[-done % apart :: apart].clone())
            done += len(response.outputs)
        seconds = time.monotonic() - started - writing
        self.first = seconds if not self.rows else self.first
        self.each = seconds / max(1, len(rows))
        self.rows.append(rows)
        self.features += [torch.cat(features)] if features else []
        return below(outputs)["outputs"]


def cached(contender: Contender) -> bool:
    """Say whether a model's features are those of its source, which are computed already."""
    return contender.entry.recipe.learner == "probe" and not contender.restored


def flagging_seconds(recipe: Recipe, prepared: Prepared, rate: float, converting: float) -> float:
    """Return the seconds to keep back for flagging with a model of this recipe.

    A tuned network that was fitted again has to be converted to an engine and to answer again, at
    `rate` rows a second. Small models are quick, and go without if they are not.
    """
    if recipe.learner != "tune":
        return DESCRIBING
    known = min(REFERENCE, len(prepared.bench.train.data))
    held = min(HELD, len(prepared.bench.validation.data) + len(prepared.test.data))
    return DESCRIBING + converting + (known + held) / rate


def novelty_of(
    model: Model,
    known: bool,
    prepared: Prepared,
    held: HeldOut,
    left: float,
    refitted: bool,
    listener: Listener,
) -> Novelty | None:
    """Return what flags rows unlike those that `model` learnt from.

    None where the model looks at no features, the rows are too few, or time is short.

    Parameters
    ----------
    model
        The winner as it was evaluated, or `refitted`.
    known
        Its features of the training rows are computed already.
    held
        The held-out rows with their features through the evaluated model.
    left
        Seconds there are.
    """
    if not held.features:
        return None
    seed = prepared.bench.seed
    train = prepared.bench.train.data
    reference = _drawn(train, MOST if known else REFERENCE, seed)
    again = [_drawn(rows, HELD // len(held.rows), seed) for rows in held.rows] if refitted else []
    if not known:
        computed = len(reference) + sum(map(len, again))
        seconds = DESCRIBING + computed * held.each + (held.first if refitted else 0.0)
        if seconds > left:
            listener.say(
                "no time to learn how to flag rows unlike the training data "
                f"(forecast {seconds:.0f} s, {max(0.0, left):.0f} s left)"
            )
            return None
    described = model.features(reference)
    assert described is not None
    features = [model.features(rows) for rows in again] or held.features
    return describe(described, torch.cat([f for f in features if f is not None]), seed)


def _drawn(rows: Dataset, most: int, seed: int) -> Dataset:
    """Return at most so many rows, a seeded draw in their order."""
    if len(rows) <= most:
        return rows
    drawn = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return rows.take(np.sort(drawn).tolist())
