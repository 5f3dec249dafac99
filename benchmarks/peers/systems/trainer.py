"""Hugging Face Trainer: the whole network is tuned, as transformers' task guides do it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    DefaultDataCollator,
    Trainer,
    TrainingArguments,
)

from peers.compiled import Compiled
from peers.job import Job, files, labels, texts
from peers.points import Points
from peers.race import Answers, Race, main

BATCH = {"image": 16, "text": 8}
LEARNING_RATE = {"image": 5e-4, "text": 5e-5}
"""The guides' 5e-5 leaves the new head of a convolutional network hardly trained."""


def pictures(job: Job) -> tuple[Any, Any, Any]:
    """Return the model, what collates rows, and what reads a folder of pictures."""
    model = AutoModelForImageClassification.from_pretrained(
        job.weights, num_labels=len(job.classes), ignore_mismatched_sizes=True
    )
    processor = AutoImageProcessor.from_pretrained(job.weights)

    def prepared(rows: dict[str, list[Any]]) -> dict[str, Any]:
        pixels = processor([picture.convert("RGB") for picture in rows["picture"]])
        return {"pixel_values": pixels["pixel_values"], "labels": rows["labels"]}

    def read(folder: Path) -> Dataset:
        rows = {"picture": [str(file) for file in files(folder)], "labels": _numbers(job, folder)}
        return Dataset.from_dict(rows).cast_column("picture", Image()).with_transform(prepared)

    return model, DefaultDataCollator(), read


def articles(job: Job) -> tuple[Any, Any, Any]:
    """Return the model, what collates rows, and what reads a folder of texts."""
    model = AutoModelForSequenceClassification.from_pretrained(
        job.weights, num_labels=len(job.classes)
    )
    tokenizer = AutoTokenizer.from_pretrained(job.weights)

    def prepared(rows: dict[str, list[Any]]) -> Any:
        return tokenizer(rows["text"], truncation=True, max_length=128)

    def read(folder: Path) -> Dataset:
        rows = {"text": texts(folder), "labels": _numbers(job, folder)}
        return Dataset.from_dict(rows).map(prepared, batched=True, remove_columns="text")

    return model, DataCollatorWithPadding(tokenizer), read


def _numbers(job: Job, folder: Path) -> list[int]:
    classes = job.classes
    return [classes.index(label) for label in labels(folder)]


def run(race: Race) -> Answers:
    """Train for the given epochs, without evaluation on the way."""
    job = race.job
    model, collator, read = (pictures if job.modality == "image" else articles)(job)

    def save(path: Path) -> None:
        torch.save(model.state_dict(), path)

    race.configuration = {
        "epochs": job.epochs,
        "batch": BATCH[job.modality],
        "learning_rate": LEARNING_RATE[job.modality],
    }
    arguments = TrainingArguments(
        output_dir=str(job.out / "trainer"),
        num_train_epochs=job.epochs,
        per_device_train_batch_size=BATCH[job.modality],
        per_device_eval_batch_size=32,
        learning_rate=LEARNING_RATE[job.modality],
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        seed=0,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=read(job.train),
        callbacks=[Points(race, save)],
    )
    trainer.train()
    race.point(save)

    network = getattr(model, "timm_model", None)

    def answers(path: Path) -> Sequence[str]:
        if network is not None:
            model.timm_model = network
        model.load_state_dict(torch.load(path))
        if network is not None:
            model.timm_model = Compiled(network)
        found = trainer.predict(read(job.test)).predictions
        return [job.classes[i] for i in found.argmax(1)]

    return answers


if __name__ == "__main__":
    main(run)
