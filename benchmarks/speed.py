"""Rows a second through all frozen layers of every bundled source: the catalogue's `speed`.

Reading a row is part of it. The best of some repetitions counts: whatever else the machine did
meanwhile only made it slower.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.features.extract import Extractor
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from records import keep
from targets import bbc_articles, bbc_folders, fashion_folder

REPETITIONS = 5
SECONDS = 2.0
"""That one repetition takes, about."""


def speed(extractor: Extractor, dataset: Dataset) -> float:
    """Return rows a second, the best of some repetitions."""
    end = extractor.backbone.end
    first = extractor.rate(dataset, end, rows=32)
    some = dataset.take(range(min(len(dataset), max(32, int(first * SECONDS)))))
    rates = []
    for _ in range(REPETITIONS):
        started = time.monotonic()
        extractor.extract(some, end)
        rates.append(len(some) / (time.monotonic() - started))
    return max(rates)


def main() -> None:
    """Measure all sources and keep the table."""
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles, _ = bbc_folders(place / "bbc", bbc_articles(place / "wheel"), 400, 0)
        rows = {
            "image": read(fashion_folder(place / "pictures", "train", 1_000)),
            "text": read(articles),
        }
        for source in sources:
            loaded = load_source(source)
            extractor = Extractor(loaded.backbone, loaded.digest, cache=None)
            rate = speed(extractor, rows[source.modality])
            [chosen] = extractor.chosen.values()
            table[source.id] = {
                "rows_a_second": rate,
                "engine": chosen.engine.name,
                "precision": chosen.engine.precision,
            }
    keep("speed", {"targets": {"image": "Fashion-MNIST", "text": "BBC News"}, "sources": table})


if __name__ == "__main__":
    main()
