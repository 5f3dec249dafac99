"""A trial: one (source, recipe, split, seed), run to a score: a pure function of these."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.allocator import trim
from headstart.data.dataset import Dataset
from headstart.devices import device
from headstart.digest import digest_data
from headstart.evidence.calibration import temperature
from headstart.evidence.nested import Answered
from headstart.features.extract import Extractor, OutOfTime
from headstart.models import Model
from headstart.models.adjusted import Adjusted
from headstart.models.network import WRITING
from headstart.recipes import Recipe
from headstart.tasks import Metric, TargetSpec, Task, TuneDecision
from headstart.tasks.thresholds import out_of_fold
from headstart.training.descent import Diverged
from headstart.training.learners import EPOCHS, Assignment, Fitted, Rows, learners
from headstart.training.memory import peak_memory

MEASURING = 2.0
"""Seconds without which a network is not even measured."""
WRITTEN = 5.0
"""Rows that are written in a second, where that was not measured."""


@dataclass(frozen=True)
class TrialSpec:
    """What a trial's score depends on, all of it, as JSON data.

    `machine` holds what was found on this machine: threads, and what the learner settled (numerics,
    views, rows at once).
    """

    recipe: dict[str, Any]
    source: str | None
    source_digest: str | None
    task: str
    metric: str
    data: str
    split: str
    seed: int
    class_weights: Any
    machine: dict[str, Any]

    @property
    def key(self) -> str:
        """Return the digest that names the trial within its run, by what is asked for.

        What was found on the machine is left out: a resumed run shall know its trials again even
        where less time is left, or the machine is another.
        """
        return digest_data({name: v for name, v in asdict(self).items() if name != "machine"})


@dataclass(frozen=True)
class Bench:
    """What all trials of a run share: the task and the rows that may be read before the end.

    The validation rows choose between epochs of a trial as well if they are `choosing`: a handful
    of them would tell nothing.
    """

    task: Task
    spec: TargetSpec
    metric: Metric
    train: Rows
    validation: Rows
    extractors: dict[str, Extractor]
    data: str
    split: str
    seed: int
    choosing: bool = True

    def loss(self, outputs: Tensor, targets: np.ndarray) -> float:
        """Return the mean loss of outputs."""
        return float(self.task.loss(outputs, torch.from_numpy(targets), self.spec))


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended; `fitted` is None where it failed, and `reason` says why.

    `loss` is the mean loss on the validation rows, which tells models of one score apart. In nested
    cross-validation both are of the rows held out fold by fold, and `answers` what was said of
    them, which took `folding` seconds. `memory` is by how many bytes it grew while fitting.
    `outputs` are the model's on the validation rows.
    """

    fitted: Fitted | None
    score: float | None
    seconds: float
    reason: str = ""
    loss: float | None = None
    answers: Answered | None = None
    folding: float = 0.0
    memory: int | None = None
    outputs: Tensor | None = None


def specify(
    bench: Bench, recipe: Recipe, source: str | None, settled: Mapping[str, Any] | None = None
) -> TrialSpec:
    """Return the specification of a trial on this machine, with what its learner settled."""
    digest = bench.extractors[source].digest if source else None
    return TrialSpec(
        recipe=recipe.data(),
        source=source,
        source_digest=digest,
        task=bench.task.name,
        metric=bench.metric.name,
        data=bench.data,
        split=bench.split,
        seed=bench.seed,
        class_weights=bench.spec.get("class_weights"),
        machine={
            "device": device().type,
            "threads": torch.get_num_threads(),
            **(settled or {}),
        },
    )


def assign(
    bench: Bench, recipe: Recipe, source: str | None, late: Callable[[], bool]
) -> Assignment:
    """Return what the recipe's learner is given."""
    extractor = bench.extractors[source] if source else None
    if extractor is not None and recipe.stages != 0:
        extractor = extractor.to_tune()
    if extractor is not None and recipe.long:
        extractor = extractor.reading(recipe.long)
    return Assignment(
        recipe=recipe,
        task=bench.task,
        spec=bench.spec,
        metric=bench.metric,
        train=(bench.train,),
        validation=bench.validation,
        extractor=extractor,
        seed=bench.seed,
        choosing=bench.choosing,
        late=late,
    )


def writing_seconds(bench: Bench, sources: Iterable[str], rows: int) -> float:
    """Return the seconds in which each of some sources writes texts of so many rows.

    It is the slowest one's; 0 where the task is none of writing.
    """
    if bench.task.output != "text":
        return 0.0
    known = [bench.extractors[name].rates.get(WRITING, WRITTEN) for name in sources]
    return rows / min(known, default=math.inf)


