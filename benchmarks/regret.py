"""The race for three minutes, beside the best cell of a grid, and beside rules that never ask.

The grid is `recipes.py`: every recipe on twelve targets, fitted again on all rows that are learnt
from. Its best cell is chosen on one half of the test rows and scored on the other, both ways round.
Regret is how much worse the model is that `fit` hands back within its budget from the same rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas

import headstart as hs
from recipes import TARGETS, Target
from records import RESULTS, keep, outlined

BUDGET = "3m"
RULES = {
    "always the probe": ["probe"],
    "always the probe, then all layers": ["full"],
    "always the last stages": ["finetune"],
    "always all at once": ["all at once"],
    "always fine_tune": ["fine_tune"],
    "always contrast, of texts": ["contrast", "probe"],
}
"""What is always done, whatever the target: the first of these recipes that is for it."""


def raced(target: Target, place: Path) -> dict[str, Any]:
    """Run `fit` on the rows of a target, and score what it hands back."""
    dataset = target.read(place)
    learnt, others = target.divided(dataset)
    (column,) = dataset.targets

    def frame(rows: np.ndarray) -> pandas.DataFrame:
        cells = [dataset.inputs[i] for i in rows]
        return pandas.DataFrame({"input": cells, "label": [column.values[i] for i in rows]})

    study = hs.fit(frame(learnt), label="label", budget=BUDGET, out=place / "run")
    asked = frame(others)
    given = np.array([str(one) for one in study.model.predict(list(asked["input"]))])
    right = given == asked["label"].to_numpy()
    return {
        "accuracy": float(right.mean()),
        "halves": [float(right[::2].mean()), float(right[1::2].mean())],
        "result": outlined(study.result),
    }


def best_cell(cells: list[dict[str, Any]]) -> float:
    """Return the accuracy of the best cell, chosen by one half of the rows for the other."""
    halves = np.array([cell["halves"] for cell in cells])
    return float(np.mean([halves[halves[:, a].argmax(), 1 - a] for a in (0, 1)]))


def by_rule(cells: list[dict[str, Any]], names: list[str]) -> float:
    """Return the accuracy of the first of several recipes that is among the cells."""
    return float(next(c["accuracy"] for name in names for c in cells if c["recipe"] == name))


def main() -> None:
    """Race on the targets that are asked for, and compare on all that were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    place = RESULTS / "regret.json"
    races = json.loads(place.read_text())["races"] if place.is_file() else {}
    grid = json.loads((RESULTS / "recipes.json").read_text())["targets"]
    for name in parser.parse_args().targets:
        with tempfile.TemporaryDirectory() as scratch:
            races[name] = raced(TARGETS[name], Path(scratch))
        table = {}
        for target in races:
            cells = [one for one in grid[target]["trials"] if "halves" in one]
            best = best_cell(cells)
            table[target] = {"best cell": best, "race": best - races[target]["accuracy"]}
            table[target] |= {rule: best - by_rule(cells, named) for rule, named in RULES.items()}
        keep(
            "regret",
            {
                "mean_regret_in_points": {
                    way: float(np.mean([100 * row[way] for row in table.values()]))
                    for way in ("race", *RULES)
                },
                "table": table,
                "races": races,
            },
        )


if __name__ == "__main__":
    main()
