"""How a recipe is carried out again on all rows: as far as its best epoch, or to its plan's end.

A trial learns from half of a few labelled rows and chooses its epoch by a fifth of them, as in a
run; then it is fitted again on all, in several ways. They are tested on rows of which none knows
anything.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from beginning import TESTED, TUNED, of, targets
from benches import bench_of, opened
from headstart.data.dataset import Dataset
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.training.learners import PASSES, learners, settle
from records import keep

LEARNT, CHOSEN = 0.5, 0.2
"""Of the labelled rows: what a trial learns from, and what it chooses its epoch by."""


def ways(best: int, planned: int) -> dict[str, dict[str, int]]:
    """Return by name what is settled of the epochs of a refit."""
    return {
        "as far as its best epoch": {"epochs": best},
        "a plan of as many epochs": {PASSES: best},
        "to the plan's end": {"epochs": planned},
    }


def carried_out(dataset: Dataset, labels: int, draw: int) -> dict[str, Any]:
    """Return for each way the score and the loss on rows that were not drawn, and the seconds."""
    order = np.random.default_rng(draw).permutation(len(dataset))
    source = default_source(dataset.modality)
    extractors = {source.id: opened(source)}
    held = bench_of(dataset, extractors, order[:labels], order[labels:][:TESTED]).validation
    learnt, chosen = int(LEARNT * labels), int(CHOSEN * labels)
    bench = bench_of(dataset, extractors, order[:learnt], order[learnt:][:chosen])
    rest = bench_of(dataset, extractors, order[learnt + chosen : labels]).train
    one = assign(bench, of(dataset.modality), source.id, lambda: False)
    one = replace(one, settled=settle(one))
    truth, found = torch.from_numpy(held.targets), dict[str, Any]()

    def note(name: str, **more: Any) -> Any:
        started = time.monotonic()
        fitted = learners.get("tune").fit(replace(one, **more))
        outputs = fitted.model.outputs(held.data)
        found[name] = {
            "score": round(float(bench.metric.score(outputs, held.targets)), 4),
            "loss": round(bench.task.loss(outputs, truth, bench.spec).item(), 4),
            "seconds": round(time.monotonic() - started, 1),
        }
        print(labels, draw, name, found[name], flush=True)
        return fitted

    trial = note("the trial's model")
    best, planned = trial.settled["epochs"], one.carried_out.epochs
    whole = (*one.train, bench.validation, rest)
    for name, epochs in ways(best, planned).items():
        settled = {**{n: v for n, v in trial.settled.items() if n != "epochs"}, **epochs}
        note(name, train=whole, validation=None, settled=settled)
    return {"metric": bench.metric.name, "best": best, "planned": planned, **found}


def main() -> None:
    """Measure all targets and keep the results."""
    with tempfile.TemporaryDirectory() as scratch:
        results = {
            name: [carried_out(dataset, labels, draw) for draw in range(draws)]
            for name, dataset, labels, draws in targets(Path(scratch))
        }
    keep("refitting", {"recipe": TUNED, "targets": results})


if __name__ == "__main__":
    main()
