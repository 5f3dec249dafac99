"""CutMix: a rectangle of another row, and as much of its target."""

import numpy as np
import pytest
import torch

from headstart.training.perturbations import Perturbed
from headstart.training.perturbations.cutmix import cutmix


class Known:
    """A generator whose draws are known: a quarter, from the upper left, the rows in reverse."""

    def beta(self, a, b):
        assert a == b
        return 0.25

    def uniform(self, low, high, size):
        return np.zeros(size)

    def permutation(self, rows):
        return np.arange(rows)[::-1].copy()


def test_a_quarter_comes_from_the_other_row():
    value = torch.arange(2.0)[:, None, None, None].expand(2, 3, 4, 4).clone()
    batch = cutmix(Perturbed({"stage.0": value}, ((torch.tensor([0, 1]), 1.0),)), 1.0, Known())
    found = batch.values["stage.0"]
    assert (found[0, :, :2, :2] == 1).all() and float(found[0].sum()) == 3 * 4
    assert (found[1, :, :2, :2] == 0).all()
    (first, a), (second, b) = batch.targets
    assert (first.tolist(), a, second.tolist(), b) == ([0, 1], 0.75, [1, 0], 0.25)
    assert float(value.sum()) == 48, "the cached values stay as they are"


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_those_of_the_rectangle(seed):
    value = torch.stack([torch.zeros(1, 7, 5), torch.ones(1, 7, 5)])
    random = np.random.default_rng(seed)
    batch = cutmix(Perturbed({"stage.0": value}, ((torch.tensor([0, 1]), 1.0),)), 1.0, random)
    (_first, a), (second, b) = batch.targets
    assert a + b == pytest.approx(1) and 0 <= b <= 1
    taken = float(batch.values["stage.0"][0].mean())
    assert taken == pytest.approx(b if second[0] == 1 else 0, abs=1e-6)


def test_where_there_is_no_map_nothing_is_mixed():
    batch = Perturbed({"stage.0": torch.ones(2, 5, 8)}, ((torch.tensor([0, 1]), 1.0),))
    assert cutmix(batch, 1.0, np.random.default_rng(0)) is batch
