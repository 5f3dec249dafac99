"""Tuning: the stages after the cut are trained over boundary values that are computed once.

With a cut before the first stage nothing is frozen, and the same code trains the whole network.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.data.modalities import View
from headstart.digest import digest_data
from headstart.features.extract import Extractor
from headstart.features.values import Values, below, concatenated
from headstart.models.heads import HeadSpec
from headstart.models.network import Network
from headstart.sources.staged import Backbone, Boundary, Suffix
from headstart.tasks.matrix import Array
from headstart.training.learners import Assignment, Fitted, Rows, learners
from headstart.training.loop import train
from headstart.training.plan import HEAD, FreezePlan
from headstart.training.precision import autocast, laid_out, lay_out
from headstart.training.solving import put_at_optimum

_EVALUATED = 64
_STEPS = 3


class Tuned(nn.Module):
    """The suffix of a backbone with a head."""

    def __init__(self, suffix: Suffix, head: nn.Module) -> None:
        super().__init__()
        self.suffix = suffix
        self.head = head

    def forward(self, boundary: Boundary) -> Tensor:
        """Map boundary values to the task's outputs."""
        with autocast():
            value = self.suffix(boundary)
        outputs: Tensor = self.head({name: _float(v) for name, v in value.items()})
        return outputs


@dataclass(frozen=True)
class _Views:
    """Boundary values of the training rows: one set a view, the first of the rows as they are."""

    values: list[Values]

    def batch(self, rows: Tensor, epoch: int) -> Boundary:
        chosen = self.values[epoch % len(self.values)]
        return _rows(chosen, rows)


def _rows(values: Values, rows: Tensor) -> Boundary:
    """Return some rows in float32, without token columns in which all of them are padding."""
    found = values.take(rows)
    mask = found.get("attention_mask")
    if mask is not None:
        longest, tokens = int(mask.sum(1).max()), mask.shape[1]
        found = {n: v[:, :longest] if v.shape[1:2] == (tokens,) else v for n, v in found.items()}
    return {n: laid_out(_float(v)) for n, v in found.items()}


