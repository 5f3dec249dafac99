"""Half precision costs nothing that can be measured, and what is saved answers as the trial did.

A probe is solved on features from the engine of choice, and on features from eager PyTorch in
float32: their accuracies on the same test rows may differ by a standard error at most. And models
that were saved without a refit answer, in every engine, as in the trial that they come from.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benches import bench_of, parts
from headstart.artifact.loading import load
from headstart.artifact.saving import Artifact, save
from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.data.splits import units
from headstart.features import engines
from headstart.features.extract import Extractor
from headstart.models.heads import Readout
from headstart.recipes import Recipe, recipes_for
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.sources.loading import LoadedSource, load_source
from headstart.tasks.linear import Features
from headstart.tasks.logistic import solve_multinomial
from headstart.training.learners import learners
from peers.tasks import TASKS
from records import keep

TESTED = 1_000
"""Test rows at most: eager PyTorch computes some dozens a second."""
LEARNT = 1_000
NAME = "source"
AGREEING = 0.995
EPOCHS = 2
EACH = (("openvino",), ("openvino-f32",), ("eager",))
"""Engines in which trials run, and in which what they saved answers."""


def drawn(rows: Dataset, most: int) -> Dataset:
    """Return at most so many rows, a seeded draw."""
    order = np.random.default_rng(0).permutation(len(rows))[:most]
    return rows.take(np.sort(order).tolist())


def probed(source: LoadedSource, learnt: Dataset, tested: Dataset) -> dict[str, Any]:
    """Return the accuracy of a probe on the features of each of two engines."""
    names = sorted(set(learnt.targets[0].values))
    codes, truth = (
        np.array([names.index(str(value)) for value in rows.targets[0].values])
        for rows in (learnt, tested)
    )
    found: dict[str, Any] = {"learnt": len(learnt), "tested": len(tested)}
    for order in (engines.ORDERS["cpu"], ("eager",)):
        extractor = Extractor(source.backbone, source.digest, order=order)
        end = source.backbone.end
        train, test = (Readout(extractor.extract(r, end), "linear") for r in (learnt, tested))
        solved = solve_multinomial(Features(train), codes, len(names), units(learnt), 0)
        outputs = test.take(np.arange(len(truth))) @ solved.weight.T + solved.bias
        [chosen] = extractor.chosen.values()
        side = "eager" if order == ("eager",) else "engine"
        found[side] = {
            "name": chosen.name,
            "precision": chosen.precision,
            "accuracy": float((outputs.argmax(1) == truth).mean()),
        }
    accuracy = found["eager"]["accuracy"]
    found["difference"] = abs(found["engine"]["accuracy"] - accuracy)
    found["standard_error"] = math.sqrt(accuracy * (1 - accuracy) / len(truth))
    found["within"] = found["difference"] <= found["standard_error"]
    return found


def short(recipe: Recipe) -> Recipe:
    """Return a recipe with few epochs and views: what it reaches does not matter here."""
    phases = tuple(replace(phase, epochs=min(EPOCHS, phase.epochs)) for phase in recipe.phases)
    return replace(recipe, phases=phases, views=min(1, recipe.views))


def answered(source: LoadedSource, dataset: Dataset, place: Path) -> list[dict[str, Any]]:
    """Return how many answers of each saved model are those of its trial, engine by engine."""
    known = parts(dataset)
    others = np.concatenate([known.validation, known.test])
    recipes = [
        recipe
        for recipe in recipes_for(dataset.modality, "pooled")
        if recipe.has_head_start and recipe.name != "full" and recipe.stages in (0, 1, 2)
    ]
    found = []
    for order, recipe in itertools.product(EACH, recipes):
        extractor = Extractor(source.backbone, source.digest, order=order)
        bench = bench_of(dataset, {NAME: extractor}, known.train, others)
        assignment = assign(bench, short(recipe), NAME, lambda: False)
        held = bench.validation
        with using(order):
            fitted = learners.get(recipe.learner).fit(assignment)
            expected = fitted.model.outputs(held.data).argmax(1)
        folder = place / f"{order[0]}-{recipe.name}-{recipe.rank}"
        named = (bench.task.name, bench.spec, bench.metric.name)
        save(Artifact(fitted.model, *named, "", {}, None), folder)
        for other in EACH:
            with using(other):
                answers = load(folder).model.outputs(held.data).argmax(1)
            share = float((answers == expected).float().mean())
            found.append(
                {
                    "recipe": recipe.name,
                    "stages": recipe.stages,
                    "trial_in": order[0],
                    "saved_in": other[0],
                    "rows": len(expected),
                    "agreeing": share,
                    "enough": share >= AGREEING,
                }
            )
            print(found[-1], flush=True)
    return found


@contextlib.contextmanager
def using(order: tuple[str, ...]) -> Iterator[None]:
    """Let networks choose among these engines alone."""
    usual = engines.ORDERS["cpu"]
    engines.ORDERS["cpu"] = order
    try:
        yield
    finally:
        engines.ORDERS["cpu"] = usual


def main() -> None:
    """Compare on every task of the peers."""
    torch.manual_seed(0)
    tables: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, task in TASKS.items():
            if name in ("fashion-10000", "bbc-40"):  # more, or fewer, rows of the same
                continue
            folder = task.folder(name)
            source = load_source(default_source(task.modality))
            learnt = drawn(read(folder / "train"), LEARNT)
            tested = drawn(read(folder / "test"), TESTED)
            tables[name] = {
                "probe": probed(source, learnt, tested),
                "saved": answered(source, learnt, Path(scratch) / name),
            }
            print(name, tables[name]["probe"], flush=True)
    keep("agreement", {"tasks": tables})


if __name__ == "__main__":
    main()
