"""fastai: a vision learner, fine-tuned as its quick start does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    Resize,
    get_image_files,
    parent_label,
    set_seed,
    vision_learner,
)

from peers.compiled import Compiled
from peers.job import files
from peers.race import Answers, Race, Save, main


class Points(Callback):
    """Takes the points after steps of training."""

    def __init__(self, race: Race, save: Save) -> None:
        self.race, self.save_point = race, save

    def after_batch(self) -> None:
        """Stop the fit where the time is up."""
        if self.training and self.race.step(self.save_point):
            raise CancelFitException


def loaded(folder: Path, batch: int) -> DataLoaders:
    """Return loaders of all pictures in a folder, none of them held back."""
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=IndexSplitter([]),
        get_y=parent_label,
        item_tfms=Resize(224, method="squish"),
    )
    return block.dataloaders(folder, bs=batch)


def run(race: Race) -> Answers:
    """Fine-tune: one epoch of the head, then all layers. All rows are learnt from."""
    job = race.job
    set_seed(0)
    rows = len(files(job.train))
    batch = 64 if rows >= 1000 else 16
    loaders = loaded(job.train, batch)
    learner = vision_learner(loaders, f"local-dir:{job.weights}")

    def save(path: Path) -> None:
        torch.save(learner.model.state_dict(), path)

    race.configuration = {
        "call": f"vision_learner(...).fine_tune({job.epochs})",
        "batch": batch,
        "learning_rate": "fine_tune's default, 2e-3",
    }
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(job.epochs, cbs=Points(race, save))
    race.point(save)

    body = learner.model[0]

    def answers(path: Path) -> Sequence[str]:
        learner.model[0] = body
        learner.model.load_state_dict(torch.load(path))
        learner.model[0] = Compiled(body)
        test = loaders.test_dl(files(job.test))
        with learner.no_bar(), learner.no_logging():
            found, _ = learner.get_preds(dl=test)
        return [loaders.vocab[i] for i in found.argmax(1)]

    return answers


if __name__ == "__main__":
    main(run)
