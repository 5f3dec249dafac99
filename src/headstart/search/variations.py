"""Variations of a recipe where time is left: other draws, and settings searched by Optuna.

Nothing of the search is kept but the trials themselves: what is asked next follows from them and
the seed, so a resumed run asks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.recipes import Recipe

MOST = 20
"""Variations at most."""
FIRST = 4
"""Trials before what was found guides what is asked, and before any is ended on its way."""
RATE, BODY, DECAY = (0.25, 4.0), (0.25, 4.0), (0.05, 15.0)
"""Of the learning rate, of the stages' share of it, and of the decay, in those of the recipe."""
SMOOTHING = (0.0, 0.2)


class Pruned(Exception):
    """A variation was so far behind the others that it was ended on its way."""


@dataclass(frozen=True)
class Seen:
    """A variation that was tried: its signed score, and that of each epoch.

    It has none where it was ended on its way.
    """

    recipe: Recipe
    score: float | None
    course: tuple[float, ...] = ()


def varied(base: Recipe, known: Sequence[Seen], seed: int) -> Recipe:
    """Return the variation of a recipe to try next, which is another draw of chance in any case.

    The first is nothing else; the settings of the others are those of a tree-structured Parzen
    estimator (Bergstra et al., NeurIPS 2011).

    Parameters
    ----------
    known
        What was tried, the recipe itself among them.
    """
    another = replace(base, draw=len(known))
    if len(known) == 1:
        return another
    return _at(another, _study(base, known, seed).ask(_space()).params)


def behind(base: Recipe, known: Sequence[Seen], course: Sequence[float]) -> bool:
    """Say whether a variation with these scores so far is below the median of the others."""
    study = _study(base, known, 0)
    trial = study.ask(_space())
    for epoch, score in enumerate(course):
        trial.report(score, epoch)
    return bool(trial.should_prune())


def is_variation(recipe: Recipe, base: Recipe) -> bool:
    """Say whether a recipe differs from another in its draw and continuous settings alone."""
    if not recipe.phases or len(recipe.phases) != len(base.phases):
        return False
    phases = tuple(
        replace(own, rate=first.rate, body=first.body)
        for own, first in zip(recipe.phases, base.phases, strict=True)
    )
    same = replace(
        recipe, phases=phases, decay=base.decay, smoothing=base.smoothing, draw=base.draw
    )
    return same == base


def _space() -> dict[str, Any]:
    from optuna.distributions import FloatDistribution

    return {
        "rate": FloatDistribution(*RATE, log=True),
        "body": FloatDistribution(*BODY, log=True),
        "decay": FloatDistribution(*DECAY, log=True),
        "smoothing": FloatDistribution(*SMOOTHING),
    }


def _study(base: Recipe, known: Sequence[Seen], seed: int) -> Any:
    import optuna
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed + len(known), n_startup_trials=FIRST),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=1),
    )
    space = _space()
    for one in known:
        if one.score is None:
            continue
        settings = {
            name: min(max(value, space[name].low), space[name].high)
            for name, value in _settings(base, one.recipe).items()
        }
        study.add_trial(
            create_trial(
                params=settings,
                distributions=space,
                value=one.score,
                intermediate_values=dict(enumerate(one.course)),
            )
        )
    return study


def _settings(base: Recipe, recipe: Recipe) -> dict[str, float]:
    """Return the settings of a variation; rates and decay in those of the recipe it varies."""
    own, first = recipe.phases[-1], base.phases[-1]
    return {
        "rate": own.rate / first.rate,
        "body": own.body / first.body,
        "decay": recipe.decay / base.decay if base.decay else 1.0,
        "smoothing": recipe.smoothing,
    }


def _at(base: Recipe, settings: dict[str, float]) -> Recipe:
    """Return the variation of a recipe with these settings."""
    phases = tuple(
        replace(phase, rate=phase.rate * settings["rate"], body=phase.body * settings["body"])
        for phase in base.phases
    )
    decay = base.decay * settings["decay"]
    return replace(base, phases=phases, decay=decay, smoothing=settings["smoothing"])
