"""Tux Paint's stamps, any number of labels each: a minute is enough to beat the small model."""

from __future__ import annotations

import tempfile
from pathlib import Path

from records import fit, keep
from targets import labelled_stamps


def main() -> None:
    """Fit for a minute by the order of rows, and another by decisions; keep both results."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        table = labelled_stamps(place)
        runs = []
        for metric in ("mAP", "macro_f1"):
            options = ["--label", "labels", "--group", "thing", "--metric", metric]
            out = place / f"run-{metric}"
            runs.append(fit(table, *options, "--budget", "60s", "--out", out))
    keep("multilabel", {"runs": runs})


if __name__ == "__main__":
    main()
