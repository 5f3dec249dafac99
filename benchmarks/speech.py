"""Whisper adapted to Spanish and French by 50, 200 and all phrases of Tux Paint.

The error rate of letters on 150 phrases whose texts are not learnt from, beside the source as it is
and the best model from scratch.

    python benchmarks/speech.py [--languages es,fr] [--sources tiny,base] [--budget 15m]

What is not asked for keeps the results that it has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from records import RESULTS, fit, keep, outlined
from targets import phrases_folder

SOURCES = {"tiny": "bundled/whisper-tiny-en", "base": "bundled/whisper-base"}
SIZES = (50, 200, None)
SEEDS = (0, 1, 2)
TESTED = 150


def adapted(language: str, source: str, size: int | None, seed: int, budget: str) -> dict[str, Any]:
    """Fit once and return its scores on the test phrases; the source's own is a baseline."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = phrases_folder(Path(scratch) / "phrases", language, size, seed, TESTED)
        columns: list[str | Path] = [
            "--input",
            "recording",
            "--label",
            "transcript",
            "--group",
            "phrase",
        ]
        options = ["--source", SOURCES[source], "--budget", budget, "--seed", str(seed)]
        given = [*columns, "--test", folder / "test.csv", *options]
        result = fit(folder / "train.csv", *given, "--out", Path(scratch) / "run")
    return {"seed": seed, "result": outlined(result)}


def main() -> None:
    """Measure what is asked for; each cell is kept when it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", default="es,fr")
    parser.add_argument("--sources", default=",".join(SOURCES))
    parser.add_argument("--budget", default="15m")
    asked = parser.parse_args()
    place = RESULTS / "speech.json"
    cells = json.loads(place.read_text())["cells"] if place.is_file() else {}
    for language, source, size, seed in product(
        asked.languages.split(","), asked.sources.split(","), SIZES, SEEDS
    ):
        name = f"{language}, {source}, {size or 'all'} phrases"
        others = [run for run in cells.get(name, []) if run["seed"] != seed]
        run = adapted(language, source, size, seed, asked.budget)
        cells[name] = sorted([*others, run], key=lambda one: int(one["seed"]))
        keep("speech", {"tested": TESTED, "budget": asked.budget, "cells": cells})


if __name__ == "__main__":
    main()
