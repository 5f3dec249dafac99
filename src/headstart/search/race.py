"""The race: cheap trials first, then what the remaining time can pay for."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from headstart.evidence.beliefs import error
from headstart.evidence.intervals import figure
from headstart.recipes import Recipe
from headstart.search.agenda import Agenda, Tried
from headstart.search.budget import Clock
from headstart.search.folds import Deal, Unfinished, forecast, hold_out
from headstart.search.ledger import Ledger, TrialRecord
from headstart.search.listener import Listener
from headstart.search.standing import Contender, Entry, Standing
from headstart.search.trial import (
    HURRIED,
    MEASURING,
    Bench,
    TrialResult,
    TrialSpec,
    adjusted,
    assign,
    hurried,
    reason_of,
    run_trial,
    specify,
    writing_seconds,
)
from headstart.search.variations import MOST, Pruned, Seen, behind, is_variation, varied
from headstart.training.checkpoint import Checkpoint
from headstart.training.learners import PASSES, Assignment, learners, refused, settle
from headstart.training.loop import Epoch
from headstart.training.overfitting import Overfitting, overfitting

BEGINNING = 5.0
"""Seconds without which no stage is tuned: a new cut is converted to an engine, and measured."""
PREFIX = 0.15
"""What a row costs before the cut, in an engine, beside what it costs where it is trained once."""
NOTING = 5.0
"""Seconds after which the time that is used is noted again."""
QUARTER = 0.25
"""Share of the budget within which the same architecture from scratch must be able to stop."""


@dataclass
class Race:
    """Runs trials until nothing more fits.

    Parameters
    ----------
    closing
        Seconds to keep back for evaluating and saving, if the given recipe runs before.
    saving
        Those for saving alone.
    refitting
        How many times the rows of a trial its refit on all rows has; 0 without.
    keep, sweep
        Called with each contender that leads somewhere, to make it durable; and once it is in the
        ledger, to take away what nobody needs any more.
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
    saving: float
    refitting: float
    keep: Callable[[Contender], None]
    sweep: Callable[[], None]
    most: int | None = None
    deal: Deal | None = None
    checkpoint: Callable[[str], Checkpoint | None] = lambda _key: None
    varying: bool = False
    tried: list[Tried] = field(default_factory=list)
    """What trials came to, those of earlier sessions with them."""
    too_dear: dict[tuple[str, str, str, str | None], float] = field(default_factory=dict)
    """Stages from which on a recipe of a source does not fit, by what was refused."""
    _noted: float = 0.0

    def run(self, planned: list[Entry]) -> None:
        """Run the entries that are forecast to fit; those that the ledger has are not run again."""
        done = {record.key: record for record in self.ledger.trials()}
        pending = {(entry.recipe, entry.source): entry for entry in planned}
        for entry in planned:
            record = done.get(entry.key(self.bench))
            if record is not None:
                self._remember(pending.pop((entry.recipe, entry.source)), record)
        agenda = Agenda(self._price)
        while pending and not self._is_over():
            self._try(pending.pop(agenda.next(list(pending), self.tried)))
        if self.varying:
            self._vary(planned)

    def _vary(self, planned: list[Entry]) -> None:
        """Vary the best recipe of each side in turn: no side wins by more search alone."""
        bases = [self._to_vary(planned, head_start) for head_start in (True, False)]
        turns = deque(base for base in bases if base is not None)
        while turns and not self._is_over():
            base = turns.popleft()
            known = self._seen(base)
            if len(known) > MOST:
                continue
            recipe = varied(base.recipe, known, self.bench.seed)
            if self._try(Entry(recipe, base.source), partial(self._prune, base, known)):
                turns.append(base)

    def _is_over(self) -> bool:
        return self.most is not None and self.ledger.ended >= self.most

    def _try(
        self, entry: Entry, prune: Callable[[list[Epoch]], None] = lambda _course: None
    ) -> bool:
        """Run a trial if it is forecast to fit; say whether it did.

        `prune` looks at the epochs so far, and ends the trial by an exception.
        """
        key = entry.key(self.bench)
        begun = {event["key"]: event["settled"] for event in self.ledger.events("begun")}
        checkpoint = self.checkpoint(key)
        earlier = {} if checkpoint is None else checkpoint.facts()
        assignment = self._fitting(entry, begun.get(key), earlier.get("epochs", 0.0))
        if assignment is None:
            return False
        spec = specify(self.bench, entry.recipe, entry.source, assignment.settled)
        self.ledger.event(self.clock.used, "begun", key=spec.key, settled=assignment.settled)
        best = self.standing.winner
        score = None if best is None else best.record.score
        said = "none yet" if score is None else figure(score)
        self.listener.trial(entry.name, said, self.clock.left)
        course = list[Epoch]()

        def watch(epoch: Epoch) -> None:
            before, now = _overfits(course), _overfits([*course, epoch])
            course.append(epoch)
            score = None if epoch.score is None else self.bench.metric.signed(epoch.score)
            self.listener.epoch(entry.name, replace(epoch, score=score))
            if now is not None and before is None:
                kept = "; the best weights are kept" if self.bench.choosing else ""
                self.listener.say(f"  {entry.name} is {now}{kept}")
            self._note_time()
            prune(course)

        result = run_trial(replace(assignment, checkpoint=checkpoint, watch=watch))
        if self.deal is not None and result.fitted is not None:
            result = self._on_folds(self.deal, entry, assignment, result)
        result = replace(result, seconds=result.seconds + earlier.get("seconds", 0.0))
        record = _record(self.ledger.ended + 1, spec, result)
        if result.fitted is not None:
            answers = [result.answers] if result.answers else []
            contender = Contender(
                entry, record, result.fitted.model, answers=answers, outputs=result.outputs
            )
            if self.standing.enter(contender):
                self.keep(contender)
            else:
                contender.model = None
        # after the model: of a trial that the ledger has, the model must be there
        self.ledger.record(record)
        self.sweep()
        self.ledger.note("seconds", self.clock.used)
        self._remember(entry, record)
        if checkpoint is not None:
            checkpoint.clear()
        self.listener.done(record, entry.name)
        return True

    def _note_time(self) -> None:
        """Note from time to time how much of the budget is used, so that a kill gives none back."""
        if self.clock.used > self._noted + NOTING:
            self._noted = self.clock.used
            self.ledger.note("seconds", self._noted)

    def _to_vary(self, planned: list[Entry], head_start: bool) -> Entry | None:
        """Return the best of the planned entries of a side, if it trains by descent."""
        scores = {record.key: record.score for record in self.ledger.trials()}
        tried = []
        for entry in planned:
            score = scores.get(entry.key(self.bench))
            if score is not None and entry.recipe.has_head_start is head_start:
                tried.append((self.bench.metric.signed(score), entry))
        best = max(tried, key=lambda one: one[0], default=(0.0, None))[1]
        return best if best is not None and best.recipe.phases else None

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

        Weights that train go through a row three times in every epoch, a writer's too; those before
        the cut once a view, and faster.
        """
        if source is None:
            return 1.0
        backbone = self.bench.extractors[source].backbone
        weights = sum(parameter.numel() for parameter in backbone.model.parameters())
        stages = backbone.end if recipe.stages is None else recipe.stages
        trained = 1 - backbone.cut_before_last(stages) / backbone.end
        epochs = recipe.for_rows(len(self.bench.train.data)).epochs
        price = weights * recipe.scale**2 * (3 * epochs * trained + PREFIX * (1 + recipe.views))
        if backbone.writer is None:
            return price
        return price + 3 * epochs * sum(p.numel() for p in backbone.writer.trained(fresh=False))

    def _on_folds(
        self, deal: Deal, entry: Entry, assignment: Assignment, tried: TrialResult
    ) -> TrialResult:
        """Return the trial with the score of its recipe on rows held out fold by fold."""
        started = time.monotonic()
        recipe, source = entry.recipe, entry.source
        seconds = forecast(deal, recipe, source, assignment.settled)
        if seconds + self._to_refit(entry, tried.seconds) > self._available(entry):
            return self._without_folds(tried, f"no time for its folds ({seconds:.0f} s)")
        try:
            answers, found = hold_out(deal, recipe, source, assignment.settled, assignment.late)
        except Unfinished as why:
            return self._without_folds(tried, f"on its folds: {why}")
        assert tried.fitted is not None
        return replace(
            tried,
            fitted=adjusted(tried.fitted, found),
            score=answers.score(self.bench.metric),
            loss=float(answers.losses.mean()),
            answers=answers,
            folding=time.monotonic() - started,
        )

    def _without_folds(self, tried: TrialResult, reason: str) -> TrialResult:
        """Return a trial that cannot be compared with others; it serves if there is no other."""
        if self.standing.winner is None:
            return replace(tried, reason=reason)
        return replace(tried, fitted=None, score=None, loss=None, reason=reason)

    def _assigned(self, entry: Entry) -> Assignment:
        most = self._most_kept_back(entry)

        def late() -> bool:
            return self.clock.left < min(most, self.closing(entry.recipe))

        return assign(self.bench, entry.recipe, entry.source, late)

    def _fitting(
        self, entry: Entry, settled: dict[str, Any] | None, done: float
    ) -> Assignment | None:
        """Return the assignment of a trial that fits, with its refit if it wins.

        It has as many views as can be paid for, and then as many epochs, where few are enough, or
        else its refit has fewer; rather than with less than half of them it is tried without a
        refit. Where it does not fit even so, it is noted why it was left out. `settled` is what an
        earlier session began the trial with, if it did; where `done` epochs of it are kept it goes
        on so or not at all.
        """
        assignment = self._assigned(entry)
        held = len(self.bench.validation.data)
        sources = () if entry.source is None else (entry.source,)
        writing = writing_seconds(self.bench, sources, held)
        try:
            why = self._ruled_out(entry, assignment)
            if why is not None:
                self._leave_out(entry, None, why)
                return None
            reading = self._reading(assignment)
            settled = settle(assignment) if settled is None else settled
            assignment = replace(assignment, settled=settled)
            left = 1 - done / max(1, assignment.carried_out.epochs)
            learner = learners.get(entry.recipe.learner)
            for trying, again, said in _less_and_less(assignment, done):
                once = learner.forecast(trying)
                seconds = left * once + reading + writing + self._folding(entry, trying.settled)
                share = 1.0 if again is trying else learner.forecast(again) / once if again else 0.0
                needed = seconds + share * self._to_refit(entry, once)
                if needed <= self._available(entry):
                    if said:
                        self.listener.say(f"{entry.name}: time for {said}")
                    return trying
        except Exception as error:  # it ends this trial alone, as one that fails later
            self._leave_out(entry, None, f", which fails here: {reason_of(error)}")
            return None
        self.too_dear[_place(entry)] = self._trained(entry)
        self._leave_out(entry, seconds, f", which would take {seconds:.0f} s")
        return None

    def _reading(self, assignment: Assignment) -> float:
        """Return the seconds of computing features that are a recipe's own, of all rows, once."""
        extractor = assignment.extractor
        if not assignment.recipe.long or extractor is None:
            return 0.0
        held = self.bench.validation
        rows = [self.deal.rows] if self.deal is not None else [*assignment.train, held]
        return sum(extractor.forecast(some.data, extractor.backbone.end) for some in rows)

    def _folding(self, entry: Entry, settled: dict[str, Any]) -> float:
        """Return the seconds of all folds, without which a trial cannot be compared with others."""
        if self.deal is None or self.standing.winner is None:
            return 0.0
        return forecast(self.deal, entry.recipe, entry.source, settled)

    def _ruled_out(self, entry: Entry, assignment: Assignment) -> str | None:
        """Return why a trial need not even be measured, or None where it has to be."""
        least = MEASURING if entry.recipe.shortest else 0.0
        if self._available(entry) <= (BEGINNING if entry.recipe.learner == "tune" else least):
            return ""
        if why := refused(assignment):
            return f": {why}"
        if self._trained(entry) > self.too_dear.get(_place(entry), float("inf")):
            return ""  # it trains more than one that was too dear
        return None

    def _available(self, entry: Entry) -> float:
        """Return the seconds that a trial and its refit may take."""
        kept = min(self._most_kept_back(entry), self.closing(entry.recipe))
        available = self.clock.left - kept
        if entry.recipe.start == "random":
            return min(available, QUARTER * self.clock.budget)
        return available

    def _is_first(self, entry: Entry) -> bool:
        """Say whether there is no model yet, and this is a cheap one.

        It comes before a refit and what is said of it.
        """
        return self.standing.winner is None and entry.recipe.learner != "tune"

    def _most_kept_back(self, entry: Entry) -> float:
        """Return the seconds that may be kept back for what follows a trial that begins now."""
        return max(self.saving, self.clock.left / 2) if self._is_first(entry) else math.inf

    def _to_refit(self, entry: Entry, seconds: float) -> float:
        """Return the cost of the trial that may have to be fitted again after this one.

        A dearer trial that wins but cannot be fitted on all rows would hand back less than a
        cheap one that can. The small model runs all the same: without it there is no verdict.
        """
        if self._is_first(entry):
            return 0.0
        champion = self.standing.winner
        known = self._again(champion.entry, champion.record.seconds) if champion else 0.0
        if entry.recipe.start == "small" and champion is not None:
            return known
        return max(known, self._again(entry, seconds))

    def _again(self, entry: Entry, seconds: float) -> float:
        """Return the cost of fitting what took so many seconds again, on all rows."""
        rows, recipe = len(self.bench.train.data), entry.recipe
        before, after = (recipe.for_rows(int(n)).epochs for n in (rows, self.refitting * rows))
        return seconds * self.refitting * (after / before if before else 1.0)

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


