"""Dropout on activations."""

import numpy as np
import pytest
import torch

from headstart.training.perturbations import Perturbed
from headstart.training.perturbations.dropout import dropout


@pytest.mark.parametrize("shape", ((50, 400), (50, 10, 40), (200, 100, 2, 2)))
def test_a_share_is_zero_and_the_rest_is_scaled_up(shape):
    value = torch.ones(shape)
    batch = dropout(Perturbed({"stage.0": value}, ()), 0.2, np.random.default_rng(0))
    found = batch.values["stage.0"]
    assert sorted(found.unique().tolist()) == [0.0, 1.25]
    assert float((found == 0).float().mean()) == pytest.approx(0.2, abs=0.02)


def test_a_map_loses_whole_channels():
    batch = dropout(
        Perturbed({"stage.0": torch.ones(20, 30, 4, 4)}, ()), 0.5, np.random.default_rng(0)
    )
    assert (batch.values["stage.0"].flatten(2).std(2) == 0).all()
