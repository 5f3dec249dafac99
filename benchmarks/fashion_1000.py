"""1,000 Fashion-MNIST labels, one minute: accuracy on the official 10,000 test pictures."""

from __future__ import annotations

from pathlib import Path

from records import accuracy
from targets import fashion_folder


def main() -> None:
    """Run three seeds and keep the scores."""

    def draw(place: Path, seed: int) -> tuple[Path, Path]:
        train = fashion_folder(place / f"train-{seed}", "train", 1000, seed)
        return train, fashion_folder(place / f"test-{seed}", "t10k")

    accuracy("fashion_1000", draw, wanted=0.855)


if __name__ == "__main__":
    main()
