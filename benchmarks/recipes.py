"""Every recipe on the same rows: accuracy on test data it never saw, and seconds, in one run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benches import divided, opened
from headstart.data.reading import read
from headstart.recipes import recipes_for
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.training.learners import learners
from records import keep
from targets import bbc_articles, bbc_folders, fashion_folder

LEFT_OUT = ("full", "scratch-same-architecture")
"""Recipes that tune a whole network; they take minutes each."""


def compared(train: Path, test: Path) -> list[dict[str, Any]]:
    """Fit every recipe on the training part of `train`; score each on `test`."""
    dataset, held = read(train), read(test)
    source = default_source(dataset.modality)
    bench, _ = divided(dataset, {source.id: opened(source)})
    truth = bench.task.encode(held, bench.spec)
    extractor = bench.extractors[source.id]
    extractor.extract(bench.train.data, extractor.backbone.end)  # what every recipe builds on
    found = []
    for recipe in recipes_for(dataset.modality, "pooled"):
        if recipe.name in LEFT_OUT:
            continue
        start = None if recipe.start == "small" else source.id
        assignment = assign(bench, recipe, start, lambda: False)
        learner = learners.get(recipe.learner)
        forecast = learner.forecast(assignment)
        started = time.monotonic()
        fitted = learner.fit(assignment)
        seconds = time.monotonic() - started
        found.append(
            {
                "recipe": recipe.name,
                "cut": fitted.cut,
                "rows": len(bench.train.data),
                "test_rows": len(held),
                "accuracy": bench.metric.score(fitted.model.outputs(held), truth),
                "forecast_seconds": forecast,
                "seconds": seconds,
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Run both targets and keep the table."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        test = fashion_folder(place / "test", "t10k", 5_000)
        pictures = compared(fashion_folder(place / "train", "train", 1_000), test)
        articles = bbc_articles(place / "wheel")
        texts = compared(*bbc_folders(place / "bbc", articles, 400, 0))
    keep("recipes", {"fashion": pictures, "bbc": texts})


if __name__ == "__main__":
    main()
