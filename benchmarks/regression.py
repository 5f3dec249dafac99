"""Numbers from pictures and from texts, a minute each: what is reached, and whether transfer helps.

From pictures the share that a thing covers; from a sentence where it stands in its article.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from records import fit, keep
from targets import bbc_articles, measured_stamps, placed_sentences


def main() -> None:
    """Fit both and keep the results."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        pictures = measured_stamps(place, rows=1000, seed=0)
        articles = bbc_articles(place / "wheel")
        texts = placed_sentences(place, articles, count=300, each=5, seed=0)
        asked = (
            (pictures, ["--label", "share", "--input", "picture", "--group", "thing"]),
            (texts, ["--label", "place", "--input", "sentence", "--group", "article"]),
        )
        runs = [
            fit(table, *options, "--budget", "60s", "--out", place / f"run-{table.stem}")
            for table, options in asked
        ]
    keep("regression", {"runs": runs})


if __name__ == "__main__":
    main()
