"""BBC News, 40 and 400 labels: what reading more of a text than its beginning brings and costs."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.modalities import modalities
from headstart.data.reading import read
from headstart.data.splits import units
from headstart.data.tokenizing import MODES
from headstart.features.coverage import coverage
from headstart.features.extract import Extractor
from headstart.models.heads import HeadSpec, readout
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from headstart.tasks import metric_for, task_for
from headstart.tasks.linear import STRENGTHS, Features
from records import keep
from targets import bbc_articles

LABELS = (40, 400)
SEEDS = tuple(range(8))


def compared(dataset: Dataset, mode: str) -> list[dict[str, Any]]:
    """Embed every article once; fit the probe and layers on each draw, score on the others."""
    task = task_for(dataset)
    dataset, spec = task.validate(dataset)
    metric = metric_for(task, spec)
    targets, unit_of = task.encode(dataset, spec), units(dataset)
    loaded = load_source(sources.get("bundled/minilm"))
    backbone = loaded.backbone.reading(mode)
    read_of = coverage(dataset, backbone.preprocessing)
    extractor = Extractor(backbone, loaded.digest, cache=None)
    pieces = modalities.get("text").pieces(dataset.inputs, backbone.preprocessing)
    values = extractor.extract(dataset, backbone.end).whole()
    found = []
    for kind, labels in itertools.product(("linear", "layers"), LABELS):
        features = readout(values, kind)
        scores = []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(dataset))
            rows, others = order[:labels], order[labels:]
            problem = Features.of(features[rows].numpy())
            solved = task.solve_linear(
                problem, targets[rows], unit_of[rows], spec, seed, STRENGTHS, None
            )
            assert solved is not None
            head = HeadSpec("linear", features.shape[1], len(spec["classes"])).build()
            head.load_state_dict(solved.state())
            scores.append(metric.score(head({"features": features[others]}), targets[others]))
        found.append(
            {
                "long": mode,
                "recipe": "probe" if kind == "linear" else kind,
                "labels": labels,
                "accuracy": scores,
                "mean_accuracy": float(np.mean(scores)),
                "windows_a_text": float(np.mean(pieces)),
                "coverage": read_of and read_of.data(),
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Compare the modes on the same draws and keep the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = bbc_articles(Path(scratch))[0].parents[1]
        dataset = read(folder)
        found = [row for mode in MODES for row in compared(dataset, mode)]
    keep("long_texts", {"seeds": SEEDS, "articles": len(dataset), "modes": found})


if __name__ == "__main__":
    main()
