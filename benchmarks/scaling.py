"""What to divide each channel by before a linear head is solved: scores on rows not learnt from.

Three rules on the same draws: each channel's own deviation, one divisor for all channels, and the
geometric mean of the two (Pareto scaling), which headstart uses.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from headstart.embedding import Embedding, embed
from headstart.tasks import matrix
from headstart.tasks.linear import Features
from headstart.tasks.logistic import solve_multinomial
from headstart.tasks.ridge import solve_ridge
from records import keep
from targets import (
    bbc_articles,
    bbc_folders,
    fashion_folder,
    measured_stamps,
    mnist_folder,
    placed_sentences,
    stamps_folder,
)

Rule = Callable[[np.ndarray], np.ndarray]


def own(deviation: np.ndarray) -> np.ndarray:
    """Return each channel's own deviation; a constant channel keeps its place."""
    return matrix.spread(deviation)


def one(deviation: np.ndarray) -> np.ndarray:
    """Return the usual deviation for all channels alike."""
    stirring = deviation[deviation > matrix.FLAT]
    return np.full_like(deviation, np.median(stirring))


RULES: dict[str, Rule] = {"own": own, "one": one, "pareto": matrix.pareto}
SEEDS = range(5)
SIZES = (50, 100, 400, 1000)
ROWS = 3000
SHARE = 0.3
"""Of the groups, how many are learnt from where the target is a number."""


def by_rule(score: Callable[[int], float]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of a score over the seeds, under each rule."""
    found = {}
    for name, rule in RULES.items():
        with patch.object(matrix, "pareto", rule):
            scores = [score(seed) for seed in SEEDS]
        found[name] = {"mean": float(np.mean(scores)), "deviation": float(np.std(scores))}
    return found


def accuracies(embedded: Embedding, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Return the accuracy of a probe on all other rows, for each number of labels."""
    assert embedded.labels is not None
    classes, labels = np.unique(embedded.labels, return_inverse=True)

    def score(seed: int, size: int) -> float:
        order = np.random.default_rng(seed).permutation(len(labels))
        learnt, held = order[:size], order[size:]
        solved = solve_multinomial(
            Features.of(embedded.values[learnt]),
            labels[learnt],
            len(classes),
            np.arange(size),
            seed,
        )
        said = (embedded.values[held] @ solved.weight.T + solved.bias).argmax(1)
        return float((said == labels[held]).mean())

    return {
        str(size): by_rule(lambda seed, size=size: score(seed, size))  # type: ignore[misc]
        for size in sizes
        if size <= len(labels) / 2
    }


def errors(embedded: Embedding, groups: np.ndarray) -> dict[str, Any]:
    """Return the root mean square error of ridge regression on rows of other groups."""
    assert embedded.labels is not None
    truth = np.array(embedded.labels, np.float64)[:, None]

    def score(seed: int) -> float:
        split = GroupShuffleSplit(1, train_size=SHARE, random_state=seed)
        learnt, held = next(split.split(truth, groups=groups))
        features = Features.of(embedded.values[learnt])
        solved = solve_ridge(features, truth[learnt], groups[learnt], seed)
        wrong = embedded.values[held] @ solved.weight.T + solved.bias - truth[held]
        return float(np.sqrt((wrong**2).mean()))

    return by_rule(score)


def main() -> None:
    """Embed each target, with middle stages and without, and keep the scores."""
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles = bbc_articles(place / "wheel")
        folders = {
            "Fashion-MNIST": fashion_folder(place / "fashion", "train", ROWS),
            "MNIST": mnist_folder(place / "mnist"),
            "stamps of five classes": stamps_folder(place / "stamps"),
            "BBC News": bbc_folders(place / "bbc", articles, len(articles), 0)[0],
        }
        (place / "numbers").mkdir()
        tables = {
            "share of a picture": (measured_stamps(place / "numbers", 1000, 0), "share", "thing"),
            "place of a sentence": (
                placed_sentences(place / "numbers", articles, 300, 5, 0),
                "place",
                "article",
            ),
        }
        for layers in (False, True):
            kind = "with middle stages" if layers else "last features"
            found = table[kind] = {}
            for name, folder in folders.items():
                found[name] = accuracies(embed(folder, layers=layers), SIZES)
            for name, (file, label, group) in tables.items():
                rows = pd.read_csv(file)
                embedded = embed(file, label=label, input=rows.columns[0], layers=layers)
                groups = rows[group].astype("category").cat.codes.to_numpy()
                found[name] = errors(embedded, groups)
    keep("scaling", {"rows": ROWS, "seeds": len(SEEDS), "scores": table})


if __name__ == "__main__":
    main()
