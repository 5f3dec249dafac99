"""AutoGluon MultiModal: its preset of medium quality, with the backbone exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from autogluon.multimodal import MultiModalPredictor

from peers.compiled import Compiled
from peers.job import Job, files, labels, texts
from peers.race import Answers, Race, main

PRESET = "medium_quality"
MODELS = {
    "image": {"model.timm_image.checkpoint_name": "{weights}"},
    "text": {
        "model.hf_text.checkpoint_name": "{weights}",
        "model.hf_text.max_text_len": 128,
        "model.hf_text.pooling_mode": "mean",
    },
}


class Points(pl.Callback):  # type: ignore[misc]
    """Takes the points after steps of training."""

    def __init__(self, race: Race) -> None:
        self.race = race

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Stop the training where the time is up; the best models are averaged all the same."""
        if self.race.step(lambda path: torch.save(module.model.state_dict(), path)):
            trainer.should_stop = True


def watch(race: Race) -> None:
    """Let Lightning's trainer, which AutoGluon makes for itself, take the points."""
    make = pl.Trainer.__init__

    def watched(self: Any, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self.callbacks.append(Points(race))

    pl.Trainer.__init__ = watched


def frame(job: Job, folder: Path) -> pd.DataFrame:
    """Return paths of pictures or texts, and their classes."""
    read = texts(folder) if job.modality == "text" else [str(file) for file in files(folder)]
    return pd.DataFrame({"input": read, "label": labels(folder)})


def run(race: Race) -> Answers:
    """Call `fit` on all rows, of which AutoGluon keeps some back to validate."""
    job = race.job
    watch(race)
    model = {
        name: str(job.weights) if value == "{weights}" else value
        for name, value in MODELS[job.modality].items()
    }
    predictor = MultiModalPredictor(
        label="label",
        problem_type="multiclass",
        presets=PRESET,
        path=str(job.out / "predictor"),
        enable_progress_bar=False,
    )
    race.configuration = {"presets": PRESET, **MODELS[job.modality]}
    column = {"input": "image_path" if job.modality == "image" else "text"}
    predictor.fit(
        frame(job, job.train),
        column_types=column,
        hyperparameters={**model, "env.num_gpus": 0},
        seed=0,
    )
    network = predictor._learner._model

    def save(path: Path) -> None:
        torch.save(network.state_dict(), path)

    race.point(save)
    body = network.model
    test = frame(job, job.test)[["input"]]

    def answers(path: Path) -> Sequence[str]:
        network.model = body
        network.load_state_dict(torch.load(path))
        if job.modality == "image":
            network.model = Compiled(body)
        return list(predictor.predict(test, as_pandas=False))

    return answers


if __name__ == "__main__":
    main(run)
