"""Fifty runs: five budgets on ten data sets, small and large; each is kept, and leaves a model.

The whole process is timed from outside: starting Python and writing everything count.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from records import RESULTS, SAID, headstart, keep, own_cache, started
from targets import SPAM, bbc_articles, bbc_folders, fashion_folder, stamps_folder

BUDGETS = (5, 20, 60, 180, 600)


def _fashion(rows: int) -> Callable[[Path], Path]:
    return lambda place: fashion_folder(place / "fashion", "train", rows)


def _bbc(rows: int) -> Callable[[Path], Path]:
    return lambda place: bbc_folders(place / "bbc", bbc_articles(place / "wheel"), rows, 0)[0]


def _spam(rows: int) -> Callable[[Path], Path]:
    def write(place: Path) -> Path:
        head, *lines = SPAM.read_text(encoding="utf-8").splitlines(keepends=True)
        table = place / "spam.csv"
        table.write_text(head + "".join(random.Random(0).sample(lines, min(rows, len(lines)))))
        return table

    return write


DATA: dict[str, Callable[[Path], Path]] = {
    "fashion, 100": _fashion(100),
    "fashion, 1000": _fashion(1_000),
    "fashion, 10000": _fashion(10_000),
    "fashion, 60000": _fashion(60_000),
    "stamps": lambda place: stamps_folder(place / "stamps"),
    "BBC News, 40": _bbc(40),
    "BBC News, 400": _bbc(400),
    "BBC News, 2225": _bbc(2_225),
    "spam, 60": _spam(60),
    "spam": _spam(10_000),
}


def ran(place: Path, data: Path, budget: float) -> dict[str, Any]:
    """Fit within a budget; time the process, and let its model answer."""
    cache, out = own_cache(place / f"cache-{budget}"), place / f"run-{budget}"
    began = time.monotonic()
    process = started(cache, data, "--budget", f"{budget}s", "--out", out)
    status = process.wait()
    seconds = time.monotonic() - began
    late = seconds - budget
    found = {"budget": budget, "seconds": seconds, "late_by": late, "status": status}
    found["kept"] = late <= max(2.0, 0.05 * budget)
    if status:
        return {**found, "usable": False, "said": (cache / SAID).read_text()[-500:]}
    some = sorted(data.rglob("*.*"))[0] if data.is_dir() else data
    answer = headstart("predict", out, some, "--json").stdout.splitlines()[0]
    result = json.loads((out / "result.json").read_text())
    return {
        **found,
        "usable": "prediction" in json.loads(answer),
        "result": {name: result[name] for name in ("status", "trials", "left_out", "winner")},
    }


def main() -> None:
    """Run the pairs that are asked for; those measured before stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=list(DATA))
    parser.add_argument("--budgets", type=int, nargs="*", default=BUDGETS)
    asked, place = parser.parse_args(), RESULTS / "budgets.json"
    kept: dict[str, Any] = json.loads(place.read_text())["runs"] if place.is_file() else {}
    for name, budget in itertools.product(asked.data, asked.budgets):
        with tempfile.TemporaryDirectory() as scratch:
            kept[f"{name}, {budget} s"] = ran(Path(scratch), DATA[name](Path(scratch)), budget)
        runs = kept.values()
        keep(
            "budgets",
            {
                "runs_in_all": len(runs),
                "late": sum(not run["kept"] for run in runs),
                "without_a_model": sum(not run["usable"] for run in runs),
                "runs": kept,
            },
        )


if __name__ == "__main__":
    main()
