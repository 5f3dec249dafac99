"""Distillation: a small, fast model that answers as a larger one does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.artifact.card import card
from headstart.artifact.predictor import Predictor
from headstart.artifact.saving import Artifact, require_place, save
from headstart.data.columns import Roles
from headstart.data.dataset import Data, Dataset, SetAside
from headstart.data.splits import require_seed, split, units
from headstart.data.unlabelled import read_rows
from headstart.errors import BudgetError, DataError, UsageError
from headstart.evidence.calibration import temperature
from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.intervals import Interval, figure, repeated_interval, wilson
from headstart.evidence.novelty import describe
from headstart.models import Model
from headstart.models.adjusted import Adjusted
from headstart.recipes import Recipe, recipes
from headstart.search.budget import Clock, parse_budget
from headstart.search.trial import Bench, assign, on_all, refit, run_trial
from headstart.tasks import Task, metric_for, tasks
from headstart.training.learners import Rows, settle

FEWEST = 50
"""Distinct rows below which nothing can be taught."""
TIMED = 64
"""Rows by which both models are timed."""


def _times(of: dict[str, float], less: str, more: str) -> str:
    """Return how many times less, or else more, the small model takes than its teacher."""
    times = of["teacher"] / of["small"]
    return f"{times:.3g} times {less}" if times >= 1 else f"{1 / times:.3g} times {more}"


@dataclass(frozen=True)
class Distilled:
    """A small model, and how it compares with its teacher on rows that it was not taught by.

    Attributes
    ----------
    folder
        Where its artifact is.
    rows, held
        Rows it was taught by in the end, and rows held out before.
    agreement
        Share of held-out rows on which both answer the same; None where answers are numbers.
    explained
        Share of the variance of the teacher's outputs on these rows.
    scores
        Of held-out rows with labels, by the metric of the teacher: ``teacher``, ``small`` and
        ``difference``, each with its interval; empty where there are no labels.
    milliseconds
        To answer a row on this machine, reading and decoding it included, of ``teacher`` and
        ``small``.
    megabytes
        Of the weights of either.
    """

    folder: Path
    task: str
    metric: str
    rows: int
    held: int
    agreement: Interval | None
    explained: float
    scores: dict[str, Interval]
    milliseconds: dict[str, float]
    megabytes: dict[str, float]
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> Predictor:
        """Return the small model."""
        return Predictor.load(self.folder)

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "schema": 1,
            "model": str(self.folder),
            "task": self.task,
            "metric": self.metric,
            "rows": self.rows,
            "held": self.held,
            "agreement": self.agreement.data() if self.agreement else None,
            "explained": round(self.explained, 4),
            "scores": {name: score.data() for name, score in self.scores.items()},
            "milliseconds": {name: round(ms, 3) for name, ms in self.milliseconds.items()},
            "megabytes": {name: round(mb, 3) for name, mb in self.megabytes.items()},
            "set_aside": [[aside.where, aside.reason] for aside in self.set_aside],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        took, size = self.milliseconds, self.megabytes
        lines = [f"taught by {self.rows:,} rows; on {self.held:,} that were held out before:"]
        if self.agreement is not None:
            lines.append(f"  answers as its teacher does on {self.agreement} of them")
        else:
            lines.append(f"  explains {figure(self.explained)} of its teacher's variance")
        for name, score in self.scores.items():
            lines.append(f"  {name:10} {self.metric} {score}")
        lines += [
            f"{_times(took, 'faster', 'slower')}: {took['small']:.2g} ms a row, "
            f"its teacher {took['teacher']:.2g} ms",
            f"{_times(size, 'smaller', 'larger')}: {size['small']:.2g} MB, "
            f"its teacher {size['teacher']:.3g} MB",
            *self.notes,
            f"model: {self.folder}",
        ]
        return "\n".join(lines)


def distil(
    model: str | Path,
    data: Data,
    *,
    out: str | Path,
    input: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    budget: str | float = "5m",
    seed: int = 0,
    say: Callable[[str], None] = lambda _message: None,
) -> Distilled:
    """Teach the task's small model to answer as a fitted one does, and save it.

    Parameters
    ----------
    model
        Artifact or run folder of the teacher.
    data
        Rows to teach by: the more, the better. Labels are not learnt from; where there are some,
        both models are scored by them on held-out rows.
    out
        Folder for the artifact of the small model.
    input, label
        Columns of a table; those that the teacher was fitted with where they are there.
    budget
        Seconds for everything; of more rows than it reaches for a draw is used.
    say
        Receives a line for each step.

    Raises
    ------
    DataError
        If the rows are of another kind than the teacher's, or too few.
    UsageError
        If the teacher's task has no small model.
    BudgetError
        If there is no time to teach anything.
    """
    clock = Clock(parse_budget(budget))
    require_seed(seed)
    require_place(Path(out))
    predictor = Predictor.load(model)
    teacher, task = predictor.artifact, predictor.task
    recipe = _recipe(task)
    rows = read_rows(data, Roles.of(input, label), predictor.roles)
    if rows.modality != task.modality:
        raise DataError(f"the teacher reads {task.modality} inputs, but these are {rows.modality}")
    say(f"read {len(rows):,} rows for {task.name}")
    rows, outputs = _answered(teacher.model, rows, clock, seed)
    if len(rows) < FEWEST:
        raise DataError(
            f"{rows.path}: {len(rows)} rows are too few to teach by; at least {FEWEST} are needed, "
            "and thousands are better. They need no labels."
        )
    say(f"the teacher has answered {len(rows):,} of them")
    lesson = _Lesson.of(rows, outputs, seed)
    assignment = assign(lesson.bench, recipe, None, lambda: clock.left < 0)
    assignment = replace(assignment, settled=settle(assignment))
    tried = run_trial(assignment)
    if tried.fitted is None:
        raise BudgetError(f"no small model came out of it ({tried.reason})")
    student, held = lesson.student(tried.fitted.model), lesson.held
    said = student.outputs(held.data)
    truth = _Truth.of(held.data, task, teacher)
    warmth = 1.0 if truth is None else truth.temperature(said)
    by = len(lesson.bench.train.data)
    if 1.3 * tried.seconds * len(rows) / by < clock.left:
        say("teaching again, by all rows")
        again = refit(on_all(assignment, tried.fitted.settled, (held,)))
        if not again.cut_short:
            student, by = lesson.student(again.model), len(rows)
    student = Adjusted(student.inner, student.offsets, warmth * student.temperature)
    both = {"teacher": teacher.model, "small": student}
    found = Distilled(
        folder=Path(out),
        task=task.name,
        metric=teacher.metric,
        rows=by,
        held=len(held.data),
        agreement=_agreement(task, teacher, lesson.given, said),
        explained=float(1 - (said - lesson.given).square().mean() / lesson.given.var(0).mean()),
        scores={} if truth is None else truth.scores(lesson.given, said / warmth, held.units, seed),
        milliseconds={name: _milliseconds(one, held.data) for name, one in both.items()},
        megabytes={name: _megabytes(one) for name, one in both.items()},
        set_aside=rows.set_aside,
        notes=_notes(rows, teacher) if truth is not None else (),
    )
    _save(found, teacher, student, recipe, rows, held.data, seed)
    return found


def _recipe(task: Task) -> Recipe:
    """Return how a small model is taught for a task."""
    for recipe in recipes.get("distil"):
        if recipe.modality == task.modality and recipe.output == task.output:
            return recipe
    raise UsageError(f"there is no small model for {task.name} that could be taught")


def _answered(model: Model, rows: Dataset, clock: Clock, seed: int) -> tuple[Dataset, Tensor]:
    """Return rows in random order, and what a model answers, as many as half the time reaches."""
    order = np.random.default_rng(seed).permutation(len(rows))
    rows, end = rows.take(order.tolist()), clock.left / 2
    found: list[Tensor] = []
    for response in model.responses(rows):
        found.append(response.outputs)
        if clock.left < end:
            break
    outputs = torch.cat(found)
    return rows.take(range(len(outputs))), outputs


@dataclass(frozen=True)
class _Lesson:
    """The teacher's outputs as numbers to be learnt.

    Attributes
    ----------
    bench
        Rows to learn from and to choose by.
    held
        Rows that are held out.
    given
        (rows, outputs) the teacher's outputs for these.
    centre, scale
        What standardises: one scale for all outputs, which counts them as they differ.
    """

    bench: Bench
    held: Rows
    given: Tensor
    centre: Tensor
    scale: float

    @classmethod
    def of(cls, rows: Dataset, outputs: Tensor, seed: int) -> _Lesson:
        centre = outputs.mean(0)
        scale = max(float((outputs - centre).square().mean().sqrt()), 1e-6)
        task = tasks.get(f"{rows.modality}-regression")
        count = outputs.shape[1]
        spec = {
            "name": "outputs",
            "names": [str(number) for number in range(count)],
            "mean": centre.tolist(),
            "scale": [scale] * count,
        }
        targets = ((outputs - centre) / scale).numpy()
        parts = split(rows, task.strata(targets), seed)
        everything = Rows(rows, targets, units(rows))
        bench = Bench(
            task=task,
            spec=spec,
            metric=metric_for(task, spec),
            train=everything.take(parts.train),
            validation=everything.take(parts.validation),
            extractors={},
            data=rows.fingerprint(),
            split="",
            seed=seed,
        )
        held = everything.take(parts.test)
        return cls(bench, held, outputs[torch.from_numpy(parts.test)], centre, scale)

    def student(self, model: Model) -> Adjusted:
        """Return a model of the standardised outputs as one of the teacher's."""
        return Adjusted(model, self.centre / self.scale, 1 / self.scale)


