"""100 SpamAssassin messages: the verdict agrees with its interval, whichever it is."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

from records import fit, keep

EXAMPLE = Path(__file__).parent.parent / "examples" / "spam.csv"
SEEDS = (0, 1, 2)


def main() -> None:
    """Run three draws of 100 messages; all other messages are the test rows."""
    rows = list(csv.DictReader(EXAMPLE.open(encoding="utf-8", newline="")))
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(rows))
            paths = []
            for name, some in (("train", order[:100]), ("test", order[100:])):
                paths.append(Path(scratch) / f"{name}-{seed}.csv")
                with paths[-1].open("w", encoding="utf-8", newline="") as out:
                    table = csv.DictWriter(out, ["text", "label"])
                    table.writeheader()
                    table.writerows(rows[i] for i in some.tolist())
            place = Path(scratch) / f"run-{seed}"
            options: list[str | Path] = ["--budget", "60s", "--seed", str(seed), "--out", place]
            result = fit(paths[0], "--test", paths[1], *options)
            gain = result["verdict"]["gain"]
            expected = "no evidence"
            if gain["low"] > 0:
                expected = "helps"
            elif gain["high"] < 0:
                expected = "hurts"
            agrees = expected == result["verdict"]["transfer"]
            runs.append({"seed": seed, "agrees": agrees, "result": result})
    keep("spam_100", {"agrees": all(run["agrees"] for run in runs), "runs": runs})


if __name__ == "__main__":
    main()
