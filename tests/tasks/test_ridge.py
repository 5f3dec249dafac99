"""Ridge regression against scikit-learn's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from headstart.data.splits import deal
from headstart.tasks import linear, matrix, ridge
from headstart.tasks.linear import Features, Problem, SparseProblem
from headstart.tasks.matrix import Array, Scaled
from headstart.tasks.ridge import STRENGTHS, solve_ridge

pytestmark = pytest.mark.usefixtures("one_thread")


def lines(rows, width, outputs=1, noise=0.5, seed=0):
    """Return features of unequal scale and place, and noisy linear targets of unequal scale."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, width))
    slopes = random.normal(size=(width, outputs)) / width**0.5
    targets = features @ slopes + noise * random.normal(size=(rows, outputs))
    features = features * random.uniform(0.1, 5, width) + random.normal(size=width)
    targets = targets * random.uniform(0.1, 100, outputs) + 30 * random.normal(size=outputs)
    return features.astype(np.float32), targets


def reference(features, targets, strength):
    """Return scikit-learn's predictions of a function of new features."""
    own = Scaled.of(Array(features))
    model = Ridge(alpha=1 / strength, solver="svd").fit(own.take(np.arange(len(features))), targets)
    return lambda new: model.predict((new - own.mean) / own.scale)


def solve(features, *given):
    return solve_ridge(Features.of(features), *given)


def predicted(solution, features):
    return features.astype(np.float64) @ solution.weight.T + solution.bias


@pytest.mark.parametrize("strength", (1e-5, 1e-3, 0.1, 10.0))
@pytest.mark.parametrize(
    ("rows", "width", "outputs"), ((40, 90, 1), (40, 90, 3), (50, 50, 2), (160, 12, 1), (9, 3, 2))
)
def test_predictions_equal_scikit_learn(rows, width, outputs, strength):
    features, targets = lines(rows, width, outputs)
    found = solve(features, targets, np.arange(rows), 0, strength)
    new, _ = lines(50, width, outputs, seed=1)
    for some in (features, new):
        expected = reference(features, targets, strength)(some)
        error = np.abs(predicted(found, some) - expected.reshape(len(some), outputs))
        assert (error / targets.std(0)).max() < 1e-5
    assert found.weight.shape == (outputs, width) and found.bias.shape == (outputs,)
    assert found.weight.dtype == found.bias.dtype == np.float32
    assert found.strength == strength


def test_many_rows_in_pieces_give_the_same(monkeypatch):
    features, targets = lines(100, 12, 2)
    whole = solve(features, targets, np.arange(100), 0, 0.1)
    monkeypatch.setattr(matrix, "ROWS", 30)
    pieces = solve(features, targets, np.arange(100), 0, 0.1)
    np.testing.assert_allclose(pieces.weight, whole.weight, rtol=1e-5)
    np.testing.assert_allclose(pieces.bias, whole.bias, rtol=1e-5)


def held_out_errors(features, targets, units, seed):
    """Return the cross-validated squared error of each strength, by fitting every fold anew."""
    order = np.random.default_rng(seed).permutation(len(targets))
    fold_of = deal(np.zeros(len(targets)), units, order, ridge.FOLDS)
    scaled = Scaled.of(Array(features)).take(np.arange(len(features)))
    wanted = StandardScaler().fit_transform(targets)
    errors = []
    for strength in STRENGTHS:
        error = 0.0
        for fold in range(ridge.FOLDS):
            inside, outside = fold_of != fold, fold_of == fold
            model = Ridge(alpha=1 / strength, solver="svd").fit(scaled[inside], wanted[inside])
            found = model.predict(scaled[outside]).reshape(-1, targets.shape[1])
            error += np.square(found - wanted[outside]).sum()
        errors.append(error)
    return np.array(errors)


@pytest.mark.parametrize(
    ("rows", "width", "outputs", "noise"),
    ((60, 90, 1, 0.5), (60, 90, 2, 3.0), (90, 15, 1, 2.0), (90, 15, 3, 0.01)),
)
def test_the_strength_is_the_one_of_least_held_out_error(rows, width, outputs, noise):
    features, targets = lines(rows, width, outputs, noise)
    errors = held_out_errors(features, targets, np.arange(rows), seed=3)
    wanted = torch.from_numpy(StandardScaler().fit_transform(targets))
    _, residuals = ridge._held_out(
        Scaled.of(Array(features)), wanted, np.arange(rows), 3, STRENGTHS
    )
    found = [float(residual.square().sum()) for residual in residuals]
    np.testing.assert_allclose(found, errors, rtol=1e-7)
    chosen = solve(features, targets, np.arange(rows), 3).strength
    assert STRENGTHS.index(chosen) == int(errors.argmin())


