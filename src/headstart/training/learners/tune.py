"""Tuning: the stages after the cut are trained over boundary values that are computed once.

With a cut before the first stage nothing is frozen, and the same code trains the whole network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing, View, modalities
from headstart.digest import digest_data
from headstart.features.extract import Extractor
from headstart.features.values import Values, below, concatenated
from headstart.models.heads import HeadSpec
from headstart.models.network import Network, headed
from headstart.sources.families import Output, families
from headstart.sources.staged import Backbone, Boundary, Suffix
from headstart.sources.writing import Writer
from headstart.tasks.matrix import Array
from headstart.training.adapters import Adapter, adapters
from headstart.training.batches import worth_grouping
from headstart.training.blending import SHARES, blended
from headstart.training.learners import BEGUN, EPOCHS, Assignment, Fitted, Rows, drawn, learners
from headstart.training.loop import train
from headstart.training.measuring import LONGEST, fastest, step_seconds
from headstart.training.memory import (
    AtOnce,
    available_memory,
    kept_bytes,
    out_of_memory,
    rows_that_fit,
)
from headstart.training.objectives import objectives
from headstart.training.perturbations import perturbed
from headstart.training.plan import HEAD, FreezePlan
from headstart.training.precision import Numerics, all_numerics
from headstart.training.ranging import STEPS, range_test
from headstart.training.solving import draw_back, put_at_optimum, seconds_of_solving
from headstart.training.surviving import survives

MIRROR = "mirror"
"""A view that not every label survives: which is measured before it is used."""
_EVALUATED = 64
_FEW = 4
_WRITTEN = 64
"""Validation rows that are written after an epoch, at most."""
_SEEN = 1_000
"""Rows whose lengths are looked at for what is usual: of a recording the file is opened for it."""
_STARTED = 20_000
"""Rows on whose features a head is started at most; they are held in memory."""


class Tuned(nn.Module):
    """The suffix of a backbone with a head; `compute_in` says in what numbers it computes.

    Of the stages an adapter's parameters train, if it is given, else all; `fresh` says that all
    weights are random.
    """

    def __init__(
        self,
        suffix: Suffix,
        head: nn.Module,
        numerics: Numerics,
        adapter: Adapter | None = None,
        fresh: bool = False,
    ) -> None:
        super().__init__()
        self.suffix = suffix
        self.head = head
        self._adapter = adapter
        added = None if adapter is None else adapter.attach(suffix.model, suffix.places)
        groups = suffix.groups()
        if adapter is not None and isinstance(head, Writer) and head.places:  # pre-trained, too
            added = [*(added or ()), *adapter.attach(head, head.places)]
            groups[HEAD] = list(head.parameters())
        if added is not None:
            chosen = {id(parameter) for parameter in added}
            groups = {
                name: [parameter for parameter in group if id(parameter) in chosen]
                for name, group in groups.items()
            }
        own = head.trained(fresh) if isinstance(head, Writer) else list(head.parameters())
        of_head = groups.pop(HEAD, own)
        self._groups = {**groups, HEAD: of_head}
        self.compute_in(numerics)

    @property
    def writes(self) -> bool:
        """Say whether the head is a writer."""
        return isinstance(self.head, Writer)

    @property
    def writer(self) -> Writer:
        """Return the head, which is a writer."""
        assert isinstance(self.head, Writer)
        return self.head

    def merge(self) -> None:
        """Put what an adapter added into the network's own weights."""
        if self._adapter is not None:
            self._adapter.merge(self.suffix.model)
            self._adapter.merge(self.head)

    def compute_in(self, numerics: Numerics) -> None:
        """Lay the weights out for given numerics, and use them from now on."""
        self.numerics = numerics
        numerics.lay_out(self)

    def features(self, boundary: Boundary) -> Boundary:
        """Map boundary values to what the head reads, in float32."""
        with self.numerics.autocast():
            value = self.suffix({n: self.numerics.laid_out(v) for n, v in boundary.items()})
        return {name: _float(v) for name, v in value.items()}

    def forward(self, boundary: Boundary) -> Tensor:
        """Map boundary values to the task's outputs, on the processor, where losses are taken."""
        outputs: Tensor = self.head(self.features(boundary))
        return outputs.cpu()

    def begin(self, values: Values, letters: Tensor, seed: int) -> None:
        """Let the head, which is a writer, settle what some training rows tell."""
        some = torch.from_numpy(drawn(len(values), BEGUN, seed))
        with torch.no_grad():
            self.writer.begin(self.eval().features(unpadded(values, some)), letters[some])

    def costs(self, boundary: Boundary, letters: Tensor) -> Tensor:
        """Return (rows,) what it costs the head, which is a writer, to write these texts."""
        value = self.features(boundary)
        with self.numerics.autocast():
            found: Tensor = self.writer.costs(value, letters)
        return found.float().cpu()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by group, stage by stage, the head's last."""
        return self._groups


