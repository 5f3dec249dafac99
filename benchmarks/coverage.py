"""How often the 95% intervals hold what they are intervals of, and how wide they are.

Rows are made up: a head start is 40 features in which classes lie apart, a model from scratch sees
200 in which they do less so. Each side is a recipe of three strengths of ridge regression, of which
one is chosen as in a run. What an interval shall
hold is the score, or the gain, of the very models that answered the rows: of a hold-out that is the
one that was evaluated, of nested cross-validation the mean of those fitted on four fifths of the
rows. `handed_back` says how often an interval of the latter holds also the score, or gain, of what
is handed back, which is chosen by all rows and fitted on all. What is true is measured on 4,000
fresh rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.data.splits import NESTED_FOLDS, deal
from headstart.evidence.beliefs import Prior
from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.intervals import Interval, repeated_interval, wilson
from headstart.evidence.nested import GAIN_OVERLAP, SCORE_OVERLAP, Answered, chosen
from headstart.tasks.metrics import CLASSIFICATION
from records import keep

REPEATED = 500
FRESH = 4_000
STRENGTHS = (1.0, 10.0, 100.0)
SIDES = {"transfer": (40, 1.0), "scratch": (200, 0.55)}
"""Features of each side, and how far classes lie apart in them, as a share of the world's own."""
ACCURACY = CLASSIFICATION["accuracy"]


@dataclass(frozen=True)
class World:
    """A made-up world: `apart` is how far its classes lie apart, `flipped` the share of labels
    that are drawn by lot."""

    classes: int
    apart: float
    flipped: float

    def draw(self, rows: int, random: np.random.Generator) -> tuple[dict[str, np.ndarray], Any]:
        """Return features of each side, and targets, as many of each class."""
        targets = np.arange(rows) % self.classes
        features = {}
        for stream, (side, (width, share)) in enumerate(SIDES.items()):
            centres = np.random.default_rng(stream).normal(size=(self.classes, width))
            distance = share * self.apart / np.sqrt(width)
            features[side] = distance * centres[targets] + random.normal(size=(rows, width))
        by_lot = random.random(rows) < self.flipped
        return features, np.where(by_lot, random.integers(0, self.classes, rows), targets)


WORLDS = {
    "two classes": World(2, 2.5, 0.0),
    "two classes, noisy": World(2, 4.0, 0.3),
    "three classes": World(3, 4.0, 0.1),
    "five classes, nearly perfect": World(5, 7.0, 0.0),
    "nothing to learn": World(2, 0.0, 0.0),
}


def fitted(x: np.ndarray, y: np.ndarray, classes: int, strength: float) -> Any:
    """Return what predicts by ridge regression on indicators of classes."""
    mean, hot = x.mean(0), np.eye(classes)[y]
    inner = x - mean
    dual = np.linalg.solve(inner @ inner.T + strength * np.eye(len(x)), hot - hot.mean(0))
    weight = inner.T @ dual
    return lambda rows: ((rows - mean) @ weight + hot.mean(0)).argmax(1)


def answered(right: np.ndarray) -> Answered:
    """Return answers to rows of which it is known whether they are right."""
    return Answered(right.astype(float)[:, None], np.ones(len(right)), None, None)


