"""The model that ignores its input."""

from __future__ import annotations

import pytest
import torch

from headstart.models import restore
from headstart.models.constant import Constant


@pytest.mark.parametrize("shape", ((3,), (5, 3), ()))
def test_every_row_gets_the_same_answer(dataset_of, shape):
    values = torch.randn(shape).double()
    rows = dataset_of(list("abcd"))
    model = Constant(values)
    found = model.outputs(rows)
    assert found.shape == (4, *shape) and found.dtype == torch.float32
    assert all(torch.equal(row, values.float()) for row in found)
    assert torch.equal(restore(model.saved()).outputs(rows), found)
    assert model.respond(rows).features is None


def test_answers_of_one_row_can_change_alone(dataset_of):
    found = Constant(torch.zeros(2)).outputs(dataset_of(list("ab")))
    found[0] += 1
    assert found.tolist() == [[1, 1], [0, 0]]
