"""Noise on activations."""

import numpy as np
import pytest
import torch

from headstart.training.perturbations import Perturbed
from headstart.training.perturbations.noise import noise


@pytest.mark.parametrize("strength", (0.1, 0.5))
def test_its_size_is_a_share_of_the_values_own(strength):
    value = 3 * torch.ones(64, 16, 8, 8)
    batch = noise(Perturbed({"stage.0": value}, ()), strength, np.random.default_rng(0))
    added = batch.values["stage.0"] - value
    assert float(added.std()) == pytest.approx(3 * strength, rel=0.01)
    assert abs(float(added.mean())) < 0.05 * strength