@dataclass(frozen=True)
class _Truth:
    """Labels of rows that the teacher can say.

    Attributes
    ----------
    rows
        Which of the rows held out have one.
    targets
        Encoded.
    """

    rows: np.ndarray
    targets: np.ndarray
    task: Task
    teacher: Artifact

    @classmethod
    def of(cls, held: Dataset, task: Task, teacher: Artifact) -> _Truth | None:
        """Return the labels of rows, or None where there are none."""
        if not held.targets:
            return None
        unknown = task.unknown(held, teacher.spec)
        rows = np.array([i for i in range(len(held)) if i not in unknown], int)
        if not len(rows):
            return None
        return cls(rows, task.encode(held.take(rows.tolist()), teacher.spec), task, teacher)

    def temperature(self, outputs: Tensor) -> float:
        """Return what outputs of all rows are divided by, for probabilities that are right."""
        own = outputs[torch.from_numpy(self.rows)]
        if self.task.decided(own, self.targets) is None:
            return 1.0
        targets = torch.from_numpy(self.targets)
        return temperature(
            lambda t: float(self.task.loss(own / t, targets, self.teacher.spec)), len(own)
        )

    def scores(
        self, given: Tensor, said: Tensor, units: np.ndarray, seed: int
    ) -> dict[str, Interval]:
        """Return the scores of the teacher and the student, and the difference."""
        metric = metric_for(self.task, self.teacher.spec, self.teacher.metric)
        of = units[self.rows]
        own = {
            name: metric.statistics(outputs[torch.from_numpy(self.rows)], self.targets)
            for name, outputs in (("small", said), ("teacher", given))
        }
        found = {name: repeated_interval(metric, [its], of, seed) for name, its in own.items()}
        found["difference"] = repeated_gain(metric, [own["small"]], [own["teacher"]], of, seed)
        return found


