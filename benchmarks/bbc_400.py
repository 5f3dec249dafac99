"""400 BBC News labels, one minute: accuracy on the other 1,825 articles."""

from __future__ import annotations

from pathlib import Path

from records import accuracy
from targets import bbc_articles, bbc_folders


def main() -> None:
    """Run three seeds and keep the scores."""

    def draw(place: Path, seed: int) -> tuple[Path, Path]:
        return bbc_folders(place / str(seed), bbc_articles(place / "wheel"), 400, seed)

    accuracy("bbc_400", draw, wanted=0.945)


if __name__ == "__main__":
    main()
