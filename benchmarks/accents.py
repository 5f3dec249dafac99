"""Whisper adapted to an accent by 20, 50 and 200 phrases, and what it forgets of other accents.

espeak-ng reads English sentences of Tux Paint in some accents. The error rate of words is measured
on sentences that were not learnt from, in the accent that was learnt and in all others, for each
recipe; how much less a recipe forgets than tuning everything is compared sentence by sentence.

    python benchmarks/accents.py [--seeds 0,1,2] [--recipes full,lora]

What is not asked for keeps the results that it has.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benches import bench_of, opened
from headstart.data.columns import Roles
from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.intervals import repeated_interval
from headstart.recipes import Recipe, recipes
from headstart.search.trial import Bench, assign, run_trial
from headstart.sources.opening import find_source
from headstart.tasks.transcripts import TRANSCRIPTS
from headstart.training.learners import Rows, settle
from records import RESULTS, keep
from targets import english_sentences, table_of

SOURCE = "bundled/whisper-tiny-en"
ACCENTS = {
    "Scotland": "en-gb-scotland",
    "Lancaster": "en-gb-x-gbclan",
    "America": "en-us",
    "Caribbean": "en-029",
}
LEARNT = "Scotland"
RECIPES = ("zero-shot", "decoder", "lora", "wise-ft", "full")
SIZES = (20, 50, 200)
SEEDS = (0, 1, 2)
SENTENCES, TESTED = 400, 150
HELD = 0.2
"""Share of the phrases to learn from by which is chosen."""


def read_aloud(folder: Path, accents: Mapping[str, str] = ACCENTS) -> dict[str, Dataset]:
    """Return the sentences as each accent says them, in the same order."""
    if shutil.which("espeak-ng") is None:
        raise SystemExit("espeak-ng is not here: apt-get install espeak-ng")
    sentences = english_sentences()
    order = np.random.default_rng(0).permutation(len(sentences))[:SENTENCES]
    found = {}
    for accent, voice in accents.items():
        place = folder / voice
        place.mkdir()
        rows = [(f"{i}.wav", sentences[number]) for i, number in enumerate(order.tolist())]
        for name, sentence in rows:
            command = ["espeak-ng", "-v", voice, "-w", name, sentence]
            subprocess.run(command, cwd=place, check=True, capture_output=True)
        table = table_of(place / "said.csv", ["recording", "transcript"], rows)
        found[accent] = read(table, Roles.of("recording", "transcript"))
    return found


def adapted(bench: Bench, recipe: Recipe, tests: dict[str, Rows]) -> dict[str, Any]:
    """Return the word errors of each test sentence in each accent, and seconds, of a recipe."""
    assignment = assign(bench, recipe, SOURCE, lambda: False)
    if recipe.learns:
        assignment = replace(assignment, settled=settle(assignment))
    tried = run_trial(assignment)
    if tried.fitted is None:
        raise SystemExit(f"{recipe.name}: {tried.reason}")
    model, metric = tried.fitted.model, TRANSCRIPTS["wer"]
    errors = {
        accent: metric.statistics(model.outputs(rows.data), rows.targets).tolist()
        for accent, rows in tests.items()
    }
    return {"seconds": tried.seconds, "validation": tried.score, "errors": errors}


def measured(said: dict[str, Dataset], names: list[str], seed: int) -> dict[str, dict[str, Any]]:
    """Adapt by each recipe and number of phrases, in one draw of sentences to learn from."""
    order = np.random.default_rng(seed).permutation(SENTENCES - TESTED)
    test = np.arange(SENTENCES - TESTED, SENTENCES)
    tests = {accent: bench_of(rows, {}, test).train for accent, rows in said.items()}
    extractor = opened(find_source(SOURCE), "text")
    found = {}
    for size, name in product(SIZES, names):
        [recipe] = [one for one in recipes.get(name) if one.output == "text"]
        if not recipe.learns and size != SIZES[0]:
            continue
        held = max(5, round(HELD * size))
        bench = bench_of(said[LEARNT], {SOURCE: extractor}, order[held:size], order[:held])
        bench = replace(bench, seed=seed)
        cell = f"{name}, {size} phrases" if recipe.learns else name
        found[cell] = {"seed": seed, **adapted(bench, recipe, tests)}
        print(seed, cell, f"{found[cell]['seconds']:.0f} s", flush=True)
    return found


def judged(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the error rates with their intervals, and what each recipe forgets beside ``full``."""
    metric = TRANSCRIPTS["wer"]
    others = [accent for accent in ACCENTS if accent != LEARNT]

    def counted(cell: str, accents: list[str]) -> list[np.ndarray]:
        return [
            np.concatenate([np.array(run["errors"][accent]) for accent in accents])
            for run in runs[cell]
        ]

    found: dict[str, Any] = {}
    for cell in runs:
        size = cell.partition(", ")[2]
        rates: dict[str, Any] = {
            "own": repeated_interval(metric, counted(cell, [LEARNT]), np.arange(TESTED)).data()
        }
        units = np.tile(np.arange(TESTED), len(others))
        rates["others"] = repeated_interval(metric, counted(cell, others), units).data()
        full = f"full, {size}"
        if size and full in runs and full != cell:
            rates["forgets_less_than_full_by"] = repeated_gain(
                metric, counted(cell, others), counted(full, others), units
            ).data()
        found[cell] = rates
    return found


def main() -> None:
    """Measure what is asked for; each seed is kept when it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    asked = parser.parse_args()
    place = RESULTS / "accents.json"
    runs = json.loads(place.read_text())["runs"] if place.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        said = read_aloud(Path(scratch))
        for seed in map(int, asked.seeds.split(",")):
            for cell, run in measured(said, asked.recipes.split(","), seed).items():
                others = [one for one in runs.get(cell, []) if one["seed"] != seed]
                runs[cell] = sorted([*others, run], key=lambda one: int(one["seed"]))
            settings = {"source": SOURCE, "learnt": LEARNT, "tested": TESTED}
            keep("accents", {**settings, "rates": judged(runs), "runs": runs})


if __name__ == "__main__":
    main()