def _float(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


class Tune:
    """Trains the suffix and the head."""

    def forecast(self, assignment: Assignment) -> float:
        """Return seconds of computing the views and of all epochs, from one measured step."""
        recipe, extractor = assignment.recipe, self._extractor(assignment)
        cut = self._cut(assignment, extractor)
        rows = sum(len(piece.data) for piece in assignment.train)
        held = len(assignment.validation.data) if assignment.validation else 0
        some = assignment.train[0].data
        computing = 0.0
        if cut > 0:
            pieces = assignment.train + ((assignment.validation,) if assignment.validation else ())
            views = [View(i, recipe.augmentation, assignment.seed) for i in range(1 + recipe.views)]
            computing = sum(
                extractor.forecast(piece.data, cut, scale=recipe.scale, view=view)
                for piece in pieces
                for view in (views if piece is not assignment.validation else views[:1])
            )
        a_step = self._step_seconds(assignment, extractor, cut)
        epochs = assignment.settled.get("epochs") or recipe.epochs
        a_row = a_step / min(recipe.batch, len(some))
        return computing + epochs * (rows * a_row + held * a_row / 3) + 1.0

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the whole network, its last stages tuned."""
        recipe, task = assignment.recipe, assignment.task
        extractor = self._extractor(assignment)
        cut = self._cut(assignment, extractor)
        torch.manual_seed(assignment.seed)
        tuned, spec = self._module(assignment, extractor, cut)
        held = None
        if assignment.validation is not None:
            held = self._values(assignment, extractor, cut, assignment.validation, View())
        views = [
            View(i, recipe.augmentation, assignment.seed)
            for i in range(1 + (recipe.views if cut else 0))
        ]
        plain = self._joined(assignment, extractor, cut, views[0])
        settled = self._solve(assignment, tuned, plain) if recipe.solved else {}
        values = _Views([plain] + [self._joined(assignment, extractor, cut, v) for v in views[1:]])
        targets = torch.from_numpy(assignment.targets)
        rows = len(targets)

        def step(taken: Tensor, epoch: int) -> Tensor:
            outputs = tuned(values.batch(taken, epoch))
            return task.loss(outputs, targets[taken], assignment.spec, recipe.smoothing)

        def outputs(_rows: Rows) -> Tensor:
            assert held is not None
            return _outputs(tuned, held)

        trained = train(
            tuned,
            {**tuned.suffix.groups(), HEAD: list(tuned.head.parameters())},
            FreezePlan(recipe.phases, math.ceil(rows / recipe.batch)),
            rows,
            recipe.batch,
            step,
            decay=recipe.decay,
            seed=assignment.seed,
            evaluate=assignment.evaluator(outputs),
            patience=recipe.patience,
            most_epochs=assignment.settled.get("epochs"),
            late=assignment.late,
            norm=recipe.norm,
        )
        backbone = extractor.backbone.with_suffix(tuned.suffix)
        backbone.preprocessing = backbone.preprocessing.resized(recipe.scale)
        return Fitted(
            Network(backbone, tuned.head, spec, task.output),
            {**settled, "epochs": trained.epochs},
            extractor.backbone.cut_name(cut),
            trained.cut_short,
            tuple(vars(epoch) for epoch in trained.history),
        )

    def _extractor(self, assignment: Assignment) -> Extractor:
        extractor = assignment.extractor
        assert extractor is not None
        if assignment.recipe.start == "source":
            return extractor
        fresh = _random_weights(extractor.backbone, assignment.task.output, assignment.seed)
        digest = digest_data(["random weights", extractor.digest, assignment.seed])
        return Extractor(fresh, digest, cache=None)

    def _cut(self, assignment: Assignment, extractor: Extractor) -> int:
        stages = assignment.recipe.stages
        return 0 if stages is None else extractor.backbone.cut_before_last(stages)

    def _module(
        self, assignment: Assignment, extractor: Extractor, cut: int
    ) -> tuple[Tuned, HeadSpec]:
        spec = assignment.task.head(extractor.backbone.width, assignment.spec)
        tuned = Tuned(extractor.backbone.suffix(cut), spec.build())
        lay_out(tuned)
        return tuned, spec

    def _values(
        self, assignment: Assignment, extractor: Extractor, cut: int, rows: Rows, view: View
    ) -> Values:
        return extractor.extract(
            rows.data, cut, scale=assignment.recipe.scale, view=view, late=assignment.late
        )

    def _joined(self, assignment: Assignment, extractor: Extractor, cut: int, view: View) -> Values:
        pieces = [self._values(assignment, extractor, cut, p, view) for p in assignment.train]
        return concatenated(pieces)

    def _solve(self, assignment: Assignment, tuned: Tuned, plain: Values) -> dict[str, object]:
        """Put the head at its optimum on the features as they are before tuning."""
        pieces: list[Boundary] = []
        tuned.eval()
        with torch.no_grad():
            for rows in torch.arange(len(assignment.targets)).split(_EVALUATED):
                with autocast():
                    value = tuned.suffix(_rows(plain, rows))["features"]
                pieces.append({"features": value.float()})
        features = below(pieces)["features"]
        strength = put_at_optimum(tuned.head, Array(features.numpy()), assignment)
        return {} if strength is None else {"strength": strength}

    def _step_seconds(self, assignment: Assignment, extractor: Extractor, cut: int) -> float:
        """Return the least of a few training steps on the first rows; the first one warms up."""
        recipe = assignment.recipe
        some = assignment.train[0]
        few = some.data.take(range(min(recipe.batch, len(some.data))))
        values = extractor.extract(few, cut, scale=recipe.scale)
        tuned, _ = self._module(assignment, extractor, cut)
        tuned.train()
        targets = torch.from_numpy(some.targets[: len(few)])
        seconds = []
        for _ in range(_STEPS):
            started = time.monotonic()
            outputs = tuned(_rows(values, torch.arange(len(few))))
            assignment.task.loss(outputs, targets, assignment.spec).backward()
            seconds.append(time.monotonic() - started)
        return min(seconds)


def _outputs(tuned: Tuned, held: Values) -> Tensor:
    batches = torch.arange(len(held)).split(_EVALUATED)
    return below([{"outputs": tuned(_rows(held, rows))} for rows in batches])["outputs"]


def _random_weights(backbone: Backbone, output: str, seed: int) -> Backbone:
    from headstart.sources.families import families

    torch.manual_seed(seed)
    family = families.get(backbone.family)
    return family.build(backbone.config, backbone.preprocessing, output)  # type: ignore[arg-type]


learners.register("tune", Tune())
