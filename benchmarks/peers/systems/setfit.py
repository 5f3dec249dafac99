"""SetFit, with its defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

from peers.job import labels, texts
from peers.points import Points
from peers.race import Answers, Race, main


def run(race: Race) -> Answers:
    """Train the body on pairs of texts, then a logistic regression on its embeddings.

    At the points on the way the head is fitted when they are scored, which the clock does not
    count; at the last one it does.
    """
    job = race.job
    model = SetFitModel.from_pretrained(str(job.weights))
    body = model.model_body
    body.max_seq_length = 128
    rows = {"text": texts(job.train), "label": labels(job.train)}

    def save(path: Path) -> None:
        torch.save(body.state_dict(), path)

    arguments = TrainingArguments(
        output_dir=str(job.out / "setfit"), save_strategy="no", show_progress_bar=False, seed=0
    )
    race.configuration = {
        "pairs": arguments.sampling_strategy,
        "epochs": arguments.num_epochs[0],
        "batch": arguments.batch_size[0],
        "learning_rate": arguments.body_learning_rate[0],
    }
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(rows),
        callbacks=[Points(race, save)],
    )
    trainer.train()
    race.point(save)

    def answers(path: Path) -> Sequence[str]:
        body.load_state_dict(torch.load(path))
        trainer.train_classifier(rows["text"], rows["label"])
        return [str(answer) for answer in model.predict(texts(job.test))]

    return answers


if __name__ == "__main__":
    main(run)
