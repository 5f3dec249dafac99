"""A model whose outputs are moved."""

from __future__ import annotations

from dataclasses import replace

import torch

from headstart.models import restore
from headstart.models.adjusted import Adjusted
from headstart.models.constant import Constant


def test_the_offsets_are_added_and_saved_beside_the_model(dataset_of):
    rows = dataset_of(list("uv"))
    model = Adjusted(Constant(torch.tensor([1.0, 2.0])), torch.tensor([0.5, -0.5]))
    assert model.outputs(rows).tolist() == [[1.5, 1.5]] * 2
    saved = model.saved()
    assert saved.kind == "adjusted" and set(saved.tensors) == {"inner.values", "offsets"}
    assert torch.equal(restore(saved).outputs(rows), model.outputs(rows))


def test_the_temperature_divides_what_was_moved_and_is_saved(dataset_of):
    rows = dataset_of(list("uv"))
    model = Adjusted(Constant(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 0.0]), 4.0)
    assert model.outputs(rows).tolist() == [[0.5, 0.5]] * 2
    assert torch.equal(restore(model.saved()).outputs(rows), model.outputs(rows))


def test_an_artifact_of_before_has_a_temperature_of_one(dataset_of):
    saved = Adjusted(Constant(torch.tensor([1.0])), torch.tensor([1.0]), 4.0).saved()
    config = {name: value for name, value in saved.config.items() if name != "temperature"}
    older = restore(replace(saved, config=config))
    assert older.outputs(dataset_of(["u"])).tolist() == [[2.0]]