def run_trial(assignment: Assignment) -> TrialResult:
    """Fit a recipe and score it on the validation rows.

    Where the metric depends on a decision, the decision is tuned on these rows.
    Whatever goes wrong ends this trial alone, and is its reason: the race goes on without it.
    """
    started = time.monotonic()
    held = assignment.validation
    assert held is not None
    memory: list[int] = []
    try:
        with peak_memory() as memory:
            fitted = learners.get(assignment.recipe.learner).fit(assignment)
        if fitted.cut_short and not fitted.history and not assignment.recipe.solved:
            raise OutOfTime("the deadline came in its first epoch")
        outputs = fitted.model.outputs(held.data)
        tune = assignment.task.tuner(assignment.metric, assignment.targets, assignment.spec)
        if tune is not None:
            offsets = tune(outputs, held.targets)
            outputs = _out_of_fold(tune, outputs, assignment.task, held, assignment.seed)
            fitted = adjusted(fitted, {"offsets": offsets.tolist()})
        if assignment.task.decided(outputs, held.targets) is not None:
            warmth = temperature(lambda t: _loss(assignment, outputs / t), len(outputs))
            outputs = outputs / warmth
            fitted = adjusted(fitted, {"temperature": warmth})
        score = assignment.metric.score(outputs, held.targets)
        if not math.isfinite(score):
            raise Diverged(f"its {assignment.metric.name} is {score}")
        loss = _loss(assignment, outputs)
    except Exception as error:
        return TrialResult(None, None, time.monotonic() - started, reason_of(error))
    finally:
        trim()
    known = loss if math.isfinite(loss) else None
    seconds = time.monotonic() - started
    grown = next(iter(memory), None)
    return TrialResult(fitted, score, seconds, loss=known, memory=grown, outputs=outputs)


def reason_of(error: Exception) -> str:
    """Return in a line why a trial failed."""
    first = (str(error).splitlines() or [""])[0]
    ours = type(error).__module__.startswith("headstart.")  # which say what they mean
    return first if ours and first else f"{type(error).__name__}: {first}"


def _loss(assignment: Assignment, outputs: Tensor) -> float:
    """Return the mean loss of outputs for the validation rows."""
    held = assignment.validation
    assert held is not None
    return float(assignment.task.loss(outputs, torch.from_numpy(held.targets), assignment.spec))


def adjusted(fitted: Fitted, found: dict[str, Any]) -> Fitted:
    """Return what was fitted with its outputs adjusted by what was found besides."""
    settled = {**fitted.settled, **found}
    inner = fitted.model.inner if isinstance(fitted.model, Adjusted) else fitted.model
    offsets = torch.tensor(settled["offsets"]) if "offsets" in settled else None
    model = Adjusted(inner, offsets, settled.get("temperature", 1.0))
    return replace(fitted, model=model, settled=settled)


def validation_outputs(
    bench: Bench, model: Model, respond: Callable[[Model, Dataset], Tensor]
) -> Tensor:
    """Return a trial's model's outputs on the validation rows, as its score was taken from them.

    Where its decision was tuned on these rows, each fold is decided upon by the others. `respond`
    lets a model answer.
    """
    tune = bench.task.tuner(bench.metric, bench.train.targets, bench.spec)
    if tune is None or not isinstance(model, Adjusted):
        return respond(model, bench.validation.data)
    outputs = respond(model.inner, bench.validation.data)
    decided = _out_of_fold(tune, outputs, bench.task, bench.validation, bench.seed)
    return decided / model.temperature


def _out_of_fold(tune: TuneDecision, outputs: Tensor, task: Task, held: Rows, seed: int) -> Tensor:
    strata = task.strata(held.targets)
    return out_of_fold(tune, outputs, held.targets, strata, held.units, seed)


HURRIED = 0.5
"""Share of its epochs from which on a model that is fitted again is better than one of fewer rows
(``benchmarks/refitting.py``)."""


def hurried(assignment: Assignment, share: float) -> Assignment:
    """Return an assignment that is carried out in a share of its epochs, if it has any."""
    epochs = assignment.carried_out.epochs or assignment.settled.get(EPOCHS, 0)
    fewer = {EPOCHS: max(1, int(share * epochs))} if epochs else {}
    return replace(assignment, settled={**assignment.settled, **fewer})


def on_all(assignment: Assignment, settled: dict[str, Any], more: tuple[Rows, ...]) -> Assignment:
    """Return the assignment of a refit: validation rows and `more` are learnt from as well."""
    held = assignment.validation
    pieces = assignment.train + ((held,) if held is not None else ()) + more
    return replace(assignment, train=pieces, validation=None, settled=settled)


def refit(assignment: Assignment) -> Fitted:
    """Fit a recipe on all rows, with what its trial settled."""
    fitted, settled = learners.get(assignment.recipe.learner).fit(assignment), assignment.settled
    found: tuple[str, ...] = ("offsets", "temperature")
    known = {name: settled[name] for name in found if name in settled}
    return adjusted(fitted, known) if known else fitted
