"""The learning-rate range test, on a network so small that rates of any size can be tried."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.recipes import Phase
from headstart.training.memory import AtOnce
from headstart.training.plan import HEAD
from headstart.training.ranging import LEAST, MOST, STEPS, factor, range_test

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS, BATCH = 64, 16


class Regression:
    """Four numbers to one, by a hidden layer with normalisation."""

    def __init__(self):
        torch.manual_seed(0)
        self.x = torch.randn(ROWS, 4)
        self.y = self.x.sum(1, keepdim=True) + 3
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.network = nn.Sequential(self.body, nn.Linear(8, 1))
        self.seen = []

    def step(self, taken, _epoch):
        self.seen.append(taken.tolist())
        return nn.functional.mse_loss(self.network(self.x[taken]), self.y[taken])

    def factor(self, rate, **options):
        groups = {
            "body": list(self.body.parameters()),
            HEAD: list(self.network[1].parameters()),
        }
        phases = (Phase(1, rate, last=0), Phase(3, rate))
        settings = {"optimizer": "adamw", "norm": "adapting", "at_once": AtOnce(BATCH), "seed": 0}
        return range_test(
            self.network, groups, phases, ROWS, BATCH, self.step, **{**settings, **options}
        )


def test_rates_that_are_too_high_are_lowered_and_low_ones_raised():
    high, right, low = (Regression().factor(rate) for rate in (20.0, 1.0, 1e-3))
    assert LEAST <= high < right <= MOST
    assert high < 0.25
    assert low == 1.0, "nothing breaks at such rates"


@pytest.mark.parametrize("rate", (1e-3, 1.0, 1e6))
def test_the_network_is_as_it_was(rate):
    task = Regression()
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    task.factor(rate)
    after = task.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_network_that_breaks_at_once_learns_at_the_least():
    assert Regression().factor(1e9, optimizer="sgd") == LEAST


def test_the_same_seed_finds_the_same():
    assert len({Regression().factor(5.0) for _ in range(2)}) == 1


def test_it_ends_with_the_deadline():
    task = Regression()
    assert task.factor(20.0, late=lambda: len(task.seen) == STEPS + 4) == 1.0
    assert len(task.seen) == STEPS + 4


def test_it_takes_so_many_steps_at_most():
    task = Regression()
    task.factor(1e-4)
    first, again = task.seen[:STEPS], task.seen[STEPS:]
    assert first == again, "what the weights as they were give of each batch, and then each step"
    assert all(len(set(rows)) == BATCH for rows in first)
    assert factor(STEPS - 1) / factor(0) == pytest.approx(1024)
