"""How a recipe is carried out again on all rows: stopped at its best epoch, or along a whole plan.

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
from headstart.search.trial import assign, on_all
from headstart.sources.catalogue import default_source
from headstart.training.learners import EPOCHS, Assignment, Fitted, learners, settle
from headstart.training.loop import Epoch
from records import keep

LEARNT, CHOSEN = 0.5, 0.2
"""Of the labelled rows: what a trial learns from, and what it chooses its epoch by."""


def stopped_after(assignment: Assignment, epochs: int) -> Assignment:
    """Return an assignment that ends after so many epochs, whatever is left of its plan."""
    seen: list[Epoch] = []
    return replace(assignment, watch=seen.append, late=lambda: len(seen) >= epochs)


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

    def note(name: str, assignment: Assignment) -> Fitted:
        started = time.monotonic()
        fitted = learners.get("tune").fit(assignment)
        outputs = fitted.model.outputs(held.data)
        found[name] = {
            "score": round(float(bench.metric.score(outputs, held.targets)), 4),
            "loss": round(bench.task.loss(outputs, truth, bench.spec).item(), 4),
            "seconds": round(time.monotonic() - started, 1),
        }
        print(labels, draw, name, found[name], flush=True)
        return fitted

    trial = note("the trial's model", one)
    best = 1 + max(
        range(len(trial.history)),
        key=lambda i: (trial.history[i]["score"], -trial.history[i]["validation_loss"]),
    )
    whole = on_all(one, trial.settled, (rest,))
    planned = replace(whole, settled={n: v for n, v in trial.settled.items() if n != EPOCHS})
    note("stopped at its best epoch", stopped_after(planned, best))
    note("a plan to its best epoch", replace(whole, settled={**trial.settled, EPOCHS: best}))
    note("a plan of the trial's epochs", whole)
    note("the recipe's plan", planned)
    epochs = {"best": best, "trial": len(trial.history), "planned": one.carried_out.epochs}
    return {"metric": bench.metric.name, "epochs": epochs, **found}


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
