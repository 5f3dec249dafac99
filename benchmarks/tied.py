"""How often an interval of few units of rows leaves out the truth, beside the plain bootstrap's.

Each unit (a patient, say) has twenty rows, and suits one of two models more than the other, by
chance: over all units there is no gain. An interval of the gain that leaves out zero would give a
false verdict.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from headstart.evidence.comparisons import gain
from headstart.evidence.intervals import Interval, ends, resamples, score_interval
from headstart.tasks.metrics import CLASSIFICATION
from records import keep

UNITS = (2, 3, 4, 5, 8, 20, 60)
ROWS = 20
RIGHT, APART = 0.7, 0.1
"""Share of rows on which a model is right, and how much the gain of a unit differs from zero."""


def world(units: int, random: np.random.Generator) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return the outputs of both models, the targets, and the units of rows."""
    unit_of = np.repeat(np.arange(units), ROWS)
    targets = np.arange(len(unit_of)) % 2
    shift = random.normal(0, APART / 2, units)[unit_of]
    said = [
        np.where(random.random(len(unit_of)) < RIGHT + sign * shift, targets, 1 - targets)
        for sign in (1, -1)
    ]
    ours, theirs = (torch.from_numpy(np.eye(2)[answers]) for answers in said)
    return ours, theirs, targets, unit_of


def percentiles(metric: Any, ours: Any, theirs: Any, targets: np.ndarray, units: Any) -> Interval:
    """Return the gain with the bootstrap's percentiles as they are."""
    a, b = (metric.statistics(outputs, targets) for outputs in (ours, theirs))

    def apart(weights: np.ndarray) -> np.ndarray:
        found: np.ndarray = metric.aggregate(a, weights) - metric.aggregate(b, weights)
        return found

    drawn = np.concatenate([apart(weights) for weights in resamples(units, 0)])
    return Interval(float(apart(np.ones((1, len(units))))[0]), *ends(drawn))


def main() -> None:
    """Try each number of units in as many worlds as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=500)
    worlds = parser.parse_args().worlds
    found: dict[str, Any] = {}
    for name in ("accuracy", "macro_f1"):
        metric = CLASSIFICATION[name]
        ways = {"interval": gain, "percentiles": percentiles}
        for units in UNITS:
            random = np.random.default_rng(units)
            wrong, holds = dict.fromkeys(ways, 0), 0
            for _ in range(worlds):
                ours, theirs, targets, unit_of = world(units, random)
                for way, interval in ways.items():
                    it = interval(metric, ours, theirs, targets, unit_of)
                    wrong[way] += it.low > 0 or it.high < 0
                score = score_interval(metric, ours, targets, unit_of)
                holds += score.low <= RIGHT <= score.high
            found.setdefault(name, {})[units] = {
                "false_verdicts": {way: count / worlds for way, count in wrong.items()},
                "score_held": holds / worlds,
            }
    keep("tied", {"worlds": worlds, "rows_a_unit": ROWS, "metrics": found})


if __name__ == "__main__":
    main()
