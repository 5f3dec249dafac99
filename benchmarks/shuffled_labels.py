"""Fashion pictures with shuffled labels: there is nothing to learn, so there is no evidence."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from records import fit, keep

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion"
SHUFFLES = 20


def shuffled(folder: Path, seed: int) -> Path:
    """Copy the example with its labels dealt out at random."""
    files = sorted(EXAMPLE.glob("*/*.png"))
    labels = [file.parent.name for file in files]
    for file, i in zip(files, np.random.default_rng(seed).permutation(len(files)), strict=True):
        place = folder / labels[i]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / file.name)
    return folder


def main() -> None:
    """Run all shuffles and keep the verdicts."""
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(SHUFFLES):
            data = shuffled(Path(scratch) / f"data-{seed}", seed)
            out = Path(scratch) / f"run-{seed}"
            options = ["--budget", "60s", "--max-trials", "3", "--no-refit", "--seed", str(seed)]
            result = fit(data, *options, "--out", out)
            runs.append({"shuffle": seed, "verdict": result["verdict"], "winner": result["winner"]})
    counts = Counter(run["verdict"]["transfer"] for run in runs)
    keep("shuffled_labels", {"verdicts": dict(counts), "wanted": "18 of 20", "runs": runs})


if __name__ == "__main__":
    main()
