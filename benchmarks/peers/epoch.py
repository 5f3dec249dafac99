"""An epoch of fine-tuning the last two stages: over the cache, against fastai with the same frozen.

    python benchmarks/peers/epoch.py

Both train the last two stages of EfficientNet-Lite0 and a head, on the same pictures at the same
size, batches of 32, two threads. fastai runs in its own environment, and computes the frozen
layers in every epoch; headstart has them in its cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benches import bench_of, opened
from headstart.data.reading import read
from headstart.recipes import Phase, recipes_for
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.training.learners import learners, settle
from peers.environments import python
from peers.tasks import TASKS
from peers.weights import weights
from records import RESULTS, keep

BATCH = 32
EPOCHS = 3
THREADS = 2
TASK = "fashion-1000"


def ours(folder: Path) -> dict[str, Any]:
    """Return the seconds of an epoch over cached values, and of filling the cache."""
    dataset, source = read(folder), default_source("image")
    extractor = opened(source)
    bench = bench_of(dataset, {source.id: extractor}, range(len(dataset)))
    recipe = next(r for r in recipes_for("image", "pooled") if r.name == "finetune")
    recipe = replace(
        recipe,
        scale=1.0,
        views=0,
        batch=BATCH,
        solved=False,
        phases=(Phase(epochs=EPOCHS, rate=1e-3, body=1 / 3),),
    )
    marks: list[float] = []

    def late() -> bool:
        marks.append(time.perf_counter())
        return False

    assignment = replace(assign(bench, recipe, source.id, late), validation=None)
    cut = extractor.backbone.cut_before_last(recipe.stages or 0)
    started = time.perf_counter()
    extractor.extract(dataset, cut)
    filling = time.perf_counter() - started
    settled = settle(assignment)
    marks.clear()
    learners.get("tune").fit(replace(assignment, settled=settled))
    steps = -(-len(dataset) // BATCH)
    begun = marks[::steps]
    return {
        "rows": len(dataset),
        "cut": extractor.backbone.cut_name(cut),
        "stages": [s.name for s in extractor.backbone.stages[cut:]],
        "filling_the_cache": filling,
        "epochs": [after - before for before, after in pairwise(begun)],
        "settled": settled,
    }


def theirs(folder: Path, stages: list[str]) -> dict[str, Any]:
    """Return the seconds of fastai's epochs."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "epochs.json"
        asked = {
            "train": str(folder),
            "weights": str(weights("image")),
            "stages": stages,
            "batch": BATCH,
            "epochs": EPOCHS,
            "out": str(out),
        }
        environment = {
            **os.environ,
            "PYTHONPATH": str(RESULTS.parent),
            "OMP_NUM_THREADS": str(THREADS),
        }
        command = [str(python("fastai")), "-P", "-m", "peers.systems.fastai_epoch"]
        subprocess.run([*command, json.dumps(asked)], env=environment, check=True)
        found: dict[str, Any] = json.loads(out.read_text())
    return found


def main() -> None:
    """Measure both, and keep the ratio."""
    folder = TASKS[TASK].folder(TASK) / "train"
    headstart = ours(folder)
    fastai = theirs(folder, headstart["stages"])
    ratio = float(np.median(fastai["epochs"]) / np.median(headstart["epochs"]))
    keep("peers/epoch", {"ratio": ratio, "headstart": headstart, "fastai": fastai})


if __name__ == "__main__":
    main()
