"""Tests of the choice that no row takes part in by which it is judged."""

import numpy as np
import pytest
import torch

from headstart.evidence.beliefs import Prior
from headstart.evidence.nested import Answered, chosen, mean_loss, mean_score
from headstart.tasks.metrics import CLASSIFICATION

ACCURACY = CLASSIFICATION["accuracy"]
FOLDS = np.repeat([0, 1, 2], 4)
UNKNOWN = Prior(None)


def said(right, loss=1.0) -> Answered:
    """What a recipe said of twelve rows, as a string of 1 for each right answer."""
    hits = np.array([float(c) for c in right])
    return Answered(hits[:, None], np.full(12, loss), hits[:, None], hits[:, None] > 0)


def test_each_fold_is_answered_by_whoever_is_best_on_the_others():
    a, b = said("111100000010"), said("000011101000")
    [found] = chosen(ACCURACY, [FOLDS], [[a], [b]], [UNKNOWN] * 2)
    # outside of fold 0 b has 4 of a's 1, outside of fold 1 a has 5 of b's 1, outside of 2: 4 to 3
    assert found.statistics[:, 0].tolist() == [0] * 4 + [0] * 4 + [0, 0, 1, 0]
    assert found.sure.tolist() == found.statistics.tolist()


def test_of_equal_scores_the_lesser_loss_decides():
    a, b = said("110011001100", loss=0.9), said("001100110011", loss=0.2)
    [found] = chosen(ACCURACY, [FOLDS], [[a], [b]], [UNKNOWN] * 2)
    assert found.statistics.tolist() == b.statistics.tolist()
    [found] = chosen(ACCURACY, [FOLDS], [[b], [a]], [UNKNOWN] * 2)
    assert found.losses.tolist() == [0.2] * 12


def test_a_smaller_error_is_the_better_one():
    errors = CLASSIFICATION["log_loss"]
    outputs = torch.tensor([[2.0, 0.0]] * 12)
    small, large = (errors.statistics(outputs, np.full(12, c)) for c in (0, 1))
    one, other = (Answered(s, s[:, 0], None, None) for s in (large, small))
    [found] = chosen(errors, [FOLDS], [[one], [other]], [UNKNOWN] * 2)
    assert found.statistics.tolist() == small.tolist() and found.sure is None


def test_the_best_of_many_guesses_is_not_flattered():
    # forty recipes that guess: the best of them seems good on the rows by which it was chosen
    random = np.random.default_rng(0)
    chance, best = [], []
    for _ in range(200):
        tried = [said(random.integers(0, 2, 12)) for _ in range(40)]
        best.append(max(one.score(ACCURACY) for one in tried))
        [found] = chosen(ACCURACY, [FOLDS], [[one] for one in tried], [UNKNOWN] * 40)
        chance.append(found.score(ACCURACY))
    assert np.mean(best) > 0.75
    assert np.mean(chance) == pytest.approx(0.5, abs=0.03)


def test_all_deals_choose_together():
    steady = [said("111111110000")] * 3
    lucky = [said("111111111111"), said("000000000000"), said("000000000000")]
    deals = [FOLDS, np.roll(FOLDS, 1), np.roll(FOLDS, 2)]
    found = chosen(ACCURACY, deals, [lucky, steady], [UNKNOWN] * 2)
    for one in found:
        assert one.statistics.tolist() == steady[0].statistics.tolist()
    assert mean_score(ACCURACY, lucky) == pytest.approx(1 / 3)
    assert mean_loss(lucky) == 1.0


def test_where_rows_tell_little_what_recipes_brought_elsewhere_counts():
    head, tuned = said("111111111110"), said("111111111100")
    doubted = [Prior("a", 0.0, 0.1), Prior("a", 0.5, 0.1)]
    [found] = chosen(ACCURACY, [FOLDS], [[head], [tuned]], doubted)
    assert found.statistics.tolist() == tuned.statistics.tolist()
    [found] = chosen(ACCURACY, [FOLDS], [[head], [tuned]], [Prior("a", 0.0), Prior("a", 0.5)])
    assert found.statistics.tolist() == head.statistics.tolist()


def test_what_was_said_is_read_back_from_json():
    one = said("101010101010")
    again = Answered.of(one.data())
    assert all(np.array_equal(getattr(again, n), getattr(one, n)) for n in vars(one))
    bare = Answered(one.statistics, one.losses, None, None)
    assert Answered.of(bare.data()).right is None