@dataclass(frozen=True)
class _Views:
    """Boundary values of the training rows: one set a view, the first of the rows as they are."""

    values: list[Values]

    def batch(self, rows: Tensor, epoch: int) -> Boundary:
        chosen = self.values[epoch % len(self.values)]
        return unpadded(chosen, rows)


def unpadded(values: Values, rows: Tensor) -> Boundary:
    """Return some rows in float32, without token columns in which all of them are padding."""
    found = values.take(rows)
    mask = found.get("attention_mask")
    if mask is not None:
        longest, tokens = int(mask.sum(1).max()), mask.shape[1]
        found = {n: v[:, :longest] if v.shape[1:2] == (tokens,) else v for n, v in found.items()}
    return {n: _float(v) for n, v in found.items()}


def _float(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


@dataclass(frozen=True)
class _Pace:
    """Seconds: of beginning, and of a row in training and in evaluation."""

    begun: float
    trained: float
    evaluated: float


@dataclass(frozen=True)
class _Sample:
    """What is measured before a trial begins: a suffix that is thrown away, on a batch of rows."""

    assignment: Assignment
    tuned: Tuned
    values: Values
    targets: Tensor

    def loss(self, taken: Tensor, epoch: int = 0) -> Tensor:
        return _loss(
            self.assignment, self.tuned, unpadded(self.values, taken), self.targets, taken, epoch
        )

    def step_seconds(self, numerics: Numerics, batch: int, longest: float) -> float:
        self.tuned.compute_in(numerics)
        norm = self.assignment.recipe.norm
        return step_seconds(self.tuned, self.tuned.groups(), self.loss, batch, norm, longest)

    def row_seconds(self, most: int) -> float:
        """Return the seconds of a row in evaluation, measured on about `most` of them.

        A row that is written takes as long as many together, so they are not taken apart.
        """
        rows = torch.arange(len(self.targets))
        rows = rows if self.tuned.writes else rows[: max(_FEW, most)]
        self.tuned.eval()
        seconds = []
        with torch.no_grad():
            for _ in range(2):  # the first one warms up
                started = time.perf_counter()
                self.tuned(unpadded(self.values, rows))
                seconds.append(time.perf_counter() - started)
        return min(seconds) / len(rows)

    def computing(self) -> tuple[list[Numerics], float]:
        """Return in which numerics the suffix computes at all, and the bytes of a row in the first.

        Some networks do not in bfloat16: they fill masks with a number that is none there.
        """
        few, known = torch.arange(len(self.targets))[:_FEW], all_numerics()
        while True:
            self.tuned.compute_in(known[0])
            try:
                kept = kept_bytes(self.tuned.train(), lambda: self.loss(few))
            except RuntimeError as error:
                if out_of_memory(error) or known[0].precision == "f32":
                    raise
                known = [numerics for numerics in known if numerics.precision == "f32"]
            else:
                return known, kept / len(few)


class Tune:
    """Trains the suffix and the head."""

    def __init__(self) -> None:
        self._paces: dict[tuple[object, ...], _Pace] = {}

    def refused(self, assignment: Assignment) -> str:
        """Return why no stage can be tuned in this way, if so."""
        extractor, recipe = self._extractor(assignment), assignment.recipe
        if extractor.divides:
            return "chunks of a text meet at a network's end, so no stage of it can be tuned"
        if recipe.objective and not _has_classes(assignment.targets):
            return f"{recipe.objective} needs classes, one a row"
        if not recipe.adapter:
            return ""
        suffix = extractor.backbone.suffix(self._cut(assignment, extractor))
        found = adapters.get(recipe.adapter).attach(suffix.model, suffix.places)
        return "" if found else f"the network has no parts for {recipe.adapter}"

    def settle(self, assignment: Assignment) -> dict[str, Any]:
        """Return the fastest numerics, the recipe's views, and how many rows fit into memory."""
        extractor = self._extractor(assignment)
        cut = self._cut(assignment, extractor)
        sample = self._sample(assignment, extractor, cut)
        batch = len(sample.targets)
        among, a_row = sample.computing()
        at_once = rows_that_fit(batch, a_row, sample.tuned, available_memory())
        found = fastest(
            [
                "tune",
                extractor.digest,
                extractor.backbone.cut_name(cut),
                {name: list(value.shape) for name, value in sample.values.whole().items()},
                at_once,
            ],
            lambda numerics, longest: sample.step_seconds(numerics, at_once, longest),
            among,
        )
        least = at_once if at_once < batch else assignment.recipe.batch
        settled = {**vars(found), "at_once": least, "views": assignment.recipe.views}
        if settled["views"] and MIRROR in assignment.recipe.augmentation.split("+"):
            settled[MIRROR] = survives(assignment, View(1, "mirrored", assignment.seed))
        return settled

    def forecast(self, assignment: Assignment) -> float:
        """Return seconds of computing the views and of all epochs, from measured steps."""
        rows, recipe = assignment.rows, assignment.carried_out
        extractor = self._extractor(assignment)
        cut = self._cut(assignment, extractor)
        judging = _judging(assignment)
        held = len(judging.data) if judging else 0
        seconds = 1.0
        if cut > 0:
            seconds += self._computing(assignment, extractor, cut)
        pace = self._pace(assignment, extractor, cut)
        epochs = recipe.epochs
        if recipe.solved:
            some, width = min(rows, _STARTED), extractor.backbone.width
            once = some * pace.evaluated + seconds_of_solving(some, width, assignment.many)
            judged = epochs if judging else 0
            seconds += once * (2 + judged if recipe.objective else 1)
        if recipe.ranged and "rate" not in assignment.settled:
            seconds += STEPS * min(rows, recipe.batch) * pace.trained
        if recipe.blend and assignment.choosing and "blend" not in assignment.settled:
            seconds += len(SHARES) * held * pace.evaluated
        return seconds + pace.begun + epochs * (rows * pace.trained + held * pace.evaluated)

    def _computing(self, assignment: Assignment, extractor: Extractor, cut: int) -> float:
        """Return the seconds of computing what the prefix gives and is not kept yet."""
        recipe, held = assignment.recipe, assignment.validation
        views = self._all_views(assignment, cut)
        asked = [(piece.data, view) for piece in assignment.train for view in views]
        asked += [(held.data, View())] if held is not None else []
        return sum(
            extractor.forecast(rows, cut, scale=recipe.scale, view=view) for rows, view in asked
        )

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the whole network, its last stages tuned."""
        recipe, task = assignment.carried_out, assignment.task
        extractor = self._extractor(assignment)
        cut = self._cut(assignment, extractor)
        torch.manual_seed(assignment.seed)
        tuned, spec = self._module(assignment, extractor, cut)
        assignment = replace(assignment, validation=_judging(assignment))
        held = None
        if assignment.validation is not None:
            held = self._values(assignment, extractor, cut, assignment.validation, View())
        views = self._all_views(assignment, cut)
        plain = self._joined(assignment, extractor, cut, views[0])
        if tuned.writes:
            tuned.begin(plain, torch.from_numpy(assignment.targets), assignment.seed)
        solved = self._solve(assignment, tuned, plain, begins=True) if recipe.solved else {}
        values = _Views([plain] + [self._joined(assignment, extractor, cut, v) for v in views[1:]])

        def outputs(_rows: Rows) -> Tensor:
            assert held is not None
            if recipe.objective:
                self._solve(assignment, tuned, plain)
            return _evaluated(tuned, held)

        def costs(held_out: Rows) -> float:
            assert held is not None
            letters = torch.from_numpy(held_out.targets)
            rows = torch.arange(len(held))
            parts = AtOnce(_EVALUATED).over(
                rows, lambda some: tuned.costs(unpadded(held, some), letters[some])
            )
            return float(torch.cat(parts).mean())

        at_once = AtOnce(assignment.settled.get("at_once", recipe.batch))
        evaluate = assignment.evaluator(outputs, costs if tuned.writes else None)
        step, phases = _descending(assignment, tuned, values), recipe.phases
        ranged = {}
        if recipe.ranged:
            times = assignment.settled.get("rate") or range_test(
                tuned,
                tuned.groups(),
                phases,
                len(assignment.targets),
                recipe.batch,
                step,
                optimizer=recipe.optimizer,
                norm=recipe.norm,
                at_once=at_once,
                seed=assignment.seed,
                late=assignment.late,
            )
            ranged = {"rate": times}
            phases = tuple(replace(phase, rate=times * phase.rate) for phase in phases)
        start = [p.detach().clone() for p in tuned.parameters()] if recipe.blend else []
        trained = train(
            tuned,
            tuned.groups(),
            phases,
            len(assignment.targets),
            recipe.batch,
            step,
            optimizer=recipe.optimizer,
            decay=recipe.decay,
            towards=recipe.towards,
            average=recipe.average,
            seed=assignment.chance,
            evaluate=evaluate,
            choose=assignment.choosing,
            patience=recipe.patience,
            late=assignment.late,
            norm=recipe.norm,
            at_once=at_once,
            lengths=plain.lengths(),
            checkpoint=assignment.checkpoint,
            watch=assignment.watch,
        )
        if recipe.objective:  # the head of the features that the best weights give
            solved = self._solve(assignment, tuned, plain)
        settled = {**assignment.settled, **solved, **ranged, EPOCHS: len(trained.history)}
        if recipe.blend:
            known, late = settled.get("blend"), assignment.late
            chooses = evaluate if assignment.choosing else None
            settled["blend"] = blended(tuned, start, chooses, known, late)
        tuned.cpu()
        tuned.merge()
        backbone = extractor.backbone.with_suffix(tuned.suffix)
        backbone.preprocessing = backbone.preprocessing.resized(recipe.scale)
        if at_once.rows < recipe.batch:
            settled["at_once"] = at_once.rows
        return Fitted(
            Network(backbone, tuned.head, spec, task.output, fresh=True),
            settled,
            extractor.backbone.cut_name(cut),
            trained.cut_short,
            tuple(vars(epoch) for epoch in trained.history),
            tuple(FreezePlan.over(recipe.phases, tuned.groups()).picture()),
        )

    def _all_views(self, assignment: Assignment, cut: int) -> list[View]:
        """Return the rows as they are, and as many random views as were settled."""
        count = assignment.settled.get("views", assignment.recipe.views)
        parts = assignment.recipe.augmentation.split("+")
        if not assignment.settled.get(MIRROR, False):
            parts = [part for part in parts if part != MIRROR]
        policy = "+".join(parts)
        return [View(i, policy, assignment.seed) for i in range(1 + count)]

    def _extractor(self, assignment: Assignment) -> Extractor:
        extractor, recipe = assignment.extractor, assignment.recipe
        output, seed = assignment.task.output, assignment.seed
        if recipe.network:
            small = _random_weights(recipe.network, {}, Preprocessing({}, {}), output, seed)
            return Extractor(small, digest_data([recipe.network, seed]), cache=None)
        assert extractor is not None
        if recipe.start == "source":
            return extractor
        known = extractor.backbone
        fresh = _random_weights(known.family, known.config, known.preprocessing, output, seed)
        digest = digest_data(["random weights", extractor.digest, seed])
        return Extractor(fresh, digest, cache=None)

    def _cut(self, assignment: Assignment, extractor: Extractor) -> int:
        stages = assignment.recipe.stages
        return 0 if stages is None else extractor.backbone.cut_before_last(stages)

    def _module(
        self, assignment: Assignment, extractor: Extractor, cut: int
    ) -> tuple[Tuned, HeadSpec]:
        backbone = extractor.backbone
        wanted = assignment.task.head(backbone.width, assignment.spec)
        spec, head = headed(backbone, wanted)
        numerics = Numerics.of(assignment.settled)
        name = assignment.recipe.adapter
        adapter = adapters.get(name) if name else None
        fresh = assignment.recipe.start != "source"
        return Tuned(backbone.suffix(cut), head, numerics, adapter, fresh), spec

    def _values(
        self, assignment: Assignment, extractor: Extractor, cut: int, rows: Rows, view: View
    ) -> Values:
        return extractor.extract(
            rows.data, cut, scale=assignment.recipe.scale, view=view, late=assignment.late
        )

    def _joined(self, assignment: Assignment, extractor: Extractor, cut: int, view: View) -> Values:
        pieces = [self._values(assignment, extractor, cut, p, view) for p in assignment.train]
        return concatenated(pieces)

    def _solve(
        self, assignment: Assignment, tuned: Tuned, plain: Values, begins: bool = False
    ) -> dict[str, object]:
        """Put the head at its optimum on the features as they are; short of it if it `begins`."""
        rows = np.arange(len(plain))
        if len(rows) > _STARTED:
            some = np.random.default_rng(assignment.seed).choice(rows, _STARTED, replace=False)
            rows = np.sort(some)
        tuned.eval()
        with torch.no_grad():
            features = _evaluated(
                lambda some: tuned.features(some)["features"].cpu(), plain, torch.from_numpy(rows)
            )
        strength = put_at_optimum(tuned.head, Array(features.numpy()), assignment, rows)
        if strength is None:
            return {}
        if begins:
            draw_back(tuned.head, features.numpy(), assignment, rows)
        return {"strength": strength}

    def _sample(self, assignment: Assignment, extractor: Extractor, cut: int) -> _Sample:
        recipe = assignment.recipe
        some = _typical(assignment.train[0], recipe.batch, extractor)
        values = extractor.extract(some.data, cut, scale=recipe.scale)
        tuned, _ = self._module(assignment, extractor, cut)
        targets = torch.from_numpy(some.targets)
        if tuned.writes:
            tuned.begin(values, targets, assignment.seed)
        return _Sample(assignment, tuned, values, targets)

    def _pace(self, assignment: Assignment, extractor: Extractor, cut: int) -> _Pace:
        """Return how fast the suffix is, measured the first time in this process."""
        numerics = Numerics.of(assignment.settled)
        at_once = assignment.settled.get("at_once", assignment.recipe.batch)
        rows = assignment.train[0].data.digests[: assignment.recipe.batch]
        known = (extractor.digest, cut, assignment.recipe, numerics, at_once, rows)
        if known not in self._paces:
            started = time.perf_counter()
            sample = self._sample(assignment, extractor, cut)
            begun = time.perf_counter() - started
            batch = min(at_once, len(sample.targets))
            a_row = sample.step_seconds(numerics, batch, LONGEST) / batch
            evaluated = sample.row_seconds(int(LONGEST / a_row))
            self._paces[known] = _Pace(begun, a_row, evaluated)
        return self._paces[known]


def _judging(assignment: Assignment) -> Rows | None:
    """Return the validation rows by which epochs are judged: some, where writing takes long."""
    held = assignment.validation
    if held is None or assignment.task.output != "text":
        return held
    return held.take(drawn(len(held.data), _WRITTEN, assignment.seed))


def _typical(rows: Rows, batch: int, extractor: Extractor) -> Rows:
    """Return a batch of rows such as training takes: of about the mean length, or any."""
    chosen = np.arange(min(batch, len(rows.data)))
    if "attention_mask" in extractor.backbone.example:
        sizes = np.array(modalities.get(rows.data.modality).sizes(rows.data.inputs[:_SEEN]))
        if worth_grouping(sizes, batch):
            nearest = np.argsort(np.abs(sizes - sizes.mean()), kind="stable")
            chosen = np.sort(nearest[: len(chosen)])
    return rows.take(chosen)


def _descending(
    assignment: Assignment, tuned: Tuned, values: _Views
) -> Callable[[Tensor, int], Tensor]:
    """Return what gives the loss of a batch of rows in an epoch, by the recipe's objective."""
    targets = torch.from_numpy(assignment.targets)
    name = assignment.recipe.objective
    objective = objectives.get(name) if name else None

    def step(taken: Tensor, epoch: int) -> Tensor:
        if objective is None:
            return _loss(assignment, tuned, values.batch(taken, epoch), targets, taken, epoch)
        random = np.random.default_rng((assignment.chance, epoch, int(taken[0])))
        taken = objective.draw(taken, targets, random)
        features = tuned.features(values.batch(taken, epoch))["features"]
        return objective.loss(features.cpu(), targets[taken])

    return step


def _has_classes(targets: np.ndarray) -> bool:
    return targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)


