"""A model whose outputs are moved."""

from __future__ import annotations

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
