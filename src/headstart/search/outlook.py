"""What more labels would bring, and why a head start did not help, where there is time for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from headstart.data.splits import stratified_order
from headstart.evidence.intervals import Interval, figure
from headstart.evidence.learning_curve import (
    FOLDS,
    LearningCurve,
    learning_curve,
    sizes_of,
)
from headstart.evidence.reasons import likely_reasons
from headstart.evidence.similarity import similarity
from headstart.recipes import Recipe
from headstart.search.budget import Clock
from headstart.search.listener import Listener
from headstart.search.preparation import Prepared
from headstart.search.standing import Contender, Standing
from headstart.search.trial import assign
from headstart.training.learners import EPOCHS, Assignment, Rows, learners

SHARE = 0.05
"""Share of the budget that the curves may take, of time that is left at the end."""
LEFT, LONGEST = 0.25, 10.0
"""Share of the time that is left, and seconds at most, which they may take where that is more: a
law that is known from fewer rows is carried further."""
LOOKING = 10.0
"""Seconds that have to be left to look at how like the rows are to the source's own."""
ENDING = 0.5
"""Seconds that are left to write the result in."""
_OF_ONE_TRIAL = ("offsets", "temperature")
"""What a trial settled that depends on what its model answers. The strength of regularisation stays
as it is: it does not grow with the rows."""


Curves = dict[str, tuple[Contender, LearningCurve]]
"""Of the sides ``transfer`` and ``scratch``, as far as there was time."""


def curves(prepared: Prepared, standing: Standing, clock: Clock) -> Curves:
    """Return the learning curves of both sides, that of the one that is handed back first.

    That of a head start is of fixed features: no network is tuned for it. Each is measured as far
    as there is time, on fewer rows where it is short.
    """
    known, scratch = (c and c.alone for c in (standing.transfer, standing.scratch))
    transfer = known if known and known.entry.recipe.stages == 0 else standing.probe
    sides = [("transfer", transfer), ("scratch", scratch)]
    if standing.winner is standing.scratch:
        sides.reverse()
    share = max(SHARE * clock.budget, min(LONGEST, LEFT * clock.left))
    end = max(ENDING, clock.left - share)
    found: Curves = {}
    for name, contender in sides:
        if contender is None or not contender.entry.recipe.learns:
            continue
        curve = _curve(prepared, contender, end, clock)
        if curve is not None:
            found[name] = contender, curve
    return found


def outlook(prepared: Prepared, found: Curves, listener: Listener) -> dict[str, Any] | None:
    """Return what more labels would bring, as JSON data, and say it; None where nothing is known.

    The curve that comes first, and where another is forecast to be as good.
    """
    if not found:
        return None
    (side, (contender, curve)), *others = found.items()
    says = said(curve, len(prepared.everything.data))
    listener.say(f"{says} ({contender.entry.name})")
    data: dict[str, Any] = {"of": contender.entry.name, "side": side, "says": says, **curve.data()}
    for name, (other, its) in others:
        meets = curve.meets(its)
        data["other"] = {"of": other.entry.name, "side": name, **its.data()}
        data["meets"] = meets.data() if meets else None
    return data


def likely(
    prepared: Prepared,
    standing: Standing,
    scores: Mapping[str, Interval],
    found: Curves,
    clock: Clock,
) -> tuple[str, ...]:
    """Return why a head start may not have helped, from its `scores` on the test and the curves."""
    like = None
    if standing.transfer is not None and clock.left > max(LOOKING, SHARE * clock.budget):
        extractor = prepared.bench.extractors[standing.transfer.entry.source or ""]
        like = similarity(prepared.everything.data, extractor, prepared.bench.seed)
    return tuple(
        likely_reasons(
            like,
            scores["scratch"].value,
            scores["majority"].value,
            prepared.bench.metric.greater_is_better,
            {side: curve for side, (_, curve) in found.items()},
        )
    )


def said(curve: LearningCurve, rows: int) -> str:
    """Return what about as many more labels would bring, in words."""
    more = round_number(rows)
    return f"with {more:,} more labels expect {expected(curve.at(rows + more), curve.metric)}"


def expected(score: Interval, metric: str) -> str:
    """Return a score with its band, in words."""
    return f"{figure(score.value)} {metric} [{figure(score.low)}, {figure(score.high)}]"


def round_number(rows: int) -> int:
    """Return one, two or five times a power of ten: the largest that is not above `rows`."""
    power = 10 ** int(np.log10(max(1, rows)))
    return max(times * power for times in (1, 2, 5) if times * power <= max(1, rows))


def epochs_of(recipe: Recipe, epochs: int, rows: int, fewer: int) -> int:
    """Return in how many epochs so many `fewer` rows are learnt, where `rows` took `epochs`.

    They have as many steps, as far as the recipe goes: where training ended early on many rows, few
    would be hardly looked at in as many epochs.
    """
    return min(recipe.for_rows(fewer).epochs, math.ceil(epochs * max(1.0, rows / fewer)))


def _curve(
    prepared: Prepared, contender: Contender, end: float, clock: Clock
) -> LearningCurve | None:
    """Return the curve of a recipe on as many rows as there is time for, or None.

    `end` is how much of the budget shall be left.
    """
    bench, entry = prepared.bench, contender.entry
    rows = prepared.everything
    settled = {
        name: value
        for name, value in contender.record.details["settled"].items()
        if name not in _OF_ONE_TRIAL
    }
    assignment = replace(
        assign(bench, entry.recipe, entry.source, lambda: False), validation=None, settled=settled
    )
    learner = learners.get(entry.recipe.learner)
    strata = bench.task.strata(rows.targets)

    def asked(size: int) -> Assignment:
        if EPOCHS not in settled:
            return assignment
        epochs = epochs_of(entry.recipe, settled[EPOCHS], len(bench.train.data), size)
        return replace(assignment, settled={**settled, EPOCHS: epochs})

    while sizes := sizes_of(len(rows.data), len(np.unique(strata))):
        some = replace(asked(sizes[-1]), train=(rows.take(np.arange(sizes[-1])),))
        passes = [size * asked(size).settled.get(EPOCHS, 1) for size in sizes]
        known = contender.record.seconds * sizes[-1] / len(bench.train.data)
        a_deal = FOLDS * sum(passes) / passes[-1] * min(known, learner.forecast(some))
        if a_deal <= clock.left - end:
            break
        random = np.random.default_rng([bench.seed, len(rows.data)])
        rows = rows.take(stratified_order(strata, random)[: len(rows.data) // 2])
        strata = bench.task.strata(rows.targets)

    def answer(learnt: np.ndarray, held: np.ndarray) -> Tensor:
        pieces: tuple[Rows, ...] = (rows.take(learnt),)
        fitted = learner.fit(replace(asked(len(learnt)), train=pieces))
        return fitted.model.outputs(rows.data.take(held.tolist()))

    begun = clock.used

    def late(deals: int) -> bool:
        return clock.left - (clock.used - begun) / deals < end

    if not sizes:
        return None
    return learning_curve(answer, bench.metric, rows.targets, strata, rows.units, bench.seed, late)
