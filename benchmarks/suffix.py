"""Training the stages after each cut over cached values, against the whole network: rows a second.

Each cut is trained as a trial does it, in the numerics that were measured to be the fastest, in
the usual ones, and in PyTorch's own (float32, contiguous). What the race forecasts for an epoch
stands beside what the epoch took.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benches import bench_of, opened
from headstart.data.reading import read
from headstart.recipes import Recipe, recipes_for
from headstart.search.trial import assign
from headstart.sources.catalogue import default_source
from headstart.training.learners import PASSES, Assignment, learners, settle
from records import keep
from targets import bbc_articles, bbc_folders, fashion_folder

ROWS, HELD, EPOCHS = 256, 64, 3
PLAIN = {"precision": "f32", "layout": "contiguous"}


def assigned(folder: Path) -> Assignment:
    """Return an assignment of rows in `folder`, with the source of their modality."""
    dataset = read(folder)
    source = default_source(dataset.modality)
    order = np.random.default_rng(0).permutation(len(dataset))
    bench = bench_of(dataset, {source.id: opened(source)}, order[HELD : HELD + ROWS], order[:HELD])
    recipe = next(r for r in recipes_for(dataset.modality, "pooled") if r.name == "finetune")
    return assign(bench, recipe, source.id, lambda: False)


def trained(assignment: Assignment) -> tuple[float, float]:
    """Return seconds of a step and of an epoch with its evaluation, as a trial trains."""
    marks: list[float] = []

    def late() -> bool:
        marks.append(time.perf_counter())
        return False

    learner, recipe = learners.get("tune"), assignment.recipe
    learner.fit(replace(assignment, recipe=replace(recipe, phases=_epochs(recipe, 1))))  # cached
    marks.clear()
    learner.fit(replace(assignment, late=late))
    steps = -(-ROWS // recipe.batch)
    seconds = [after - before for before, after in pairwise(marks)]
    within = [s for i, s in enumerate(seconds, 1) if i % steps]
    epoch = min(marks[i + steps] - marks[i] for i in range(0, len(marks) - steps, steps))
    return float(np.median(within)), epoch


def forecast_of_an_epoch(assignment: Assignment) -> float:
    """Return what the race would expect an epoch to take."""
    one, two = (
        learners.get("tune").forecast(
            replace(assignment, settled={**assignment.settled, PASSES: epochs})
        )
        for epochs in (1, 2)
    )
    return two - one


def compared(folder: Path) -> list[dict[str, Any]]:
    """Train from each cut of the source."""
    assignment = assigned(folder)
    assert assignment.extractor is not None
    backbone = assignment.extractor.backbone
    found = []
    for stages in [*range(1, backbone.end), None]:
        recipe = replace(assignment.recipe, stages=stages, views=0, solved=False, patience=EPOCHS)
        recipe = replace(recipe, phases=_epochs(recipe, EPOCHS))
        one = replace(assignment, recipe=recipe)
        one = replace(one, settled=settle(one))
        step, epoch = trained(one)
        usual, _ = trained(replace(one, settled={}))
        plain, _ = trained(replace(one, settled=PLAIN))
        cut = 0 if stages is None else backbone.cut_before_last(stages)
        found.append(
            {
                "stages": stages,
                "cut": backbone.cut_name(cut),
                "numerics": [one.settled["precision"], one.settled["layout"]],
                "rows_a_second": recipe.batch / step,
                "usual_rows_a_second": recipe.batch / usual,
                "plain_rows_a_second": recipe.batch / plain,
                "epoch_seconds": epoch,
                "epoch_forecast": forecast_of_an_epoch(one),
            }
        )
        print(found[-1], flush=True)
    whole = found[-1]["plain_rows_a_second"]
    for one_cut in found:
        one_cut["times_the_whole_network"] = one_cut["rows_a_second"] / whole
    return found


def _epochs(recipe: Recipe, epochs: int) -> tuple[Any, ...]:
    return tuple(replace(phase, epochs=epochs) for phase in recipe.phases)


def main() -> None:
    """Measure both sources and keep the table."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        pictures = compared(fashion_folder(place / "fashion", "train", ROWS + HELD))
        articles = bbc_articles(place / "wheel")
        texts = compared(bbc_folders(place / "bbc", articles, ROWS + HELD, 0)[0])
    keep("suffix", {"efficientnet-lite0": pictures, "minilm": texts})


if __name__ == "__main__":
    main()
