"""Every recipe on the same rows: accuracy on test data it never saw, and seconds, in one run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from headstart.data.reading import read
from headstart.data.splits import split, units
from headstart.features.extract import Extractor
from headstart.recipes import recipes_for
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from headstart.tasks import metric_for, task_for
from headstart.training.learners import Assignment, Rows, learners
from records import keep
from targets import bbc_articles, bbc_folders, fashion_folder

LEFT_OUT = ("full", "scratch-same-architecture")
"""Recipes that tune a whole network; they take minutes each."""


def compared(train: Path, test: Path) -> list[dict[str, Any]]:
    """Fit every recipe on the training part of `train`; score each on `test`."""
    dataset, held = read(train), read(test)
    task = task_for(dataset)
    dataset, spec = task.validate(dataset)
    metric = metric_for(task, spec)
    targets, truth = task.encode(dataset, spec), task.encode(held, spec)
    parts = split(dataset, task.strata(targets), seed=0)
    unit_of = units(dataset)
    rows = Rows(dataset, targets, unit_of).take

    learnt, chosen_by = rows(parts.train), rows(parts.validation)
    source = next(s for s in sources if s.modality == dataset.modality)
    loaded = load_source(source)
    extractor = Extractor(loaded.backbone, loaded.digest)
    extractor.extract(learnt.data, loaded.backbone.end)  # what every recipe builds on
    found = []
    for recipe in recipes_for(dataset.modality, "pooled"):
        if recipe.name in LEFT_OUT:
            continue
        assignment = Assignment(
            recipe=recipe,
            task=task,
            spec=spec,
            metric=metric,
            train=(learnt,),
            validation=chosen_by,
            extractor=None if recipe.start == "small" else extractor,
            seed=0,
        )
        learner = learners.get(recipe.learner)
        forecast = learner.forecast(assignment)
        started = time.monotonic()
        fitted = learner.fit(assignment)
        seconds = time.monotonic() - started
        found.append(
            {
                "recipe": recipe.name,
                "cut": fitted.cut,
                "rows": len(learnt.data),
                "test_rows": len(held),
                "accuracy": metric.score(fitted.model.outputs(held), truth),
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
