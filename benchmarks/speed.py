"""Rows a second through all frozen layers of every bundled source: the catalogue's `speed`.

Reading a row is part of it. What counts is processor time, in two cores' seconds: so it is what two
cores give that have nothing else to do, whatever else the machine did meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.data.unlabelled import from_cells
from headstart.features.extract import Extractor
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from records import keep
from targets import STAMPS, bbc_articles, bbc_folders, fashion_folder

CORES = 2
REPETITIONS = 5
SECONDS = 2.0
"""That one repetition takes, about."""


def speed(extractor: Extractor, dataset: Dataset) -> float:
    """Return rows a second, the best of some repetitions."""
    end = extractor.backbone.end
    few = dataset.take(range(32))
    first = len(few) / extractor.forecast(few, end)
    some = dataset.take(range(min(len(dataset), max(32, int(first * SECONDS)))))
    rates = []
    for _ in range(REPETITIONS):
        started = time.process_time()
        extractor.extract(some, end)
        rates.append(CORES * len(some) / (time.process_time() - started))
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
            "audio": from_cells(sorted(STAMPS.rglob("*_desc_es.ogg"))[:400]),
        }
        for source in sources:
            loaded = load_source(source)
            extractor = Extractor(loaded.backbone, loaded.digest, cache=None)
            rate = speed(extractor, rows[source.modality])
            [chosen] = extractor.chosen.values()
            table[source.id] = {
                "rows_a_second": rate,
                "engine": chosen.name,
                "precision": chosen.precision,
            }
    targets = {
        "image": "Fashion-MNIST",
        "text": "BBC News",
        "audio": "spoken phrases of Tux Paint, of about 1.2 s",
    }
    keep("speed", {"targets": targets, "sources": table})


if __name__ == "__main__":
    main()
