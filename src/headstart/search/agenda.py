"""The agenda of a race: which trial comes next, by what it is expected to bring for its price.

Features of all sources and the small model come first; they are cheap, and say what a source is
worth before anything is tuned. Where there are several small models, the others follow the first
tuned network. What tuning brings beyond them is believed to be as recipes say, and learnt on the
way: where one tuned network was no better than its head, others are expected to be no better
either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.recipes import Recipe

COMMON = 0.15
"""How far targets differ in what tuning brings: standard deviation of the logarithm of errors."""


@dataclass(frozen=True)
class Tried:
    """A trial that has a score, and the error that is not luck: by its log, with its variance."""

    recipe: Recipe
    source: str | None
    error: float
    noise: float


@dataclass(frozen=True)
class Agenda:
    """Chooses the next of several (recipe, source).

    Parameters
    ----------
    price
        What a recipe of a source costs beside others; it has to be the same in every session, so it
        is not measured.
    """

    price: Callable[[Recipe, str | None], float]

    def next(
        self, pending: Sequence[tuple[Recipe, str | None]], tried: Sequence[Tried]
    ) -> tuple[Recipe, str | None]:
        """Return what is best tried next; of equals, what comes first."""
        tuning = [one for one in pending if _tunes(one[0])]
        small = any(one.recipe.start == "small" for one in tried)
        begun = any(_tunes(one.recipe) for one in tried)
        waits = small and not begun and bool(tuning)
        for recipe, source in pending:
            if not _tunes(recipe) and not (waits and recipe.start == "small"):
                return recipe, source
        return max(tuning, key=lambda one: self.worth(one[0], one[1], tried))

    def worth(self, recipe: Recipe, source: str | None, tried: Sequence[Tried]) -> float:
        """Return by how much a trial is expected to lower the least error, for its price.

        In units of the logarithm of errors (Mockus, 1978; by price: Snoek et al., NeurIPS 2012).
        """
        if recipe.start != "source":
            return 0.0  # it cannot be the head start; it is tried when nothing else is
        heads = _heads(tried)
        if not heads:
            return recipe.gain / self.price(recipe, source)
        mean, spread = common(tried)
        start = heads.get(source, max(heads.values()))
        expected = start - recipe.gain - mean
        variance = recipe.doubt**2 + spread
        least = min(one.error for one in tried)
        return improvement(least - expected, math.sqrt(variance)) / self.price(recipe, source)


def common(tried: Sequence[Tried]) -> tuple[float, float]:
    """Return what tuning brings on this target beyond what recipes say: mean and variance.

    Of each tuned model it is seen how its error differs from that of the best head of its source.
    """
    heads = _heads(tried)
    precision, weighted = 1 / COMMON**2, 0.0
    for one in tried:
        if _tunes(one.recipe) and one.recipe.start == "source" and one.source in heads:
            variance = one.recipe.doubt**2 + 2 * one.noise
            precision += 1 / variance
            weighted += (heads[one.source] - one.error - one.recipe.gain) / variance
    return weighted / precision, 1 / precision


def improvement(mean: float, deviation: float) -> float:
    """Return the mean of the positive part of a normal variable."""
    if deviation <= 0:
        return max(0.0, mean)
    z = mean / deviation
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return mean * 0.5 * math.erfc(-z / math.sqrt(2)) + deviation * density


def _tunes(recipe: Recipe) -> bool:
    return (recipe.stages != 0 or bool(recipe.phases)) and recipe.start != "small"


def _heads(tried: Sequence[Tried]) -> dict[str | None, float]:
    """Return the least error of a head on fixed features of each source, or of it as it is."""
    found: dict[str | None, float] = {}
    for one in tried:
        if one.recipe.start == "source" and not _tunes(one.recipe):
            found[one.source] = min(one.error, found.get(one.source, math.inf))
    return found
