"""Whether a shortlist of three is as good as trying all sources, and what it costs.

Nine sources are ranked for each of six targets, on rows to learn from alone. Then each is adapted
to the target: a head on its features, one on all its layers, and its last stages tuned. The model
that does best on the validation rows is what trying all sources gives; the best of those of three
sources is what a shortlist gives. Regret is how much worse the latter is on the test rows.

What each source gains over the small model from scratch is compared with how like the rows are to
its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from scipy.stats import spearmanr

from benches import bench_of, opened
from headstart.evidence.shortlist import LENGTH, TOO_SLOW, Ranking, affordable, candidate
from headstart.evidence.similarity import similarity
from headstart.recipes import Recipe, recipes_for
from headstart.search.reach import subset
from headstart.search.trial import Bench, assign, run_trial
from headstart.sources.catalogue import Source
from headstart.sources.opening import find_source
from headstart.training.learners import Rows
from ranking.making import BUNDLED, OWN, TARGETS, own
from records import RESULTS, keep

RANKED = 200
"""Rows by which sources are ranked."""
LIMIT = 60.0
"""Seconds after which tuning a source ends, with the best model so far."""
SCORES = ("probe", "h-score", "leep", "logme", "nearest", "transrate")
FAVOURITE = "bundled/efficientnet-lite0"
LEVEL = 0.95
RESAMPLES = 2_000


def adapted(bench: Bench, source: str | None, tested: Rows) -> dict[str, Any]:
    """Adapt a source in each way, or fit the small models; return what each came to."""
    found = []
    for recipe in _recipes(source):
        started = time.monotonic()

        def late(since: float = started) -> bool:
            return time.monotonic() - since > LIMIT

        tried = run_trial(assign(bench, recipe, source, late))
        seconds = time.monotonic() - started
        if tried.fitted is None:
            found.append({"recipe": recipe.name, "failed": tried.reason, "seconds": seconds})
            continue
        right = tried.fitted.model.outputs(tested.data).argmax(1).numpy() == tested.targets
        found.append(
            {
                "recipe": recipe.name,
                "score": tried.score,
                "loss": tried.loss,
                "seconds": seconds,
                "right": "".join("01"[int(one)] for one in right),
            }
        )
    done = [one for one in found if "right" in one]
    best = max(done, key=_value)
    others = [{k: v for k, v in one.items() if k != "right"} for one in found]
    return {**best, "seconds": sum(one["seconds"] for one in found), "trials": others}


def _value(trial: dict[str, Any]) -> tuple[float, float]:
    """Return what validation says of a trial: its score, of equal ones the smaller loss."""
    loss = trial["loss"]
    return trial["score"], -np.inf if loss is None else -loss


def _recipes(source: str | None) -> list[Recipe]:
    """Return the ways to adapt a source: its features, its layers, and its last stages."""
    known = recipes_for("image", "pooled")
    if source is None:
        return [recipe for recipe in known if recipe.start == "small"]
    starting = [recipe for recipe in known if recipe.start == "source"]
    tuned = [recipe for recipe in starting if recipe.name == "finetune"]
    return [*(recipe for recipe in starting if recipe.stages == 0), *tuned[:1]]


def sources() -> dict[str, Source]:
    """Return the sources by name."""
    paths = {name: name for name in BUNDLED} | {name: own(name) for name in OWN}
    return {name: replace(find_source(path), id=name) for name, path in paths.items()}


def measured(target: str, place: Path, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Rank all sources for a target, then adapt each of them to it.

    Where that was done `before`, it stays; how like the rows are is measured anew.
    """
    known, competing = TARGETS[target], sources()
    dataset = known.read(place)
    order = np.random.default_rng(0).permutation(len(dataset))
    held = known.rows // 5
    extractors = {name: opened(source) for name, source in competing.items()}
    bench = bench_of(dataset, extractors, order[held : known.rows], order[:held])
    tested = bench_of(dataset, {}, order[known.rows :][: known.tested]).train
    for extractor in extractors.values():  # converted once on a machine, not once a target
        extractor.extract(tested.data.take([0]), extractor.backbone.end)
    count = min(RANKED, len(bench.train.data))
    strata = bench.task.strata(bench.train.targets)
    some = bench.train.take(subset(bench.train.data, strata, count, 0)[:count])
    if before is not None:
        for one in before["ranking"]["sources"]:
            one["similarity"] = similarity(some.data, extractors[one["source"]]).data()
        return before
    candidates, costs, left_out = [], {}, {}
    fast = affordable({name: source.speed for name, source in competing.items()})
    for name, source in competing.items():
        if name not in fast:
            left_out[name] = TOO_SLOW
            continue
        started = time.monotonic()
        its = candidate(source, extractors[name], some, bench.task, bench.spec, bench.metric)
        candidates.append(its)
        costs[name] = time.monotonic() - started
    ranking = {**Ranking.of(candidates, left_out, bench.metric, count).data(), "seconds": costs}
    found = {}
    for name in competing:
        found[name] = adapted(bench, name, tested)
        print(target, name, found[name]["recipe"], found[name]["score"], flush=True)
    return {
        "rows": known.rows,
        "tested": len(tested.data),
        "ranking": ranking,
        "adapted": found,
        "scratch": adapted(bench, None, tested),
    }


