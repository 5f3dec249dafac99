"""Two real targets on which a head start brings little: the verdict agrees with its interval.

100 messages of SpamAssassin, and 40 recordings of Tux Paint in each of seven languages. Each
language was spoken by few people with few microphones, so that the audit has to say that
properties of the recordings tell the class.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from records import fit, headstart, keep, outlined
from targets import SPAM, spoken_languages, table_of

SEEDS = (0, 1, 2)
BUDGET = "60s"


def messages(folder: Path, seed: int) -> tuple[Path, Path]:
    """Write 100 messages to learn from, and all others as test rows."""
    with SPAM.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    parts = {"train": order[:100], "test": order[100:]}
    train, test = (
        table_of(folder / f"{name}.csv", header, [rows[i] for i in part])
        for name, part in parts.items()
    )
    return train, test


TARGETS: dict[str, Callable[[Path, int], tuple[Path, Path]]] = {
    "SpamAssassin, 100 messages": messages,
    "Tux Paint, 7 spoken languages": spoken_languages,
}


def run(write: Callable[[Path, int], tuple[Path, Path]], folder: Path, seed: int) -> dict[str, Any]:
    """Fit one draw of rows, and audit it."""
    folder.mkdir(parents=True)
    train, test = write(folder, seed)
    options = ["--budget", BUDGET, "--seed", str(seed)]
    result = fit(train, "--test", test, *options, "--out", folder / "run")
    gain, said = result["verdict"]["gain"], result["verdict"]["transfer"]
    expected = "no evidence"
    if gain["low"] > 0:
        expected = "helps"
    elif gain["high"] < 0:
        expected = "hurts"
    found = json.loads(headstart("audit", train, "--json").stdout)["findings"]
    leaks = [finding["says"] for finding in found if finding["check"] == "leaks"]
    return {"seed": seed, "agrees": expected == said, "leaks": leaks, "result": outlined(result)}


def main() -> None:
    """Run three draws of each target."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = {
            name: [run(write, Path(scratch) / f"{write.__name__}-{seed}", seed) for seed in SEEDS]
            for name, write in TARGETS.items()
        }
    agrees = {name: all(one["agrees"] for one in found) for name, found in runs.items()}
    keep("neutral", {"budget": BUDGET, "agrees": agrees, "runs": runs})


if __name__ == "__main__":
    main()
