"""Who takes part in a race, and who leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from headstart.data.dataset import TOGETHER
from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.nested import GAIN_OVERLAP, Answered, value
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
    def cut_short(self) -> bool:
        """Say whether the deadline ended its training."""
        return bool(self.record.details.get("cut_short"))


@dataclass
class Standing:
    """Who leads: the best contender with a head start, without, of each source, the best probe.

    `as_it_is` is the best source of which nothing was trained.

    Few validation rows give many models one score. Of these the one leads that is surer of what is
    right: whose loss is least.
    """

    metric: Metric
    transfer: Contender | None = None
    scratch: Contender | None = None
    probe: Contender | None = None
    as_it_is: Contender | None = None
    same_architecture: Contender | None = None
    skipped: list[str] = field(default_factory=list)
    top: list[Contender] = field(default_factory=list)
    """The best with a head start, the very best first: to be joined, or to lead in another's place
    once their rows were held out in other folds."""
    most: int = 0
    """How many those are."""
    by_source: dict[str, Contender] = field(default_factory=dict)
    """The best of each source, which is one of its models with a head start."""
    tried: list[Contender] = field(default_factory=list)
    """All that have answers of their folds."""
    deals: list[Deal] = field(default_factory=list)
    """How rows were dealt into folds: as many as there are answers of each that was tried."""

    def enter(self, contender: Contender) -> bool:
        """Take a contender into the standing; return whether it now leads somewhere."""
        if contender.answers:
            self.tried.append(contender)
        return self._rank(contender)

    def rank_again(self) -> None:
        """Let those lead that do best in all deals of the rows, of those whose models are kept."""
        kept = self.kept()
        self.transfer = self.scratch = self.probe = self.as_it_is = None
        self.by_source, self.top = {}, []
        for contender in kept:
            self._rank(contender)

    def _rank(self, contender: Contender) -> bool:
        recipe = contender.entry.recipe
        leads = False
        if recipe.name == "probe" and self._beats(contender, self.probe):
            self.probe, leads = contender, True
        if not recipe.learns and self._beats(contender, self.as_it_is):
            self.as_it_is, leads = contender, True
        if recipe.start == "random":
            self.same_architecture = contender
        if recipe.has_head_start and self._beats(contender, self.transfer):
            self.transfer, leads = contender, True
        source = contender.entry.source
        alone = recipe.has_head_start and not contender.members
        if source and alone and self._beats(contender, self.by_source.get(source)):
            self.by_source[source], leads = contender, True
        if not recipe.has_head_start and self._beats(contender, self.scratch):
            self.scratch, leads = contender, True
        if recipe.has_head_start and not contender.members:
            ranked = sorted([*self.top, contender], key=self._value, reverse=True)
            self.top = ranked[: self.most]
        return leads or contender in self.top

    @property
    def winner(self) -> Contender | None:
        """Return what validation prefers; of equals, the one with a head start."""
        found = [c for c in (self.transfer, self.scratch) if c is not None]
        return max(found, key=lambda c: self._value(c)) if found else None

    def kept(self) -> list[Contender]:
        """Return every contender whose model may still be needed."""
        found = {c.record.id: c for c in (*self.leaders(), *self.top)}
        return list(found.values())

    def leaders(self) -> list[Contender]:
        """Return every contender that the end will look at."""
        finalists = (self.transfer, self.scratch, self.probe, self.as_it_is)
        leading = (*finalists, *self.by_source.values())
        found = {c.record.id: c for c in leading if c}
        return list(found.values())

    def _value(self, contender: Contender) -> tuple[int, float, float]:
        """Return what is compared; who has answers of more deals comes before who has of fewer."""
        if contender.answers:
            return len(contender.answers), *value(self.metric, contender.answers)
        assert contender.record.score is not None
        loss = contender.record.details.get("loss")
        sure = -float("inf") if loss is None else -loss
        return 0, self.metric.signed(contender.record.score), sure

    def _beats(self, contender: Contender, champion: Contender | None) -> bool:
        return champion is None or self._value(contender) > self._value(champion)


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
