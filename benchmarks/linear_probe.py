"""The linear probe against scikit-learn's, on the same features in one run.

Small problems are cross-validated by both. Large ones lie in a file: both fit them at one strength,
each in a process of its own, whose anonymous memory is watched. In single precision scikit-learn
ends before the optimum, so that it is run in double precision, too, to say where that is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from headstart.tasks.linear import STRENGTHS, Features, LinearSolution
from headstart.tasks.logistic import FOLDS, solve_multinomial
from headstart.tasks.matrix import Array, Scaled
from records import keep, watched

SHAPES = ((600, 1280, 10), (1000, 3200, 10), (400, 1152, 5), (4000, 384, 2))
LARGE = (100_000, 1280, 10)
TIGHT = (1e-2, 1.0)
"""Strengths at which the large problem is solved: one as is chosen, and one that is hard."""
BLOCK = 5_000
PRECISIONS: dict[str, tuple[Any, float]] = {
    "scikit-learn": (np.float32, 1e-4),
    "scikit-learn, double": (np.float64, 1e-7),
}
"""Of scikit-learn the number format and the tolerance: its own, and one that is strict."""


def target(shape: tuple[int, int, int]) -> Iterator[tuple[Any, Any]]:
    """Yield features and labels drawn from a linear model of what lies under them.

    The features are as those of networks: rectified, and of a spectrum that falls off slowly.
    """
    random = np.random.default_rng(0)
    rows, width, classes = shape
    scales = np.arange(1, 301) ** -0.75
    mixed, models = random.normal(size=(300, width)), random.normal(size=(30, classes))
    for start in range(0, rows, BLOCK):
        hidden = random.normal(size=(min(BLOCK, rows - start), 300))
        features = (scales * hidden) @ mixed + 0.2 * random.normal(size=(len(hidden), width))
        logits = hidden[:, :30] @ models
        labels = (logits + random.gumbel(size=logits.shape)).argmax(1)
        yield np.maximum(features + 0.5, 0).astype(np.float32), labels


def compared(shape: tuple[int, int, int]) -> dict[str, Any]:
    """Time both; return the ratio and how far probabilities are apart at the same strength."""
    rows, width, classes = shape
    features, labels = map(np.concatenate, zip(*target(shape), strict=True))
    scaled = Scaled.of(Array(features)).take(np.arange(rows))

    def solve(strength: float | None = None) -> LinearSolution:
        given = Features.of(features)
        return solve_multinomial(given, labels, classes, np.arange(rows), 0, strength=strength)

    started = time.perf_counter()
    ours = solve()
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = LogisticRegressionCV(
            Cs=list(STRENGTHS), cv=FOLDS, scoring="neg_log_loss", max_iter=1000
        ).fit(scaled, labels)
    their_seconds = time.perf_counter() - started
    strength = float(np.ravel(theirs.C_)[0])
    # of two classes scikit-learn keeps one vector of weights, of which ours are the two halves
    same = solve(strength / 2 if classes == 2 else strength)
    probability = softmax(features @ same.weight.T + same.bias, axis=1)
    return {
        "rows": rows,
        "width": width,
        "classes": classes,
        "seconds": seconds,
        "scikit_learn_seconds": their_seconds,
        "times_faster": their_seconds / seconds,
        "strength": ours.strength,
        "scikit_learn_strength": strength,
        "largest_difference": float(np.abs(probability - theirs.predict_proba(scaled)).max()),
    }


def solved(place: Path, who: str, strength: float) -> None:
    """Fit the large problem; write coefficients on features into the folder, and print figures."""
    labels = np.load(place / "labels.npy")
    features = np.load(place / "features.npy", mmap_mode="r")
    units = np.arange(len(labels))
    few = slice(0, 200)  # what loads at first use is loaded
    solve_multinomial(Features.of(features[few]), labels[few], 10, units[few], 0, strength=1e-3)
    LogisticRegression(C=1e-3).fit(features[few], labels[few])
    found: dict[str, Any] = {}
    with watched(found):
        if who in PRECISIONS:
            precision, tolerance = PRECISIONS[who]
            own = Scaled.of(Array(features))
            mean, scale = own.mean, own.scale
            scaled = (features - mean.astype(precision)) / scale.astype(precision)
            model = LogisticRegression(C=strength, tol=tolerance, max_iter=2000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(scaled, labels)
            found["iterations"] = int(model.n_iter_[0])
            weight = model.coef_ / scale
            bias = model.intercept_ - weight @ mean
        else:
            chosen = None if who == "headstart, strength chosen" else strength
            ours = solve_multinomial(Features.of(features), labels, 10, units, 0, strength=chosen)
            weight, bias, found["strength"] = ours.weight, ours.bias, ours.strength
    np.savez(place / f"{who}.npz", weight=weight, bias=bias)
    print(json.dumps(found))


def at_scale(shape: tuple[int, int, int]) -> dict[str, Any]:
    """Fit a problem that lies in a file with both; return times, memory and agreement."""
    rows, width, _ = shape
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        features = open_memmap(place / "features.npy", "w+", np.float32, (rows, width))
        labels, at = np.empty(rows, np.int64), 0
        for some, said in target(shape):
            features[at : at + len(some)], labels[at : at + len(some)] = some, said
            at += len(some)
        features.flush()
        np.save(place / "labels.npy", labels)
        chosen = _apart(place, "headstart, strength chosen", 0.0)
        found = [_all(place, features, labels, strength) for strength in TIGHT]
    size = rows * width * 4 / 2**20
    return {"rows": rows, "width": width, "mib": size, "chosen": chosen, "at": found}


def _all(place: Path, features: Any, labels: Any, strength: float) -> dict[str, Any]:
    figures = {who: _apart(place, who, strength) for who in ("headstart", *PRECISIONS)}
    models = {who: np.load(place / f"{who}.npz") for who in figures}
    scale = Scaled.of(Array(features)).scale
    reference = "scikit-learn, double"
    furthest = dict.fromkeys(figures, 0.0)
    objective = {
        who: float(((model["weight"] * scale) ** 2).sum() / (2 * strength))
        for who, model in models.items()
    }
    for start in range(0, len(labels), BLOCK):
        rows = slice(start, start + BLOCK)
        exact = features[rows].astype(np.float64)
        logits = {who: exact @ model["weight"].T + model["bias"] for who, model in models.items()}
        for who, found in logits.items():
            surely = log_softmax(found, axis=1)
            objective[who] -= float(surely[np.arange(len(exact)), labels[rows]].sum())
            apart = np.abs(softmax(found, axis=1) - softmax(logits[reference], axis=1))
            furthest[who] = max(furthest[who], float(apart.max()))
    return {
        "strength": strength,
        **{
            who: {
                **figures[who],
                "objective_above": objective[who] - objective[reference],
                "largest_difference": furthest[who],
            }
            for who in figures
        },
        "times_faster": {
            who: figures[who]["seconds"] / figures["headstart"]["seconds"] for who in PRECISIONS
        },
    }


def _apart(place: Path, who: str, strength: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--solve", who, str(place), str(strength)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Compare all shapes and keep the table; or print the figures of a trial that is not kept."""
    options = argparse.ArgumentParser()
    options.add_argument("--solve", nargs=3, metavar=("WHO", "FOLDER", "STRENGTH"))
    options.add_argument("--trial", action="store_true", help="few rows; nothing is kept")
    given = options.parse_args()
    if given.solve:
        who, folder, strength = given.solve
        solved(Path(folder), who, float(strength))
    elif given.trial:
        few = [compared((200, 300, 3))]
        print(json.dumps({"shapes": few, "large": at_scale((10_000, 200, 10))}, indent=1))
    else:
        shapes = [compared(shape) for shape in SHAPES]
        keep("linear_probe", {"shapes": shapes, "large": at_scale(LARGE)})


if __name__ == "__main__":
    main()