def _loss(
    assignment: Assignment,
    tuned: Tuned,
    values: Boundary,
    targets: Tensor,
    taken: Tensor,
    epoch: int,
) -> Tensor:
    """Return the loss of some rows, perturbed as the recipe says."""
    recipe = assignment.recipe
    # the first row tells a part of an epoch from all others
    seed = (assignment.chance, epoch, int(taken[0]))
    batch = perturbed(values, targets[taken], recipe.perturbations, seed)
    if tuned.writes:
        return batch.loss(lambda given: tuned.costs(batch.values, given).mean())
    outputs = tuned(batch.values)
    return batch.loss(
        lambda given: assignment.task.loss(outputs, given, assignment.spec, recipe.smoothing)
    )


def _evaluated(
    answer: Callable[[Boundary], Tensor], values: Values, rows: Tensor | None = None
) -> Tensor:
    """Return what is answered for some rows, or all of them, a few at a time."""
    rows = torch.arange(len(values)) if rows is None else rows
    parts = AtOnce(_EVALUATED).over(rows, lambda some: {"": answer(unpadded(values, some))})
    return below(parts)[""]


def _random_weights(
    family: str, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output, seed: int
) -> Backbone:
    torch.manual_seed(seed)
    return families.get(family).build(config, preprocessing, output)


learners.register("tune", Tune())
