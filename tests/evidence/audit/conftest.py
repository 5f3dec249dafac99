"""Made-up rows to examine."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evidence.audit import Examined
from headstart.tasks import task_for
from headstart.tasks.matrix import Array


@pytest.fixture
def examined_of(dataset_of):
    """A function that makes rows to examine of inputs, labels and features."""

    def make(inputs, labels, features=None, task="text-classification", **given):
        dataset = dataset_of(inputs, labels, **given)
        task = task_for(dataset, task)
        dataset, spec = task.validate(dataset)
        return Examined(
            dataset=dataset,
            task=task,
            spec=spec,
            targets=task.encode(dataset, spec),
            features=None if features is None else Array(features.astype(np.float32)),
        )

    return make


@pytest.fixture
def sentences():
    """A function that makes sentences of eight words each, drawn out of many."""

    def make(count, seed=0):
        random = np.random.default_rng(seed)
        return [" ".join(f"word{i}" for i in random.integers(0, 400, 8)) for _ in range(count)]

    return make
