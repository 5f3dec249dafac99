"""The race: cheap trials first, then what the remaining time can pay for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.intervals import figure
from headstart.evidence.nested import GAIN_OVERLAP, Answered
from headstart.models import Model
from headstart.recipes import Recipe, recipes_for
from headstart.search.agenda import Agenda, Tried, error
from headstart.search.budget import Clock
from headstart.search.folds import Deal, Unfinished, answered, fitted_without, forecast
from headstart.search.ledger import Ledger, TrialRecord
from headstart.search.trial import Bench, TrialResult, TrialSpec, assign, run_trial, specify
from headstart.search.variations import MOST, Pruned, Seen, behind, is_variation, varied
from headstart.tasks import Metric, Task
from headstart.training.checkpoint import Checkpoint
from headstart.training.learners import Assignment, learners, refused, settle
from headstart.training.loop import Epoch
from headstart.training.overfitting import overfitting

BEGINNING = 5.0
"""Seconds without which no stage is tuned: a new cut is converted to an engine, and measured."""
PREFIX = 0.15
"""What a row costs before the cut, in an engine, beside what it costs where it is trained once."""
QUARTER = 0.25
"""Share of the budget within which the same architecture from scratch must be able to stop."""


@dataclass(frozen=True)
class Entry:
    """A recipe with a source: what a trial is made of."""

    recipe: Recipe
    source: str | None

    @property
    def name(self) -> str:
        """Return how the entry is called while it runs."""
        stages = self.recipe.stages
        depth = f", last {stages} stages" if isinstance(stages, int) and stages else ""
        return f"{self.recipe.name}{depth}" + (f" of {self.source}" if self.source else "")


@dataclass
class Contender:
    """A trial that has a model; `model` is None where it has to be read from its checkpoint.

    `restored` says that it was: values that were computed for its source are then not its own.
    """

    entry: Entry
    record: TrialRecord
    model: Model | None
    restored: bool = False
    answers: list[Answered] = field(default_factory=list)
    """What models of its recipe said of rows held out, deal by deal, in nested cross-validation."""

    @property
    def cut_short(self) -> bool:
        """Say whether the deadline ended its training."""
        return bool(self.record.details.get("cut_short"))


@dataclass
class Standing:
    """Who leads: the best contender with a head start, without, of each source, the best probe.

    Few validation rows give many models one score. Of these the one leads that is surer of what is
    right: whose loss is least.
    """

    signed: Callable[[float], float]
    transfer: Contender | None = None
    scratch: Contender | None = None
    probe: Contender | None = None
    same_architecture: Contender | None = None
    skipped: list[str] = field(default_factory=list)
    by_source: dict[str, Contender] = field(default_factory=dict)
    """The best of each source, which is one of its models with a head start."""
    tried: list[Contender] = field(default_factory=list)
    """All that have answers of their folds."""
    deals: list[Deal] = field(default_factory=list)
    """How rows were dealt into folds: as many as there are answers of each that was tried."""

    def enter(self, contender: Contender) -> bool:
        """Take a contender into the standing; return whether it now leads somewhere."""
        recipe = contender.entry.recipe
        if contender.answers:
            self.tried.append(contender)
        leads = False
        if recipe.name == "probe" and self._beats(contender, self.probe):
            self.probe, leads = contender, True
        if recipe.start == "random":
            self.same_architecture = contender
        if recipe.has_head_start and self._beats(contender, self.transfer):
            self.transfer, leads = contender, True
        source = contender.entry.source
        if recipe.has_head_start and source and self._beats(contender, self.by_source.get(source)):
            self.by_source[source], leads = contender, True
        if not recipe.has_head_start and self._beats(contender, self.scratch):
            self.scratch, leads = contender, True
        return leads

    @property
    def winner(self) -> Contender | None:
        """Return what validation prefers; of equals, the one with a head start."""
        found = [c for c in (self.transfer, self.scratch) if c is not None]
        return max(found, key=lambda c: self._value(c)) if found else None

    def leaders(self) -> list[Contender]:
        """Return every contender that still matters."""
        leading = (self.transfer, self.scratch, self.probe, *self.by_source.values())
        found = {c.record.id: c for c in leading if c}
        return list(found.values())

    def _value(self, contender: Contender) -> tuple[float, float]:
        assert contender.record.score is not None
        loss = contender.record.details.get("loss")
        return self.signed(contender.record.score), -float("inf") if loss is None else -loss

    def _beats(self, contender: Contender, champion: Contender | None) -> bool:
        return champion is None or self._value(contender) > self._value(champion)


def in_question(
    standing: Standing, metric: Metric, units: np.ndarray, seed: int
) -> list[Contender]:
    """Return who may still lead in another deal: not shown to be worse than the leader by now."""
    finalists = (standing.transfer, standing.scratch, standing.probe)
    best = {c.record.id for c in finalists if c is not None and c.answers}

    def beaten(contender: Contender) -> bool:
        recipe = contender.entry.recipe
        leader = standing.transfer if recipe.has_head_start else standing.scratch
        if leader is None or contender.record.id in best or not leader.answers:
            return False
        ours, theirs = (c.answers[0].statistics for c in (leader, contender))
        return repeated_gain(metric, [ours], [theirs], units, seed, GAIN_OVERLAP).low > 0

    return [contender for contender in standing.tried if not beaten(contender)]


class Listener:
    """What a race tells while it runs; the default says nothing."""

    def say(self, message: str) -> None:
        """Receive a line for the user."""

    def begin(self, folder: Path) -> None:
        """Receive the run folder, before anything is written there."""

    def trial(self, name: str, best: str, left: float) -> None:
        """Receive what is being tried, the best so far, and the seconds left."""

    def epoch(self, name: str, epoch: Epoch) -> None:
        """Receive an epoch of the trial that runs."""

    def done(self, record: TrialRecord, name: str) -> None:
        """Receive a trial that has ended."""


def entries(
    task: Task, sources: list[str], quality: str = "balanced", named: Sequence[str] = ()
) -> list[Entry]:
    """Return every recipe of a preset, or that is named, with every source, in the race's order.

    The first source and the small models come first; before any is tuned the features of all
    sources are tried, and the others are tuned after the first.
    """
    recipes = recipes_for(task.modality, task.output, quality, named)
    planned = [
        Entry(recipe, None if recipe.start == "small" else sources[0])
        for recipe in recipes
        if sources or recipe.start == "small"
    ]
    others = [
        Entry(recipe, source)
        for source in sources[1:]
        for recipe in recipes
        if recipe.has_head_start
    ]
    features = [entry for entry in others if entry.recipe.stages == 0]
    rest = [entry for entry in others if entry.recipe.stages != 0]
    tuned = [number for number, entry in enumerate(planned) if entry.recipe.stages != 0]
    first = min(tuned, default=len(planned))
    return [*planned[:first], *features, *planned[first:], *rest]


@dataclass
class Race:
    """Runs trials until nothing more fits.

    Parameters
    ----------
    closing
        Seconds to keep back for evaluating and saving, if the given recipe runs before.
    refitting
        How many times the cost of a trial its refit on all rows is forecast to take; 0 without.
    keep
        Called with each contender that leads somewhere, to make it durable.
    deal
        Folds on which each recipe is scored, in nested cross-validation; else None, and the
        validation rows serve.
    checkpoint
        Where the training of the trial with this key is kept on its way.
    varying
        Where time is left, the settings of the best recipe are varied.
    """

    bench: Bench
    clock: Clock
    ledger: Ledger
    standing: Standing
    listener: Listener
    closing: Callable[[Recipe], float]
    refitting: float
    keep: Callable[[Contender], None]
    most: int | None = None
    deal: Deal | None = None
    checkpoint: Callable[[str], Checkpoint | None] = lambda _key: None
    varying: bool = False
    tried: list[Tried] = field(default_factory=list)
    """What trials came to, those of earlier sessions with them."""
    too_dear: dict[tuple[str, str, str, str | None], float] = field(default_factory=dict)
    """Stages from which on a recipe of a source does not fit, by what was refused."""

    def run(self, planned: list[Entry]) -> None:
        """Run the entries that are forecast to fit; those that the ledger has are not run again."""
        done = {record.key: record for record in self.ledger.trials()}
        pending = {(entry.recipe, entry.source): entry for entry in planned}
        for entry in planned:
            record = done.get(specify(self.bench, entry.recipe, entry.source).key)
            if record is not None:
                self._remember(pending.pop((entry.recipe, entry.source)), record)
        agenda = Agenda(self._price)
        while pending and not self._is_over():
            self._try(pending.pop(agenda.next(list(pending), self.tried)))
        base = self._to_vary(planned) if self.varying else None
        while base is not None and not self._is_over():
            known = self._seen(base)
            if len(known) > MOST:
                return
            recipe = varied(base.recipe, known, self.bench.seed)
            if not self._try(Entry(recipe, base.source), partial(self._prune, base, known)):
                return

    def _is_over(self) -> bool:
        return self.most is not None and len(self.ledger.trials()) >= self.most

    def _try(
        self, entry: Entry, prune: Callable[[list[Epoch]], None] = lambda _course: None
    ) -> bool:
        """Run a trial if it is forecast to fit; say whether it did.

        `prune` looks at the epochs so far, and ends the trial by an exception.
        """
        key = specify(self.bench, entry.recipe, entry.source).key
        begun = {event["key"]: event["settled"] for event in self.ledger.events("begun")}
        assignment = self._fitting(entry, begun.get(key))
        if assignment is None:
            return False
        spec = specify(self.bench, entry.recipe, entry.source, assignment.settled)
        self.ledger.event(self.clock.used, "begun", key=spec.key, settled=assignment.settled)
        best = self.standing.winner
        score = None if best is None else best.record.score
        said = "none yet" if score is None else figure(score)
        self.listener.trial(entry.name, said, self.clock.left)
        checkpoint, course = self.checkpoint(spec.key), list[Epoch]()

        def watch(epoch: Epoch) -> None:
            course.append(epoch)
            self.listener.epoch(entry.name, epoch)
            prune(course)

        result = run_trial(replace(assignment, checkpoint=checkpoint, watch=watch))
        if self.deal is not None and result.fitted is not None:
            result = self._on_folds(self.deal, entry, assignment, result)
        record = self._recorded(len(self.ledger.trials()) + 1, spec, result)
        self._remember(entry, record)
        if checkpoint is not None:
            checkpoint.clear()
        if result.fitted is not None:
            answers = [result.answers] if result.answers else []
            contender = Contender(entry, record, result.fitted.model, answers=answers)
            if self.standing.enter(contender):
                self.keep(contender)
            else:
                contender.model = None
        self.listener.done(record, entry.name)
        return True

    def _to_vary(self, planned: list[Entry]) -> Entry | None:
        """Return the best of the planned entries with a head start, if it tunes a network."""
        scores = {record.key: record.score for record in self.ledger.trials()}
        tried = []
        for entry in planned:
            score = scores.get(specify(self.bench, entry.recipe, entry.source).key)
            if score is not None and entry.recipe.has_head_start:
                tried.append((self.bench.metric.signed(score), entry))
        best = max(tried, key=lambda one: one[0], default=(0.0, None))[1]
        return best if best is not None and best.recipe.learner == "tune" else None

    def _seen(self, base: Entry) -> list[Seen]:
        """Return the variations of a recipe that were tried, itself among them."""
        found = []
        for record in self.ledger.trials():
            recipe, score = Recipe.of(record.spec["recipe"]), record.score
            if record.spec["source"] == base.source and is_variation(recipe, base.recipe):
                signed = None if score is None else self.bench.metric.signed(score)
                found.append(Seen(recipe, signed, _course(record.details.get("history", []))))
        return found

    def _prune(self, base: Entry, known: list[Seen], course: list[Epoch]) -> None:
        """Raise `Pruned` where a variation is far behind the others."""
        scores = [epoch.score for epoch in course if epoch.score is not None]
        if scores and behind(base.recipe, known, scores):
            raise Pruned(f"behind the others in epoch {course[-1].number}")

    def _remember(self, entry: Entry, record: TrialRecord) -> None:
        """Let the agenda know what a trial came to."""
        if record.score is not None:
            rows = self.bench.validation.data if self.deal is None else self.deal.rows.data
            found = error(self.bench.metric, record.score, len(rows))
            self.tried.append(Tried(entry.recipe, entry.source, *found))

    def _price(self, recipe: Recipe, source: str | None) -> float:
        """Return what a recipe of a source costs beside others, by what is known without measuring.

        Weights that train go through a row three times in every epoch; those before the cut once a
        view, and faster.
        """
        if source is None:
            return 1.0
        backbone = self.bench.extractors[source].backbone
        weights = sum(parameter.numel() for parameter in backbone.model.parameters())
        stages = backbone.end if recipe.stages is None else recipe.stages
        trained = 1 - backbone.cut_before_last(stages) / backbone.end
        epochs = recipe.for_rows(len(self.bench.train.data)).epochs
        return weights * recipe.scale**2 * (3 * epochs * trained + PREFIX * (1 + recipe.views))

    def _on_folds(
        self, deal: Deal, entry: Entry, assignment: Assignment, tried: TrialResult
    ) -> TrialResult:
        """Return the trial with the score of its recipe on rows held out fold by fold."""
        started = time.monotonic()
        recipe, source = entry.recipe, entry.source
        seconds = forecast(deal, recipe, source, assignment.settled)
        to_refit = self.refitting * self._to_refit(entry, tried.seconds)
        if seconds + to_refit > self._available(entry):
            return self._without_folds(tried, f"no time for its folds ({seconds:.0f} s)")
        try:
            answers = answered(
                deal,
                lambda fold: fitted_without(
                    fold, recipe, source, assignment.settled, assignment.late
                ),
            )
        except Unfinished as why:
            return self._without_folds(tried, f"on its folds: {why}")
        return replace(
            tried,
            score=answers.score(self.bench.metric),
            loss=float(answers.losses.mean()),
            answers=answers,
            folding=time.monotonic() - started,
        )

    def _without_folds(self, tried: TrialResult, reason: str) -> TrialResult:
        """Return a trial that cannot be compared with others; it serves if there is no other."""
        if self.standing.winner is None:
            return replace(tried, reason=reason)
        return replace(tried, fitted=None, reason=reason)

    def _assigned(self, entry: Entry) -> Assignment:
        def late() -> bool:
            return self.clock.left < self.closing(entry.recipe)

        return assign(self.bench, entry.recipe, entry.source, late)

    def _fitting(self, entry: Entry, settled: dict[str, Any] | None) -> Assignment | None:
        """Return the assignment of a trial that fits, with its refit if it wins.

        It has as many views as can be paid for. Where it does not fit without any, it is noted why
        it was left out. `settled` is what an earlier session began the trial with, if it did.
        """
        assignment = self._assigned(entry)
        why = self._ruled_out(entry, assignment)
        if why is not None:
            self._leave_out(entry, None, why)
            return None
        settled = settle(assignment) if settled is None else settled
        asked = settled.get("views", 0)
        for views in range(asked, -1, -1):
            fewer = {**settled, "views": views} if views < asked else settled
            trying = replace(assignment, settled=fewer)
            once = learners.get(entry.recipe.learner).forecast(trying)
            seconds = once + self._folding(entry, fewer)
            needed = seconds + self.refitting * self._to_refit(entry, once)
            if needed <= self._available(entry):
                if views < asked:
                    self.listener.say(f"{entry.name}: time for {views} of {asked} views a row")
                return trying
        self.too_dear[_place(entry)] = self._trained(entry)
        self._leave_out(entry, seconds, f", which would take {seconds:.0f} s")
        return None

    def _folding(self, entry: Entry, settled: dict[str, Any]) -> float:
        """Return the seconds of all folds, without which a trial cannot be compared with others."""
        if self.deal is None or self.standing.winner is None:
            return 0.0
        return forecast(self.deal, entry.recipe, entry.source, settled)

    def _ruled_out(self, entry: Entry, assignment: Assignment) -> str | None:
        """Return why a trial need not even be measured, or None where it has to be."""
        tunes = entry.recipe.stages != 0
        if self._available(entry) <= (BEGINNING if tunes else 0.0):
            return ""
        if why := refused(assignment):
            return f": {why}"
        if self._trained(entry) > self.too_dear.get(_place(entry), float("inf")):
            return ""  # it trains more than one that was too dear
        return None

    def _available(self, entry: Entry) -> float:
        """Return the seconds that a trial and its refit may take."""
        available = self.clock.left - self.closing(entry.recipe)
        if entry.recipe.start == "random":
            return min(available, QUARTER * self.clock.budget)
        return available

    def _to_refit(self, entry: Entry, seconds: float) -> float:
        """Return the cost of the trial that may have to be fitted again after this one.

        A dearer trial that wins but cannot be fitted on all rows would hand back less than a
        cheap one that can. The small model runs all the same: without it there is no verdict.
        """
        champion = self.standing.winner
        known = champion.record.seconds if champion is not None else 0.0
        if entry.recipe.start == "small" and champion is not None:
            return known
        return max(known, seconds)

    def _trained(self, entry: Entry) -> float:
        """Return how many last stages an entry trains."""
        stages = entry.recipe.stages
        if stages is None or entry.source is None:
            return float("inf")
        backbone = self.bench.extractors[entry.source].backbone
        return backbone.end - backbone.cut_before_last(stages)

    def _leave_out(self, entry: Entry, seconds: float | None, why: str) -> None:
        self.standing.skipped.append(entry.name)
        self.listener.say(f"leaving out {entry.name}{why}")
        self.ledger.event(
            self.clock.used,
            "left out",
            entry=entry.name,
            forecast=seconds,
            available=self._available(entry),
        )

    def _recorded(self, number: int, spec: TrialSpec, result: TrialResult) -> TrialRecord:
        details: dict[str, Any] = {"reason": result.reason}
        if result.fitted is not None:
            fitted = result.fitted
            details = {
                "settled": fitted.settled,
                "cut": fitted.cut,
                "cut_short": fitted.cut_short,
                "history": list(fitted.history),
                "loss": result.loss,
                "memory": result.memory,
                "plan": list(fitted.plan),
            }
            if overfits := overfitting(
                [epoch["loss"] for epoch in fitted.history],
                [epoch["validation_loss"] for epoch in fitted.history],
            ):
                details["overfitting"] = str(overfits)
            if result.answers is not None:
                details |= {"folds": result.answers.data(), "folding": result.folding}
        record = TrialRecord(
            id=number,
            key=spec.key,
            spec=vars(spec),
            status="done" if result.fitted else "failed",
            score=result.score,
            seconds=result.seconds,
            details=details,
        )
        self.ledger.record(record)
        self.ledger.note("seconds", self.clock.used)
        return record


def _course(history: list[dict[str, Any]]) -> tuple[float, ...]:
    """Return the signed scores of epochs, as far as they have one."""
    return tuple(epoch["score"] for epoch in history if epoch["score"] is not None)


def _place(entry: Entry) -> tuple[str, str, str, str | None]:
    recipe = entry.recipe
    return recipe.learner, recipe.objective, recipe.adapter, entry.source