def nested(world: World, rows: int, repeats: int, random: np.random.Generator) -> dict[str, Any]:
    """Return intervals of nested cross-validation, and the truth of what is handed back."""
    features, targets = world.draw(rows, random)
    fresh, truth = world.draw(FRESH, random)
    folds = [
        deal(targets, np.arange(rows), random.permutation(rows), NESTED_FOLDS)
        for _ in range(repeats)
    ]
    statistics: dict[str, list[np.ndarray]] = {}
    true, back = {}, {}
    for side, x in features.items():
        right = np.zeros((repeats, len(STRENGTHS), rows))
        afresh = np.zeros((repeats, len(STRENGTHS), NESTED_FOLDS))
        for number, fold_of in enumerate(folds):
            for fold in range(NESTED_FOLDS):
                learnt, held = fold_of != fold, fold_of == fold
                for i, strength in enumerate(STRENGTHS):
                    predict = fitted(x[learnt], targets[learnt], world.classes, strength)
                    right[number, i, held] = predict(x[held]) == targets[held]
                    afresh[number, i, fold] = (predict(fresh[side]) == truth).mean()
        tried = [[answered(r) for r in right[:, i]] for i in range(len(STRENGTHS))]
        found = chosen(ACCURACY, folds, tried, [Prior(None)] * len(STRENGTHS))
        statistics[side] = [one.statistics for one in found]
        scores = [
            afresh[number, right[:, :, fold_of != fold].mean((0, 2)).argmax(), fold]
            for number, fold_of in enumerate(folds)
            for fold in range(NESTED_FOLDS)
        ]
        best = right.mean((0, 2)).argmax()
        predict = fitted(x, targets, world.classes, STRENGTHS[best])
        back[side] = float((predict(fresh[side]) == truth).mean())
        true[side] = float(np.mean(scores))
    return intervals(statistics, true, back, rows, (SCORE_OVERLAP, GAIN_OVERLAP))


def holdout(world: World, rows: int, _: int, random: np.random.Generator) -> dict[str, Any]:
    """Return intervals of a hold-out, and the truth of the models that were evaluated."""
    features, targets = world.draw(rows, random)
    fresh, truth = world.draw(FRESH, random)
    part = deal(targets, np.arange(rows), random.permutation(rows), 10)
    learnt, by, held = part >= 5, (part == 3) | (part == 4), part < 3
    statistics, true = {}, {}
    for side, x in features.items():
        models = [fitted(x[learnt], targets[learnt], world.classes, s) for s in STRENGTHS]
        best = max(models, key=lambda predict: (predict(x[by]) == targets[by]).mean())
        statistics[side] = [answered(best(x[held]) == targets[held]).statistics]
        true[side] = float((best(fresh[side]) == truth).mean())
    return intervals(statistics, true, true, int(held.sum()), (1.0, 1.0))


def intervals(
    statistics: dict[str, Any],
    true: dict[str, float],
    back: dict[str, float],
    rows: int,
    overlap: tuple[float, float],
) -> dict[str, Any]:
    """Return whether the intervals hold the truth, and how wide that of the score is."""
    units = np.arange(rows)
    score = repeated_interval(ACCURACY, statistics["transfer"], units, overlap=overlap[0])
    gain = repeated_gain(
        ACCURACY, statistics["transfer"], statistics["scratch"], units, overlap=overlap[1]
    )
    plain = wilson(score.value * rows, rows)
    return {
        "score": holds(score, true["transfer"]),
        "gain": holds(gain, true["transfer"] - true["scratch"]),
        "handed_back_score": holds(score, back["transfer"]),
        "handed_back_gain": holds(gain, back["transfer"] - back["scratch"]),
        "width": (score.high - score.low) / (plain.high - plain.low),
        "bias": score.value - true["transfer"],
    }


def holds(interval: Interval, true: float) -> bool:
    """Say whether an interval holds what is true."""
    return interval.low <= true <= interval.high


def main() -> None:
    """Simulate each world `REPEATED` times."""
    found: dict[str, Any] = {}
    methods = {
        "holdout, 400 rows": (holdout, 400, 0),
        "nested-cv, 60 rows": (nested, 60, 1),
        "nested-cv, 60 rows, dealt 3 times": (nested, 60, 3),
        "nested-cv, 200 rows": (nested, 200, 1),
    }
    for method, (simulate, rows, repeats) in methods.items():
        for name, world in WORLDS.items():
            random = np.random.default_rng(0)
            runs = [simulate(world, rows, repeats, random) for _ in range(REPEATED)]
            found.setdefault(method, {})[name] = {
                what: float(np.mean([run[what] for run in runs])) for what in runs[0]
            }
        worlds = list(found[method].values())
        found[method]["mean"] = {
            what: float(np.mean([world[what] for world in worlds])) for what in worlds[0]
        }
    keep(
        "coverage",
        {
            "repeats": REPEATED,
            "overlap": {"score": SCORE_OVERLAP, "gain": GAIN_OVERLAP},
            "methods": found,
        },
    )


if __name__ == "__main__":
    main()
