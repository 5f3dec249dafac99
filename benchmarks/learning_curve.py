"""Whether the forecast of the learning curve comes true at four times the labels.

From a tenth of the rows, drawn anew each time, the curve of a linear head is measured and forecast.
Then the same head learns from four times as many rows, those among them, and is scored on all
others. How wrong the law may be (`headstart.evidence.learning_curve.MISFIT`) was set on other
targets than those by which it is judged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benches import bench_of
from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.data.splits import stratified_order
from headstart.evidence.learning_curve import learning_curve
from headstart.features.shared import shared_extractor
from headstart.models.heads import Readout
from headstart.sources.opening import find_source
from headstart.tasks.linear import STRENGTHS, LinearSolution, Problem
from headstart.tasks.matrix import Array, Scaled
from records import keep
from targets import (
    SPAM,
    bbc_articles,
    bbc_folders,
    digits_folder,
    fashion_folder,
    mnist_folder,
    stamps_folder,
)

SEEDS, OTHER_SEEDS = 34, 12
SHARE = 0.1
TIMES = 4
WITHIN = 0.02
"""Points by which a forecast may be off, besides two standard errors of the measured score."""


def fashion(place: Path) -> Path:
    """Write 10,000 product pictures."""
    fashion_folder(place / "fashion", "train", 10_000)
    return place / "fashion"


def few(place: Path) -> Path:
    """Write 2,000 product pictures, of which 200 are learnt from."""
    return fashion_folder(place / "few", "train", 2_000, seed=1)


def bbc(place: Path) -> Path:
    """Write all articles."""
    articles = bbc_articles(place)
    return bbc_folders(place / "bbc", articles, len(articles), seed=0)[0]


def stamps(place: Path) -> Path:
    """Write the stamps of five classes."""
    return stamps_folder(place / "stamps")


TARGETS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "Fashion-MNIST": (fashion, "bundled/efficientnet-lite0"),
    "BBC News": (bbc, "bundled/minilm"),
    "Tux Paint": (stamps, "bundled/efficientnet-lite0"),
}
OTHERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "MNIST": (lambda place: mnist_folder(place / "mnist"), "bundled/efficientnet-lite0"),
    "digits": (lambda place: digits_folder(place / "digits"), "bundled/efficientnet-lite0"),
    "2,000 of Fashion-MNIST": (few, "bundled/efficientnet-lite0"),
    "SpamAssassin": (lambda _place: SPAM, "bundled/minilm"),
}
"""On which nothing is judged."""


class Head:
    """A linear head on cached features, solved for some rows."""

    def __init__(self, dataset: Dataset, source: str) -> None:
        bench = bench_of(dataset, {}, range(len(dataset)))
        self.task, self.spec, self.metric = bench.task, bench.spec, bench.metric
        rows = bench.train
        self.targets, self.units = rows.targets, rows.units
        self.strata = self.task.strata(self.targets)
        extractor = shared_extractor(find_source(source, dataset.modality))
        values = extractor.extract(rows.data, extractor.backbone.end)
        self.features = Readout(values, "linear").take(np.arange(len(self.targets)))

    def solved(self, learnt: np.ndarray, strength: float | None = None) -> LinearSolution:
        """Return the head that learns from some rows, of this strength or of one it chooses."""
        features = Scaled.of(Array(self.features[learnt]))
        problem = Problem.of_rows(features, np.arange(len(learnt)))
        found = self.task.solve_linear(
            problem, self.targets[learnt], self.units[learnt], self.spec, 0, STRENGTHS, strength
        )
        assert found is not None
        return found

    def outputs(self, solved: LinearSolution, asked: np.ndarray) -> torch.Tensor:
        """Return what a head says of some rows."""
        weight, bias = torch.from_numpy(solved.weight), torch.from_numpy(solved.bias)
        return torch.from_numpy(self.features[asked]) @ weight.T + bias

    def forecast(self, seed: int) -> dict[str, Any]:
        """Return what is forecast from a tenth of the rows, and what was measured then."""
        order = stratified_order(self.strata, np.random.default_rng(seed))
        few, many = (order[: int(t * SHARE * len(order))] for t in (1, TIMES))
        strength = self.solved(few).strength
        curve = learning_curve(
            lambda learnt, held: self.outputs(self.solved(few[learnt], strength), few[held]),
            self.metric,
            self.targets[few],
            self.strata[few],
            self.units[few],
            seed,
        )
        assert curve is not None
        expected = curve.at(len(many))
        others = order[len(many) :]
        score = self.metric.score(
            self.outputs(self.solved(many, strength), others), self.targets[others]
        )
        error = float(np.sqrt(score * (1 - score) / len(others)))
        return {
            "rows": len(few),
            "now": curve.scores[-1],
            "forecast": expected.data(),
            "measured": score,
            "standard_error": error,
            "near": abs(expected.value - score) <= WITHIN + 2 * error,
            "inside": expected.low <= score <= expected.high,
        }


def judged(
    targets: dict[str, tuple[Callable[[Path], Path], str]], seeds: int
) -> dict[str, dict[str, Any]]:
    """Return how good the forecasts of each target were, over the seeds."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (write, source) in targets.items():
            head = Head(read(write(Path(scratch))), source)
            runs = [head.forecast(seed) for seed in range(seeds)]
            off = [run["forecast"]["value"] - run["measured"] for run in runs]
            widths = [run["forecast"]["high"] - run["forecast"]["low"] for run in runs]
            found[name] = {
                "near": float(np.mean([run["near"] for run in runs])),
                "inside": float(np.mean([run["inside"] for run in runs])),
                "both": float(np.mean([run["near"] and run["inside"] for run in runs])),
                "mean_error": float(np.mean(off)),
                "mean_absolute_error": float(np.mean(np.abs(off))),
                "mean_width": float(np.mean(widths)),
                "runs": runs,
            }
    return found


def main() -> None:
    """Forecast for each target and seed."""
    found = judged(TARGETS, SEEDS)
    others = judged(OTHERS, OTHER_SEEDS)
    both = float(np.mean([target["both"] for target in found.values()]))
    keep(
        "learning_curve",
        {"seeds": SEEDS, "within": WITHIN, "both": both, "targets": found, "others": others},
    )


if __name__ == "__main__":
    main()
