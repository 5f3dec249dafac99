"""Who takes part in a race, and who leads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from headstart.data.dataset import TOGETHER
from headstart.evidence.beliefs import Prior, believed
from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.nested import GAIN_OVERLAP, Answered, mean_loss, mean_score
from headstart.models import Model
from headstart.recipes import Recipe, recipes_for
from headstart.search.folds import Deal
from headstart.search.ledger import TrialRecord
from headstart.search.trial import Bench, specify
from headstart.sources.catalogue import those
from headstart.tasks import Metric, Task


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
        if self.recipe.start == "small" and self.recipe.scale < 1:
            depth = f", {self.recipe.scale:g} of the size"
        return f"{self.recipe.name}{depth}" + (f" of {self.source}" if self.source else "")

    def key(self, bench: Bench) -> str:
        """Return what names its trial within a run."""
        return specify(bench, self.recipe, self.source).key


def entries(
    task: Task, sources: list[str], quality: str = "balanced", named: Sequence[str] = ()
) -> list[Entry]:
    """Return every recipe of a preset, or that is named, with every source it takes part with.

    The same architecture from scratch is that of the first source alone. Learning rates were chosen
    on the default sources; those for others are found by a range test.
    """
    recipes = recipes_for(task.modality, task.output, quality, named)
    defaults = {
        source.id
        for kind in task.modality.split(TOGETHER)
        for source in those(kind)
        if source.default
    }

    def entry(recipe: Recipe, source: str) -> Entry:
        known = defaults.issuperset(source.split(TOGETHER))
        tunes = recipe.has_head_start and recipe.learner == "tune"
        return Entry(replace(recipe, ranged=tunes and not known), source)

    first = [
        Entry(recipe, None) if recipe.start == "small" else entry(recipe, sources[0])
        for recipe in recipes
        if sources or recipe.start == "small"
    ]
    others = [entry(r, source) for source in sources[1:] for r in recipes if r.has_head_start]
    return [*first, *others]


@dataclass(eq=False)
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
    outputs: Tensor | None = None
    """What it said of the validation rows, where it is of this session."""
    members: tuple[Contender, ...] = ()
    """The trials whose models it joins, if it does."""

    @property
    def alone(self) -> Contender:
        """Return the best of its members, or itself."""
        return self.members[0] if self.members else self

    @property
    def cut_short(self) -> bool:
        """Say whether the deadline ended its training."""
        return bool(self.record.details.get("cut_short"))

    @property
    def prior(self) -> Prior:
        """Return what is known of it before its score."""
        recipe = self.entry.recipe
        if not recipe.has_head_start:
            return Prior(None)
        doubt = recipe.doubt if recipe.learns else math.inf
        return Prior(self.entry.source, recipe.gain, doubt)

    def score(self, metric: Metric) -> float:
        """Return its score: the mean of all deals where there are such."""
        if self.answers:
            return mean_score(metric, self.answers)
        assert self.record.score is not None
        return self.record.score

    @property
    def loss(self) -> float:
        """Return its mean loss, infinite where it is not known."""
        if self.answers:
            return mean_loss(self.answers)
        loss = self.record.details.get("loss")
        return math.inf if loss is None else float(loss)


@dataclass
class Standing:
    """Who leads: the best contender with a head start, without, of each source, the best probe.

    `as_it_is` is the best source of which nothing was trained. Validation has so many `rows`.

    Those of one side are compared by what they are believed to be worth: by their scores and, where
    few rows tell little, by what their recipes brought elsewhere; the two sides by their scores
    alone. Of equals the one leads that is surer of what is right: whose loss is least.
    """

    metric: Metric
    rows: int
    most: int = 0
    """How many of a side may be in `top`."""
    transfer: Contender | None = None
    scratch: Contender | None = None
    probe: Contender | None = None
    as_it_is: Contender | None = None
    same_architecture: Contender | None = None
    skipped: list[str] = field(default_factory=list)
    top: list[Contender] = field(default_factory=list)
    """The best of each side, the very best first: to be joined, or to lead in another's place once
    their rows were held out in other folds."""
    by_source: dict[str, Contender] = field(default_factory=dict)
    """The best of each source, which is one of its models with a head start."""
    entered: list[Contender] = field(default_factory=list)
    """All that have a score, in their order."""
    deals: list[Deal] = field(default_factory=list)
    """How rows were dealt into folds: as many as there are answers of each that was tried."""

    def enter(self, contender: Contender) -> bool:
        """Take a contender into the standing; return whether its model may be needed."""
        candidates = [*self.kept(), contender]
        self.note(contender)
        if contender.entry.recipe.start == "random":
            self.same_architecture = contender
        self._rank(candidates)
        return contender in self.kept()

    def note(self, contender: Contender) -> None:
        """Take note of a contender that cannot lead: its score tells what others are worth."""
        self.entered.append(contender)

    def rank_again(self) -> None:
        """Let those lead that do best in all deals of the rows, of those whose models are kept."""
        self._rank(self.kept())

    def _rank(self, candidates: Sequence[Contender]) -> None:
        values = self._values()
        waiting = [c for c in self.entered if c in candidates]  # of equals the first stays it
        ranked = sorted(waiting, key=lambda c: values[c])
        alone = [c for c in ranked if not c.members]

        def first(some: Callable[[Contender], bool]) -> Contender | None:
            return next((c for c in ranked if some(c)), None)

        self.transfer = first(lambda c: c.entry.recipe.has_head_start)
        self.scratch = first(lambda c: not c.entry.recipe.has_head_start)
        self.probe = first(lambda c: c.entry.recipe.name == "probe")
        self.as_it_is = first(lambda c: not c.entry.recipe.learns)
        sides = [[c for c in alone if c.entry.recipe.has_head_start is s] for s in (True, False)]
        self.top = [contender for side in sides for contender in side[: self.most]]
        self.by_source = {}
        for contender in sides[0]:
            if contender.entry.source:
                self.by_source.setdefault(contender.entry.source, contender)

    def best(self, has_head_start: bool) -> list[Contender]:
        """Return those in `top` that have a head start, or those that have none."""
        return [c for c in self.top if c.entry.recipe.has_head_start is has_head_start]

    @property
    def tried(self) -> list[Contender]:
        """Return all that have answers of their folds."""
        return [contender for contender in self.entered if contender.answers]

    @property
    def winner(self) -> Contender | None:
        """Return what validation prefers; of equals, the one with a head start."""

        def value(contender: Contender) -> tuple[int, float, float]:
            score = self.metric.signed(contender.score(self.metric))
            return len(contender.answers), score, -contender.loss

        return max(filter(None, (self.transfer, self.scratch)), key=value, default=None)

    @property
    def outscored_by(self) -> Contender | None:
        """Return who scored more than the leader with a head start, if anyone did."""
        leader = self.transfer
        if leader is None:
            return None

        def scored(contender: Contender) -> float:
            return self.metric.signed(contender.score(self.metric))

        rivals = [
            c
            for c in self.entered
            if c.entry.recipe.has_head_start and len(c.answers) == len(leader.answers)
        ]
        best = max(rivals, key=scored, default=leader)
        return best if scored(best) > scored(leader) else None

    def scored_on(self, contender: Contender) -> int:
        """Return by how many rows a contender was scored."""
        return len(contender.answers[0].losses) if contender.answers else self.rows

    def kept(self) -> list[Contender]:
        """Return every contender whose model may still be needed."""
        return list(dict.fromkeys((*self.leaders(), *self.top)))

    def leaders(self) -> list[Contender]:
        """Return every contender that the end will look at."""
        finalists = (self.transfer, self.scratch, self.probe, self.as_it_is)
        leading = (*finalists, *self.by_source.values())
        return list(dict.fromkeys(c for c in leading if c is not None))

    def _values(self) -> dict[Contender, tuple[int, float, float]]:
        """Return what is compared, less is better: who has answers of more deals comes first.

        What is joined is believed to be worth as much as the best of its members, and its loss is
        less: this is why it was joined.
        """
        alone = [c for c in self.entered if not c.members]
        errors = believed(
            self.metric,
            [c.score(self.metric) for c in alone],
            [self.scored_on(c) for c in alone],
            [c.prior for c in alone],
        )
        worth = dict(zip(alone, errors, strict=True))
        return {c: (-len(c.answers), worth[c.alone], c.loss) for c in self.entered}


def in_question(
    standing: Standing, metric: Metric, units: np.ndarray, seed: int
) -> list[Contender]:
    """Return who may still lead in another deal: not shown to be worse than the leader by now."""
    finalists = (standing.transfer, standing.scratch, standing.probe, standing.as_it_is)
    best = {c.record.id for c in finalists if c is not None and c.answers}

    def beaten(contender: Contender) -> bool:
        recipe = contender.entry.recipe
        leader = standing.transfer if recipe.has_head_start else standing.scratch
        if leader is None or contender.record.id in best or not leader.answers:
            return False
        ours, theirs = (c.answers[0].statistics for c in (leader, contender))
        return repeated_gain(metric, [ours], [theirs], units, seed, GAIN_OVERLAP).low > 0

    return [contender for contender in standing.tried if not beaten(contender)]