def choices(known: dict[str, Any]) -> dict[str, list[str]]:
    """Return which sources each way to choose takes, by what was measured for a target."""
    listed = known["ranking"]["sources"]
    found = {"shortlist": list(known["ranking"]["shortlist"])}
    for score in SCORES:

        def value(one: dict[str, Any], score: str = score) -> float:
            said = one["probe"] if score == "probe" else one["scores"][score]
            return -np.inf if said is None else float(said)

        order = [one["source"] for one in sorted(listed, key=value, reverse=True)]
        found |= {f"first by {score}": order[:1], f"three by {score}": order[:LENGTH]}
    largest = sorted(listed, key=lambda one: -one["parameters"])
    names = [one["source"] for one in largest]
    found |= {"largest": names[:1], "three largest": names[:LENGTH], "favourite": [FAVOURITE]}
    return found


def right(known: dict[str, Any], tried: Sequence[str]) -> np.ndarray:
    """Return which test rows the model gets right that does best on validation of those tried."""
    models = [known["adapted"][name] for name in tried]
    best = max(models, key=_value)
    return np.array([int(one) for one in best["right"]], float)


def best_half(known: dict[str, Any]) -> float:
    """Return the accuracy of the best source, chosen by one half of the test rows for the other."""
    hits = np.array(
        [[int(bit) for bit in model["right"]] for model in known["adapted"].values()], float
    )
    halves = np.arange(hits.shape[1]) % 2 == 0
    sides = [(halves, ~halves), (~halves, halves)]
    return float(np.mean([hits[hits[:, a].mean(1).argmax()][b].mean() for a, b in sides]))


def regrets(table: dict[str, Any]) -> dict[str, Any]:
    """Return of each way to choose how much worse it is on the test rows, in points."""
    found: dict[str, dict[str, Any]] = {}
    for target, known in table.items():
        everything, best = right(known, list(known["adapted"])).mean(), best_half(known)
        for way, names in choices(known).items():
            its = right(known, names).mean()
            kept = found.setdefault(way, {"against_all": {}, "against_best": {}})
            kept["against_all"][target] = float(100 * (everything - its))
            kept["against_best"][target] = float(100 * (best - its))
    for kept in found.values():
        for against in ("against_all", "against_best"):
            kept[f"mean_{against}"] = float(np.mean(list(kept[against].values())))
    return found


def costs(table: dict[str, Any]) -> dict[str, float]:
    """Return the share of the cost of trying all sources that ranking them takes, by target."""
    return {
        target: sum(known["ranking"]["seconds"].values())
        / sum(model["seconds"] for model in known["adapted"].values())
        for target, known in table.items()
    }


def alike(table: dict[str, Any]) -> dict[str, Any]:
    """Return how similarity goes with the gain over the small model, leaving out each target."""
    pairs = []
    for target, known in table.items():
        scratch = right({"adapted": {"": known["scratch"]}}, [""]).mean()
        for one in known["ranking"]["sources"]:
            if one["similarity"]["score"] is not None:
                gain = right(known, [one["source"]]).mean() - scratch
                pairs.append((target, one["source"], one["similarity"]["score"], float(gain)))
    without = {
        target: _rank_correlation([pair for pair in pairs if pair[0] != target]) for target in table
    }
    random, drawn = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        again = random.choice(list(table), len(table))
        some = [pair for target in again for pair in pairs if pair[0] == target]
        drawn.append(_rank_correlation(some))
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    every = _rank_correlation(pairs)
    return {
        "pairs": [
            dict(zip(("target", "source", "similarity", "gain"), p, strict=True)) for p in pairs
        ],
        "correlation": {"value": every, "low": float(low), "high": float(high)},
        "leaving_out": without,
    }


def _rank_correlation(pairs: Sequence[tuple[str, str, float, float]]) -> float:
    return float(spearmanr([pair[2] for pair in pairs], [pair[3] for pair in pairs]).statistic)


def main() -> None:
    """Measure the targets that are asked for, and judge by all that were measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument(
        "--alike", action="store_true", help="measure no more than how like rows are"
    )
    given = parser.parse_args()
    asked = given.targets
    place = RESULTS / "ranking.json"
    kept = json.loads(place.read_text()) if place.is_file() else {"targets": {}}
    table = kept["targets"]
    # where models stay as they are, so does the machine on which they were made
    where = {"machine": kept["machine"]} if given.alike else {}
    for target in asked:
        with tempfile.TemporaryDirectory() as scratch:
            before = table[target] if given.alike else None
            table[target] = measured(target, Path(scratch), before)
        shares = costs(table)
        judged = {"regret": regrets(table), "cost": shares, "similarity": alike(table)}
        keep(
            "ranking",
            {
                **where,
                **judged,
                "mean_cost": float(np.mean(list(shares.values()))),
                "targets": table,
            },
        )


if __name__ == "__main__":
    main()