def test_rows_are_answered_by_heads_that_did_not_learn_from_them():
    features, targets = lines(80, 6, 2, 0.1)
    found = ridge.held_out(Array(features), targets, np.arange(80), 3)
    assert 1 - ((found - targets) ** 2).sum() / ((targets - targets.mean(0)) ** 2).sum() > 0.9
    changed = targets.copy()
    changed[7] += 100 * targets.std()
    again = ridge.held_out(Array(features), changed, np.arange(80), 3)
    assert abs(again[7] - targets[7]).max() < 60 * targets.std()
    noise = np.random.default_rng(0).normal(size=targets.shape)
    assert ((ridge.held_out(Array(features), noise, np.arange(80), 3) - noise) ** 2).mean() > 0.8


def test_copies_of_a_row_stay_in_one_fold():
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(40, 60)), 4, axis=0).astype(np.float32)
    targets = np.repeat(random.normal(size=(40, 1)), 4, axis=0)  # noise: nothing can be learnt
    units = np.repeat(np.arange(40), 4)
    together = solve(features, targets, units, 0).strength
    errors = held_out_errors(features, targets, units, seed=0)
    assert STRENGTHS.index(together) == int(errors.argmin())
    assert together < 1e-2 < solve(features, targets, np.arange(160), 0).strength


def test_many_rows_choose_the_strength_on_some_of_them(monkeypatch):
    features, targets = lines(400, 30, noise=2.0)
    on_all = solve(features, targets, np.arange(400), 0).strength
    monkeypatch.setattr(linear, "MOST", 250)
    on_some = solve(features, targets, np.arange(400), 0).strength
    assert abs(STRENGTHS.index(on_some) - STRENGTHS.index(on_all)) <= 2


def test_constant_features_and_targets_change_nothing():
    features, targets = lines(60, 6)
    dead = np.concatenate([features, np.full((60, 2), 0.1, np.float32)], 1)
    flat = np.concatenate([targets, np.full((60, 1), 7.0)], 1)
    found = solve(dead, flat, np.arange(60), 0, 0.1)
    alone = solve(features, targets, np.arange(60), 0, 0.1)
    np.testing.assert_allclose(predicted(found, dead)[:, :1], predicted(alone, features), rtol=1e-5)
    np.testing.assert_allclose(predicted(found, dead)[:, 1], 7.0)


@pytest.mark.parametrize("rows", (1, 2, 4))
def test_very_few_rows_give_finite_answers(rows):
    features, targets = lines(rows, 5)
    for units in (np.arange(rows), np.zeros(rows, int)):
        found = solve(features, targets, units, 0)
        assert np.isfinite(predicted(found, features)).all()


def test_the_same_seed_gives_the_same_solution():
    features, targets = lines(60, 10, 2)
    a, b = (solve(features, targets, np.arange(60), 7) for _ in range(2))
    assert a.strength == b.strength
    np.testing.assert_array_equal(a.weight, b.weight)


@pytest.mark.parametrize(("rows", "width"), ((40, 90), (160, 12)))
def test_a_problem_gives_the_same_as_its_features(rows, width):
    features, targets = lines(rows, width, 2)
    units = np.arange(rows)
    for strength in (None, 0.01):
        plain = solve(features, targets, units, 0, strength)
        found = solve_ridge(Problem.of_features(features), targets, units, 0, strength)
        assert found.strength == plain.strength
        error = np.abs(predicted(found, features) - predicted(plain, features))
        assert (error / targets.std(0)).max() < 1e-3


def test_sparse_features_of_few_rows_and_of_many_give_scikit_learn_s(monkeypatch):
    features, targets = lines(120, 40, 2)
    sparse = csr_matrix(np.where(np.abs(features) > 1, features, 0))
    model = Ridge(alpha=2.0, solver="svd").fit(sparse.toarray().astype(np.float64), targets)
    units = np.arange(120)
    for problem in (Problem.of_sparse(sparse), SparseProblem(sparse)):
        found = solve_ridge(problem, targets, units, 0, 0.5)
        error = predicted(found, sparse.toarray()) - model.predict(sparse.toarray())
        assert (np.abs(error) / targets.std(0)).max() < 1e-2
    monkeypatch.setattr(linear, "MOST", 80)
    assert solve_ridge(SparseProblem(sparse), targets, units, 0).strength in STRENGTHS


def test_a_channel_that_lies_still_in_training_cannot_move_an_answer_without_bound():
    features, targets = lines(60, 90)
    still = np.zeros((60, 1), np.float32)
    still[7] = 1e-3
    dead = np.concatenate([features, still], 1)
    found = solve(dead, targets, np.arange(60), 0, 0.1)
    new = dead[:1].copy()
    quiet = predicted(found, new)
    new[0, -1] = 1.0  # as other channels are
    assert abs(predicted(found, new) - quiet)[0, 0] < targets.std()
    rows = np.arange(60)
    own = replace(Scaled.of(Array(dead)), scale=dead.std(0, dtype=np.float64))
    wild = solve_ridge(Problem.of_rows(own, rows), targets, rows, 0, 0.1)
    assert abs(predicted(wild, new) - quiet)[0, 0] > 10 * targets.std()
