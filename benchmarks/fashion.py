"""Fashion-MNIST, few labels and little time: accuracy on the official 10,000 test pictures.

python benchmarks/fashion.py [1000_60s] [1000_4m] [10000_10m]
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from records import accuracy
from targets import fashion_folder

WANTED = {"1000_60s": 0.855, "1000_4m": 0.885, "10000_10m": 0.915}
"""Mean accuracy of three seeds that is wanted of so many labels in so much time."""


def draw(rows: int, place: Path, seed: int) -> tuple[Path, Path]:
    """Return the folders of so many rows to learn from, and of all that are tested on."""
    train = fashion_folder(place / f"train-{seed}", "train", rows, seed)
    return train, fashion_folder(place / f"test-{seed}", "t10k")


def main() -> None:
    """Run three seeds of each that is named, or of all, and keep the scores."""
    for name in sys.argv[1:] or WANTED:
        rows, budget = name.split("_")
        accuracy(f"fashion_{name}", partial(draw, int(rows)), WANTED[name], budget)


if __name__ == "__main__":
    main()
