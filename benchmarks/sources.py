"""Every bundled source on targets near to and far from what it has seen, a minute each."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from headstart.sources.catalogue import those
from records import fit, keep
from targets import SPAM, bbc_articles, bbc_folders, fashion_folder, stamps_folder


def targets(place: Path) -> dict[str, dict[str, Path]]:
    """Return the targets of each modality by their names."""
    articles, _ = bbc_folders(place / "bbc", bbc_articles(place / "wheel"), 400, 0)
    return {
        "image": {
            "Fashion-MNIST, 1,000 labels": fashion_folder(place / "fashion", "train", 1_000),
            "Tux Paint's stamps, five classes": stamps_folder(place / "stamps"),
        },
        "text": {"BBC News, 400 labels": articles, "SpamAssassin": SPAM},
    }


def tried(source: str, target: str, data: Path, out: Path) -> dict[str, Any]:
    """Return one cell: accuracy with its interval, verdict, seconds."""
    label = ["--label", "label"] if data.suffix == ".csv" else []
    result = fit(data, *label, "--source", source, "--budget", "60s", "--out", out)
    transfer = result["finalists"].get("transfer")
    return {
        "source": source,
        "target": target,
        "accuracy": transfer and transfer["test"],
        "recipe": transfer and transfer["recipe"],
        "scratch": result["finalists"]["scratch"]["test"],
        "verdict": result["verdict"]["transfer"],
        "gain": result["verdict"].get("gain"),
        "rows": result["data"]["rows"],
        "seconds": result["seconds"],
    }


def main() -> None:
    """Fill the table, or the cells whose source or target holds a word that is given."""
    wanted = sys.argv[1:]
    cells: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for modality, found in targets(place).items():
            for source in those(modality):
                for target, data in found.items():
                    if all(word in f"{source.id} {target}" for word in wanted):
                        out = place / f"run-{len(cells)}"
                        cells.append(tried(source.id, target, data, out))
                        print(cells[-1], file=sys.stderr, flush=True)
    if not wanted:
        keep("sources", {"cells": cells})


if __name__ == "__main__":
    main()
