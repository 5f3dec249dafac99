"""A small model taught by a tuned one, on rows without labels: what it costs, and what it saves."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import headstart as hs
from records import evaluate, fit, keep, outlined
from targets import bbc_articles, bbc_folders, fashion_folder

FIT, TEACH = "60s", "4m"
UNLABELLED = 8_000
TESTED = 800
"""Articles that nobody learns from; of pictures it is the official test."""


def pictures(place: Path) -> tuple[Path, Path, Path]:
    """Write 1,000 labelled pictures, others without labels, and those to test on."""
    labelled = fashion_folder(place / "labelled", "train", 1_000)
    known = {path.name for path in labelled.rglob("*.png")}
    others = fashion_folder(place / "others", "train", UNLABELLED + 1_500, seed=1)
    free = [path for path in sorted(others.rglob("*.png")) if path.name not in known]
    return labelled, _flat(free[:UNLABELLED], place / "free"), fashion_folder(place / "t", "t10k")


def texts(place: Path) -> tuple[Path, Path, Path]:
    """Write 400 labelled articles, others without labels, and those to test on."""
    articles = bbc_articles(place / "wheel")
    labelled, others = bbc_folders(place / "bbc", articles, 400, seed=0)
    rest = sorted(others.rglob("*.txt"), key=lambda path: path.read_bytes())
    for path in rest[:TESTED]:
        folder = place / "tested" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    return labelled, _flat(rest[TESTED:], place / "free"), place / "tested"


def _flat(files: list[Path], folder: Path) -> Path:
    """Copy files into one folder, so that nothing tells their classes."""
    folder.mkdir(parents=True)
    for number, path in enumerate(files):
        shutil.copy(path, folder / f"{number:05d}{path.suffix}")
    return folder


def measured(data: tuple[Path, Path, Path], place: Path) -> dict[str, Any]:
    """Fit a teacher, teach by rows without labels, and score everyone on the test rows."""
    labelled, free, tested = data
    result = fit(labelled, "--budget", FIT, "--out", place / "teacher")
    taught = hs.distil(place / "teacher", free, out=place / "small", budget=TEACH)
    alone = fit(labelled, "--budget", FIT, "--recipe", "probe", "--out", place / "alone")
    scores = {
        name: evaluate(place / name, tested)["scores"]["accuracy"] for name in ("teacher", "small")
    }
    return {
        "official": scores,
        "small_from_scratch_on_held_out_rows": alone["finalists"]["scratch"]["test"],
        "said": taught.data(),
        "teacher": outlined(result),
    }


def main() -> None:
    """Teach pictures and texts."""
    found = {}
    for name, make in (("Fashion-MNIST", pictures), ("BBC News", texts)):
        with tempfile.TemporaryDirectory() as scratch:
            found[name] = measured(make(Path(scratch)), Path(scratch))
    keep("distilling", found)


if __name__ == "__main__":
    main()
