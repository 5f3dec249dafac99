"""The problem that features pose: coordinates, and the way back from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse

from headstart.tasks.linear import Features, LinearSolution, Problem, SparseProblem

pytestmark = pytest.mark.usefixtures("one_thread")


def dense(rows, width):
    random = np.random.default_rng(0)
    return (random.normal(size=(rows, width)) * random.uniform(0.5, 5, width) + 3).astype(
        np.float32
    )


def sparse(rows, width):
    return random_sparse(rows, width, 0.2, format="csr", dtype=np.float32, random_state=0)


PROBLEMS = {
    "fewer rows than channels": (Problem.of_features(dense(20, 50)), dense(20, 50)),
    "more rows than channels": (Features.of(dense(50, 8)).posed(), dense(50, 8)),
    "sparse": (Problem.of_sparse(sparse(30, 90)), sparse(30, 90).toarray()),
}


@pytest.mark.parametrize(("problem", "features"), PROBLEMS.values(), ids=PROBLEMS)
def test_coefficients_on_coordinates_answer_the_same_on_features(problem, features):
    w = torch.randn(problem.rows.shape[1], 3, generator=torch.Generator().manual_seed(0))
    weight, bias = problem.in_features(w)
    assert weight.shape == (3, features.shape[1]) and bias.shape == (3,)
    on_features = features.astype(np.float64) @ weight.T + bias
    np.testing.assert_allclose(on_features, (problem.rows @ w).numpy(), atol=2e-3)


@pytest.mark.parametrize(("problem", "features"), PROBLEMS.values(), ids=PROBLEMS)
def test_coordinates_are_centred_and_their_gram_matrix_diagonal(problem, features):
    gram = (problem.rows.T @ problem.rows).numpy()
    scale = float(problem.spread.max())
    np.testing.assert_allclose(gram, np.diag(problem.spread.numpy()), atol=1e-4 * scale)
    assert problem.rows.shape[0] == len(features) and (problem.rows[:, -1] == 1).all()


def test_constant_features_pose_a_problem_of_numbers():
    problem = Problem.of_features(np.ones((20, 50), np.float32))
    weight, bias = problem.in_features(torch.ones(problem.rows.shape[1], 2))
    assert np.isfinite(weight).all() and np.isfinite(bias).all()


def test_some_rows_keep_coordinates_and_bounds():
    problem = PROBLEMS["sparse"][0]
    few = problem.take(np.array([3, 1]))
    assert torch.equal(few.rows, problem.rows[[3, 1]]) and few.spread is problem.spread


def test_many_sparse_rows_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr("headstart.tasks.linear.MOST", 12)
    problem = SparseProblem(sparse(30, 90))
    rows, few = problem.some(0)
    assert len(set(rows.tolist())) == len(few.rows) == 12
    assert (problem.some(0)[0] == rows).all() and (problem.some(1)[0] != rows).any()


def test_a_solution_is_the_state_of_a_linear_head():
    solution = LinearSolution(np.ones((2, 3), np.float32), np.zeros(2, np.float32), 0.1)
    state = solution.state()
    assert state["linear.weight"].shape == (2, 3) and state["linear.bias"].shape == (2,)