def _agreement(task: Task, teacher: Artifact, given: Tensor, said: Tensor) -> Interval | None:
    """Return the share of rows on which both answer the same; None where these are numbers."""
    answers = [
        [one["prediction"] for one in task.decode(outputs, teacher.spec)]
        for outputs in (given, said)
    ]
    if any(isinstance(answer, float | dict) for answer in answers[0]):
        return None
    return wilson(sum(a == b for a, b in zip(*answers, strict=True)), len(given))


def _notes(rows: Dataset, teacher: Artifact) -> tuple[str, ...]:
    known = rows.fingerprint() == teacher.facts.get("fingerprint")
    note = "the teacher has learnt from these rows, which flatters its score on them"
    return (note,) if known else ()


def _milliseconds(model: Model, rows: Dataset) -> float:
    """Return how long a model takes to answer a row, once it is warm."""
    some = rows.take(range(min(TIMED, len(rows))))
    took = []
    for _ in range(3):
        started = time.perf_counter()
        model.outputs(some)
        took.append(time.perf_counter() - started)
    return 1000 * min(took) / len(some)


def _megabytes(model: Model) -> float:
    return sum(v.numel() * v.element_size() for v in model.saved().tensors.values()) / 1e6


def _save(
    found: Distilled,
    teacher: Artifact,
    student: Model,
    recipe: Recipe,
    rows: Dataset,
    held: Dataset,
    seed: int,
) -> None:
    """Write the artifact of the small model."""
    alike = found.agreement or figure(found.explained)
    facts = {
        **teacher.facts,
        "title": f"{teacher.spec['name']}: {found.task}",
        "verdict": f"A small model, taught by one of {teacher.facts.get('source') or 'no source'}.",
        "task": found.task,
        "spec": dict(teacher.spec),
        "metric": found.metric,
        "recipe": recipe.name,
        "cut": "none",
        "rows": found.rows,
        "quarantined": len(rows.set_aside),
        "validation": f"as its teacher: {alike}",
        "test": str(found.scores["small"]) if "small" in found.scores else None,
        "fingerprint": rows.fingerprint(),
        "version": version("headstart"),
        "seed": seed,
        "refitted": found.rows == len(rows),
        "decisions": None,
    }
    reference, apart = (
        student.respond(some.take(range(min(2_000, len(some))))).features for some in (rows, held)
    )
    novelty = None
    if reference is not None and apart is not None:
        novelty = describe(reference, apart, seed)
    save(
        Artifact(student, found.task, teacher.spec, teacher.metric, card(facts), facts, novelty),
        found.folder,
    )
