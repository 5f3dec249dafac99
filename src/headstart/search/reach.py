"""What the budget reaches for: how many rows are looked at, embedded and learnt from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.reading import Enough
from headstart.data.splits import FOLDS, shares, stratified_order
from headstart.models.network import WRITING
from headstart.search.budget import Clock
from headstart.search.standing import Entry
from headstart.search.trial import MEASURING, Bench, assign, writing_seconds
from headstart.training.learners import PASSES, learners
from headstart.training.learners.zero_shot import as_it_is

READING = 0.15
"""Share of the budget in which rows are looked at."""
EMBEDDING = 0.30
"""Share of the time left that embedding all rows once may take."""
CLOSING = 2.0
"""Seconds that probing, evaluating and saving take besides."""
SURE = 0.85
"""Share of the time then left for which the small model is planned; its forecast may be too low."""
SPOKEN = 0.5
"""Share of the time left that writing down the rows to choose by and to test on may take."""
AT_THE_END = 3.0
"""How often the test rows are written: by two models, and it may take half as long again as it did
before; without it there would be no verdict."""
FEWEST_ROWS = 60
_TRIES = 4
_SOME = 16
"""Rows by which it is tried how fast is written."""


@dataclass
class Reach:
    """How far the budget reached when the run began; a resumed run reaches exactly as far.

    Attributes
    ----------
    looked
        Rows of each path that were looked at; all of them where it is not named.
    rows
        Rows of the subset that is used; None until it is known.
    alike
        Set of near duplicates of each content that is in one, by its digest; None until known.
    evaluation
        How the models are judged; empty until it is known.
    ranking
        Of sources, as JSON data; None until they are ranked.
    """

    looked: dict[str, int] = field(default_factory=dict)
    rows: int | None = None
    alike: dict[str, str] | None = None
    evaluation: str = ""
    ranking: dict[str, Any] | None = None

    def enough(self, until: float) -> Enough:
        """Return what ends the reading: the earlier end if there was one, else the time `until`."""
        known = dict(self.looked) if self.rows is not None else None

        def decide(path: str, looked: int) -> bool:
            if known is not None:
                return looked >= known.get(path, looked + 1)
            if time.monotonic() <= until:
                return False
            self.looked[path] = looked
            return True

        return decide


def affordable(planned: list[Entry], clock: Clock, bench: Bench) -> int:
    """Return how many rows can be embedded in their share of time, and learnt from scratch after.

    Without the small model there would be no verdict: scratch gets a fair trial on the same rows.
    """
    dataset = bench.train.data
    if len(dataset) <= FEWEST_ROWS:
        return len(dataset)
    embedding = sum(
        extractor.forecast(dataset, extractor.backbone.end) / len(dataset)
        for extractor in bench.extractors.values()
    )
    rows = clock.left * EMBEDDING / max(embedding, 1e-9)
    if bench.task.output == "text":
        rows = min(rows, _writable(bench, clock))
    small = next((entry for entry in planned if entry.recipe.start == "small"), None)
    if small is not None:
        seconds = SURE * (clock.left - CLOSING)
        rows = _learnable(bench, small, min(len(dataset), int(rows)), seconds, embedding)
    return max(FEWEST_ROWS, min(len(dataset), int(rows)))


def _writable(bench: Bench, clock: Clock) -> float:
    """Return how many rows there may be, for what is held out of them to be written in time.

    Where they might be fewer than there are, how fast it is written is tried on some.
    """
    rows = len(bench.train.data)
    tested, chosen_by = (share / FOLDS for share in shares(rows))

    def writable() -> float:
        a_row = (chosen_by + AT_THE_END * tested) * writing_seconds(bench, bench.extractors, 1)
        return SPOKEN * clock.left / max(a_row, 1e-9)

    if writable() < rows:
        for extractor in bench.extractors.values():
            if WRITING not in extractor.rates and extractor.backbone.writer is not None:
                some = bench.train.take(np.arange(min(rows, _SOME)))
                known = as_it_is(extractor, some, bench.task, bench.spec, lambda: False)
                known.respond(some.data)
    return writable()


def _learnable(bench: Bench, small: Entry, rows: int, seconds: float, embedding: float) -> int:
    """Return how many rows, at most `rows`, the small model can learn from in `seconds`.

    It does so in as few epochs as do where time is short. Of these seconds the rows' embedding,
    `embedding` for each, takes its part first. Where they do not even reach for the fewest rows,
    all are returned: none is given up for a model that will not be trained.
    """
    if seconds < MEASURING:
        return rows
    learner, asked = learners.get(small.recipe.learner), rows
    for _ in range(_TRIES):
        learnt = max(1, rows * (FOLDS - sum(shares(rows))) // FOLDS)
        some = replace(bench, train=bench.train.take(np.arange(learnt)))
        assignment = assign(some, small.recipe, None, lambda: False)
        hurried = {PASSES: assignment.carried_out.hurried}  # rather than with fewer rows
        needed = learner.forecast(replace(assignment, settled=hurried)) + rows * embedding
        if needed <= seconds:
            break
        if rows <= FEWEST_ROWS:
            return asked
        rows = max(FEWEST_ROWS, int(0.95 * rows * seconds / needed))
    return rows


def subset(dataset: Dataset, strata: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return the numbers of `size` rows in which every stratum of every part keeps its share.

    The numbers of the other rows follow, such that the rows up to any place are such a subset. It
    depends on the rows' content and the seed, not on their order.
    """
    kind = np.array([f"{dataset.parts[i]}/{strata[i]}" for i in range(len(dataset))])
    canonical = np.lexsort((kind, np.array(dataset.digests)))
    ordered = canonical[stratified_order(kind[canonical], np.random.default_rng(seed))]
    return np.concatenate([np.sort(ordered[:size]), ordered[size:]])
