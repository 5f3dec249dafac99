"""The sober competitor: a frozen network in OpenVINO, and scikit-learn's LogisticRegression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from timm.data import create_transform, resolve_model_data_config
from transformers import AutoModel, AutoTokenizer

from peers.job import Job, files, labels, texts
from peers.race import Answers, Race, main

BATCH = 32
Features = Callable[[Path], np.ndarray]


def pictures(job: Job) -> Features:
    """Return what gives the features of all pictures in a folder."""
    network = timm.create_model(f"local-dir:{job.weights}", pretrained=True, num_classes=0).eval()
    transform = create_transform(**resolve_model_data_config(network))
    example = torch.zeros(BATCH, 3, 224, 224)
    compiled = _compiled(network, example, [[-1, 3, 224, 224]])

    def features(folder: Path) -> np.ndarray:
        paths, found = files(folder), []
        for i in range(0, len(paths), BATCH):
            opened = [Image.open(path).convert("RGB") for path in paths[i : i + BATCH]]
            found.append(compiled(np.stack([transform(one).numpy() for one in opened]))[0])
        return np.concatenate(found)

    return features


def articles(job: Job) -> Features:
    """Return what gives the features of all texts in a folder: the mean over their tokens."""
    tokenizer = AutoTokenizer.from_pretrained(job.weights)
    network = AutoModel.from_pretrained(job.weights, add_pooling_layer=False).eval()
    network.config.return_dict = False

    def tokens(rows: list[str]) -> dict[str, Any]:
        read = tokenizer(rows, truncation=True, max_length=128, padding=True, return_tensors="np")
        return {name: read[name] for name in ("input_ids", "attention_mask")}

    example = {name: torch.from_numpy(v) for name, v in tokens(["an example", "two"]).items()}
    compiled = _compiled(network, example, None)

    def features(folder: Path) -> np.ndarray:
        rows = texts(folder)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        found = np.zeros((len(rows), network.config.hidden_size), np.float32)
        for i in range(0, len(rows), BATCH):
            batch = tokens([rows[j] for j in order[i : i + BATCH]])
            mask = batch["attention_mask"][..., None]
            found[order[i : i + BATCH]] = (compiled(batch)[0] * mask).sum(1) / mask.sum(1)
        return found

    return features


def _compiled(network: torch.nn.Module, example: Any, shapes: Any) -> Any:
    """Return the network in OpenVINO, in bf16 where the processor has it: OpenVINO's default."""
    return ov.compile_model(ov.convert_model(network, example_input=example, input=shapes), "CPU")


def run(race: Race) -> Answers:
    """Fit once; there is nothing to stop on the way."""
    job = race.job
    features = pictures(job) if job.modality == "image" else articles(job)
    head = LogisticRegression(max_iter=1000).fit(features(job.train), labels(job.train))
    race.point(lambda path: None)
    race.configuration = {"engine": "OpenVINO", "head": "LogisticRegression(max_iter=1000)"}

    def answers(_: Path) -> Sequence[str]:
        return list(head.predict(features(job.test)))

    return answers


if __name__ == "__main__":
    main(run)
