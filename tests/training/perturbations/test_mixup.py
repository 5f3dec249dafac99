"""Mix-up against values that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.tasks import tasks
from headstart.training.perturbations import Perturbed
from headstart.training.perturbations.mixup import mixup


class Known:
    """A generator whose draws are known: a quarter, and the rows in reverse."""

    def beta(self, a, b):
        assert a == b
        return 0.25

    def permutation(self, rows):
        return np.arange(rows)[::-1].copy()


def mixed(values, targets):
    return mixup(Perturbed(values, ((targets, 1.0),)), 0.4, Known())


def test_values_and_targets_are_mixed_by_the_share():
    value, targets = torch.tensor([[0.0, 8.0], [4.0, 4.0], [8.0, 0.0]]), torch.tensor([0, 1, 2])
    batch = mixed({"stage.0": value}, targets)
    torch.testing.assert_close(
        batch.values["stage.0"], torch.tensor([[6.0, 2.0], [4.0, 4.0], [2.0, 6.0]])
    )
    (first, a), (second, b) = batch.targets
    assert (first.tolist(), a, second.tolist(), b) == ([0, 1, 2], 0.25, [2, 1, 0], 0.75)


@pytest.mark.parametrize(
    ("name", "targets", "spec"),
    (
        ("image-classification", torch.tensor([0, 1, 2]), {"classes": ["a", "b", "c"]}),
        ("image-multilabel", torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 1]]), {}),
    ),
)
def test_the_loss_is_that_of_mixed_targets(name, targets, spec):
    """Cross-entropy is linear in the targets, so that mixing either is the same."""
    outputs = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 0.0, 3.0]])
    batch = mixed({"stage.0": torch.zeros(3, 2)}, targets)
    found = batch.loss(lambda given: tasks.get(name).loss(outputs, given, spec))
    whole = targets.float() if targets.ndim == 2 else torch.nn.functional.one_hot(targets).float()
    soft = 0.25 * whole + 0.75 * whole.flip(0)
    if targets.ndim == 2:
        expected = torch.nn.functional.binary_cross_entropy_with_logits(outputs, soft)
    else:
        expected = torch.nn.functional.cross_entropy(outputs, soft)
    torch.testing.assert_close(found, expected)


def test_of_numbers_both_are_learnt_by_their_shares():
    task = tasks.get("image-regression")
    targets, outputs = torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([[1.0], [1.0], [1.0]])
    batch = mixed({"stage.0": torch.zeros(3, 2)}, targets)
    # squared errors 1, 0, 9, whichever way round
    found = batch.loss(lambda given: task.loss(outputs, given, {}))
    assert float(found) == pytest.approx(10 / 3)


def test_a_mixture_of_texts_is_as_long_as_the_longer_and_padding_adds_nothing():
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    value = torch.full((2, 3, 2), 4.0)
    value[1, 1:] = 99.0  # what an engine left where there is no token
    batch = mixed({"stage.0": value, "attention_mask": mask}, torch.tensor([0, 1]))
    assert batch.values["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert batch.values["stage.0"][:, :, 0].tolist() == [[4.0, 1.0, 1.0], [4.0, 3.0, 3.0]]


def test_where_nothing_can_be_mixed_the_targets_stay():
    values = {"input_ids": torch.arange(6).view(2, 3), "attention_mask": torch.ones(2, 3).long()}
    batch = mixed(values, torch.tensor([0, 1]))
    assert batch.values is values and len(batch.targets) == 1


@pytest.mark.parametrize(("strength", "spread"), ((0.2, 0.42), (1.0, 0.289)))
def test_the_share_follows_a_beta_distribution(strength, spread):
    """Its standard deviation is 1 / (2 sqrt(2 strength + 1))."""
    batch = Perturbed({"stage.0": torch.zeros(2, 1)}, ((torch.zeros(2), 1.0),))
    random = np.random.default_rng(0)
    shares = [mixup(batch, strength, random).targets[0][1] for _ in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.std(shares) == pytest.approx(spread, abs=0.02)