def _record(number: int, spec: TrialSpec, result: TrialResult) -> TrialRecord:
    """Return what the ledger keeps of a trial."""
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
    return TrialRecord(
        id=number,
        key=spec.key,
        spec=vars(spec),
        status="done" if result.fitted else "failed",
        score=result.score,
        seconds=result.seconds,
        details=details,
    )


def _overfits(course: list[Epoch]) -> Overfitting | None:
    return overfitting([e.loss for e in course], [e.validation_loss for e in course])


def _course(history: list[dict[str, Any]]) -> tuple[float, ...]:
    """Return the signed scores of epochs, as far as they have one."""
    return tuple(epoch["score"] for epoch in history if epoch["score"] is not None)


def _place(entry: Entry) -> tuple[str, str, str, str | None]:
    recipe = entry.recipe
    return recipe.learner, recipe.objective, recipe.adapter, entry.source


def _less_and_less(
    assignment: Assignment, done: float
) -> Iterator[tuple[Assignment, Assignment | None, str]]:
    """Yield an assignment with ever fewer views and epochs, its refit if it has one; what to say.

    Where some epochs are `done` it is not changed any more.
    """

    def settling(**fewer: int) -> Assignment:
        return replace(assignment, settled={**assignment.settled, **fewer})

    recipe, asked = assignment.recipe, assignment.settled.get("views", 0)
    epochs, begun = recipe.for_rows(assignment.rows).epochs, assignment.carried_out.epochs
    less = "a refit in fewer epochs"
    yield assignment, assignment, ""
    if done:
        yield assignment, hurried(assignment, HURRIED), f"the epochs that are left, and {less}"
        yield assignment, None, "the epochs that are left, and none for a refit"
        return
    for views in range(asked - 1, -1, -1):
        trying = settling(views=views)
        yield trying, trying, f"{views} of {asked} views a row"
    fewest = {"views": 0} if asked else {}
    if not recipe.shortest:
        if begun > 1:
            trying = settling(**fewest)
            yield trying, hurried(trying, HURRIED), less
        return
    for fewer in range(begun - 1, assignment.carried_out.hurried - 1, -1):
        trying = settling(**fewest, **{PASSES: fewer})
        yield trying, trying, f"{fewer} of {epochs} epochs"
    for fewer in range(begun, recipe.shortest - 1, -1):
        said = f"{fewer} of {epochs} epochs, and none for a refit"
        yield settling(**fewest, **{PASSES: fewer}), None, said
