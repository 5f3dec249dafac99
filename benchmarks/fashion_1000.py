"""1,000 Fashion-MNIST labels, one minute: accuracy on the official 10,000 test pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from records import evaluate, fit, keep
from targets import fashion_folder

SEEDS = (0, 1, 2)


def main() -> None:
    """Run three seeds and keep the scores."""
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        test = fashion_folder(place / "test", "t10k")
        for seed in SEEDS:
            train = fashion_folder(place / f"train-{seed}", "train", 1000, seed)
            out = place / f"run-{seed}"
            result = fit(train, "--budget", "60s", "--seed", str(seed), "--out", out)
            scores = evaluate(out, test)
            runs.append({"seed": seed, "official": scores["scores"]["accuracy"], "result": result})
    mean = float(np.mean([run["official"]["value"] for run in runs]))
    keep("fashion_1000", {"mean_accuracy": mean, "wanted": 0.855, "runs": runs})


if __name__ == "__main__":
    main()
