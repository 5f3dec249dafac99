"""Two to sixteen labels a class: the race beside SetFit, with the same MiniLM on the same texts.

SetFit runs first, in an environment of its own; the race gets a third of the seconds that it took,
from files on disk to a fitted model, imports left out for both.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from peers.run import measured
from peers.tasks import Task
from records import RESULTS, keep
from targets import SPAM, bbc_articles

SHOTS = (2, 4, 8, 16)
SEEDS = 10
LEAST = 3.0
"""Seconds that the race gets at least."""
LIMIT = 1800.0
LEVEL = 0.95


def articles() -> list[tuple[str, str]]:
    """Return (text, class) of all news articles."""
    with tempfile.TemporaryDirectory() as scratch:
        return [
            (path.read_text(encoding="utf-8", errors="replace"), path.parent.name)
            for path in bbc_articles(Path(scratch))
        ]


def messages() -> list[tuple[str, str]]:
    """Return (text, class) of all messages."""
    with SPAM.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


DATA = {"BBC News": articles, "SpamAssassin": messages}


def drawn(rows: list[tuple[str, str]], shots: int, seed: int, folder: Path) -> None:
    """Write `shots` rows of each class into ``train``, all others into ``test``."""
    by_class = defaultdict(list)
    for number, (_, label) in enumerate(rows):
        by_class[label].append(number)
    random = np.random.default_rng([shots, seed])
    learnt = {i for numbers in by_class.values() for i in random.permutation(numbers)[:shots]}
    for number, (text, label) in enumerate(rows):
        place = folder / ("train" if number in learnt else "test") / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05d}.txt").write_text(text, encoding="utf-8")


def pair(rows: list[tuple[str, str]], shots: int, seed: int) -> dict[str, Any]:
    """Run both on the same draw."""
    task = Task("few texts", "text", 1, lambda folder: drawn(rows, shots, seed, folder))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        task.write(place)
        found = {"setfit": measured("setfit", task, place, LIMIT, [])}
        seconds = found["setfit"]["curve"][-1][0]
        found["headstart"] = measured("headstart", task, place, LIMIT, [max(LEAST, seconds / 3)])
    ends = {name: (kept["curve"] or [[None, None]])[-1] for name, kept in found.items()}
    return {
        "shots": shots,
        "seed": seed,
        **{name: {"seconds": end[0], "accuracy": end[1]} for name, end in ends.items()},
        "recipe": found["headstart"]["runs"][0].get("recipe"),
    }


def summed_up(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean difference of the accuracies with its interval, and the ratio of times."""
    done = [one for one in pairs if one["headstart"]["accuracy"] is not None]
    gains = np.array([one["headstart"]["accuracy"] - one["setfit"]["accuracy"] for one in done])
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    half = student.ppf((1 + LEVEL) / 2, max(1, len(gains) - 1)) * error
    times = [one["setfit"]["seconds"] / one["headstart"]["seconds"] for one in done]
    return {
        "seeds": len(pairs),
        "without_a_model": len(pairs) - len(done),
        **{
            name: float(np.mean([one[name]["accuracy"] for one in done]))
            for name in ("setfit", "headstart")
        },
        "gain": {"value": gains.mean(), "low": gains.mean() - half, "high": gains.mean() + half},
        "times_sooner": float(np.exp(np.mean(np.log(times)))),
    }


def main() -> None:
    """Run the draws that are asked for; those measured before stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=list(DATA))
    parser.add_argument("--shots", type=int, nargs="*", default=SHOTS)
    parser.add_argument("--seeds", type=int, nargs="*", default=range(SEEDS))
    asked, place = parser.parse_args(), RESULTS / "few_shot.json"
    rows = {name: DATA[name]() for name in asked.data}
    kept: dict[str, Any] = json.loads(place.read_text())["pairs"] if place.is_file() else {}
    for shots, seed, name in itertools.product(asked.shots, asked.seeds, asked.data):
        kept[f"{name}, {shots}, {seed}"] = pair(rows[name], shots, seed)
        groups = defaultdict(list)
        for key, found in kept.items():
            groups[f"{key.rpartition(',')[0]} a class"].append(found)
        table = {title: summed_up(pairs) for title, pairs in groups.items()}
        keep("few_shot", {"table": table, "pairs": kept})


if __name__ == "__main__":
    main()
