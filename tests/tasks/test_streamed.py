"""Features that are read piece by piece: the same answers as of those held, and no copy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, Ridge

from headstart.tasks import linear, matrix, streamed
from headstart.tasks.family import SIGMOID, SOFTMAX
from headstart.tasks.linear import STRENGTHS, Features
from headstart.tasks.logistic import UNSEEN, solve_labels, solve_multinomial
from headstart.tasks.matrix import Array, Scaled
from headstart.tasks.ridge import solve_ridge
from headstart.tasks.streamed import Curvature, Objective

pytestmark = pytest.mark.usefixtures("one_thread")


def clouds(rows, width, classes, seed=0):
    """Return correlated features of unequal scale and place, with a constant one, and targets."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 5))
    features = hidden @ random.normal(size=(5, width)) + random.normal(size=(rows, width))
    logits = hidden @ random.normal(size=(5, classes))
    targets = (logits + random.gumbel(size=logits.shape)).argmax(1)
    features = features * random.uniform(0.1, 5, width) + 100 * random.normal(size=width)
    features[:, 0] = 0.1
    return features.astype(np.float32), targets


@pytest.fixture
def small(monkeypatch):
    """Nothing is held, and there are several chunks of several pieces."""
    monkeypatch.setattr(linear, "MOST", 200)
    monkeypatch.setattr(matrix, "ROWS", 150)
    monkeypatch.setattr(matrix, "PIECE", 64)


@pytest.fixture(params=("array", "mapped"))
def stored(request, tmp_path):
    """A function that makes features of an array, in memory or in a file."""

    def store(values):
        if request.param == "array":
            return Features.of(values)
        np.save(tmp_path / "features.npy", values)
        return Features.of(np.load(tmp_path / "features.npy", mmap_mode="r"))

    return store


def scaled(features):
    return Scaled.of(Array(features)).take(np.arange(len(features)))


def logits(solution, features):
    return features.astype(np.float64) @ solution.weight.T.astype(np.float64) + solution.bias


def classes_by_scikit_learn(features, targets, strength, weights=None):
    """Return probabilities; for two classes scikit-learn penalises one vector where we have two."""
    twice = 2 if len(np.unique(targets)) == 2 else 1
    counts = None if weights is None else dict(enumerate(weights))
    model = LogisticRegression(
        C=twice * strength, tol=1e-10, max_iter=20_000, class_weight=counts, solver="newton-cg"
    )
    return model.fit(scaled(features), targets).predict_proba(scaled(features))


@pytest.mark.parametrize("strength", (1e-3, 0.1, 1.0))
@pytest.mark.parametrize(
    ("rows", "width", "classes", "weights"),
    ((500, 12, 4, None), (500, 12, 2, None), (500, 12, 3, [3.0, 0.5, 1.0]), (300, 310, 3, None)),
)
def test_classes_equal_scikit_learn(small, stored, rows, width, classes, weights, strength):
    features, targets = clouds(rows, width, classes)
    given = stored(features)
    assert given.large
    units = np.arange(rows)
    found = solve_multinomial(given, targets, classes, units, 0, STRENGTHS, strength, weights)
    expected = classes_by_scikit_learn(features, targets, strength, weights)
    assert np.abs(softmax(logits(found, features), axis=1) - expected).max() < 1e-4
    assert found.weight.dtype == found.bias.dtype == np.float32


@pytest.mark.parametrize("strength", (1e-3, 1.0))
@pytest.mark.parametrize("weights", (None, [[1.0, 3.0], [0.5, 2.0], [1.0, 1.0], [1.0, 1.0]]))
def test_labels_equal_scikit_learn_one_by_one(small, stored, strength, weights):
    features, targets = clouds(500, 12, 3)
    sets = np.stack([targets == 0, targets < 2, targets < 9, targets > 9], 1).astype(float)
    found = solve_labels(
        stored(features), sets, targets, np.arange(500), 0, STRENGTHS, strength, weights
    )
    for label in (0, 1):
        counts = None if weights is None else dict(enumerate(weights[label]))
        model = LogisticRegression(C=strength, tol=1e-10, max_iter=20_000, class_weight=counts)
        model.fit(scaled(features), sets[:, label])
        expected = model.predict_proba(scaled(features))[:, 1]
        assert np.abs(expit(logits(found, features)[:, label]) - expected).max() < 5e-5
    assert found.bias[2] == -UNSEEN and found.bias[3] == UNSEEN and not found.weight[2:].any()


def test_labels_of_one_value_only_end_nothing(small):
    features, _ = clouds(300, 6, 2)
    found = solve_labels(Features.of(features), np.ones((300, 2)), np.zeros(300), np.arange(300), 0)
    assert (found.bias == -UNSEEN).all() and not found.weight.any()


@pytest.mark.parametrize("strength", (1e-3, 10.0))
@pytest.mark.parametrize(("rows", "width"), ((500, 12), (300, 310)))
def test_numbers_equal_scikit_learn(small, stored, rows, width, strength):
    features, targets = clouds(rows, width, 2)
    wanted = np.stack([targets + features[:, 1], features[:, 2]], 1).astype(np.float64)
    found = solve_ridge(stored(features), wanted, np.arange(rows), 0, strength)
    model = Ridge(alpha=1 / strength, solver="svd").fit(scaled(features), wanted)
    error = logits(found, features) - model.predict(scaled(features))
    assert np.abs(error / wanted.std(0)).max() < 2e-5


def test_answers_are_those_of_features_that_are_held(monkeypatch):
    features, targets = clouds(600, 12, 3)
    units = np.repeat(np.arange(300), 2)
    wanted = features[:, 1:3] + targets[:, None]
    sets = np.stack([targets == 0, targets == 1], 1).astype(float)
    found = []
    for most in (599, 600):
        monkeypatch.setattr(linear, "MOST", most)
        given = Features.of(features)
        assert given.large == (most == 599)
        found.append(
            (
                solve_multinomial(given, targets, 3, units, 0),
                solve_labels(given, sets, targets, units, 0),
                solve_ridge(given, wanted, units, 0),
            )
        )
    for a, b in zip(*found, strict=True):
        assert a.strength == b.strength
        np.testing.assert_allclose(logits(a, features), logits(b, features), atol=2e-3)


def test_a_class_without_rows_is_never_predicted(small):
    features, targets = clouds(400, 6, 2)
    found = solve_multinomial(Features.of(features), 2 * targets, 4, np.arange(400), 0)
    assert (found.bias[[1, 3]] == UNSEEN).all() and not found.weight[[1, 3]].any()


def test_copies_of_rows_count_as_often_as_they_stand(small):
    features, targets = clouds(300, 6, 3)
    twice = np.concatenate([features, features]), np.concatenate([targets, targets])
    a = solve_multinomial(Features.of(features), targets, 3, np.arange(300), 0, strength=0.2)
    b = solve_multinomial(Features.of(twice[0]), twice[1], 3, np.arange(600), 0, strength=0.1)
    np.testing.assert_allclose(logits(a, features), logits(b, features), atol=2e-4)


@pytest.mark.parametrize("family", (SOFTMAX, SIGMOID), ids=("classes", "labels"))
def test_one_pass_finds_value_and_gradient(small, family):
    """In double precision, of features whose mean single precision cannot say exactly."""
    features, targets = clouds(400, 5, 3)
    features[:, 1:] += 1e4
    hot = torch.nn.functional.one_hot(torch.from_numpy(targets), 3).double()
    counts = torch.linspace(0.5, 2, 400, dtype=torch.float64)[:, None]
    given = Scaled.of(Array(features))
    place = Objective(given, family, lambda rows: (hot[rows], counts[rows]), 0.5).at(
        torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3)))
    )
    w = place.w.clone().requires_grad_()
    rows = torch.from_numpy(given.take(np.arange(400)))
    losses = family.losses((rows @ w[:-1] + w[-1])[None], hot)
    value = (losses * counts).sum() + w[:-1].square().sum() / (2 * 0.5)
    value.backward()
    assert place.value == pytest.approx(float(value.detach()), rel=1e-6)
    np.testing.assert_allclose(place.gradient.numpy(), w.grad.numpy(), rtol=1e-5, atol=1e-4)


def test_the_answer_is_the_same_where_the_curvature_is_known_in_few_directions(small, monkeypatch):
    features, targets = clouds(500, 40, 3)
    monkeypatch.setattr(streamed, "WIDEST", 16)
    assert Curvature.of(Scaled.of(Array(features)), 0).vectors.shape == (40, 8)
    found = solve_multinomial(Features.of(features), targets, 3, np.arange(500), 0, strength=0.1)
    expected = classes_by_scikit_learn(features, targets, 0.1)
    assert np.abs(softmax(logits(found, features), axis=1) - expected).max() < 5e-5


def test_the_curvature_of_all_rows_is_their_gram_matrix():
    features, _ = clouds(90, 12, 2)
    whole = Scaled.of(Array(features))
    found = Curvature.of(whole, 0)
    rows = whole.take(np.arange(90))
    gram = (found.vectors * found.values) @ found.vectors.T
    np.testing.assert_allclose(gram, rows.T @ rows / 90, atol=1e-10)


@pytest.mark.parametrize("many", ("classes", "labels", "numbers"))
def test_no_copy_of_the_features_is_made(many, monkeypatch):
    rows, width = 60_000, 64
    monkeypatch.setattr(linear, "MOST", 500)
    monkeypatch.setattr(matrix, "PIECE", 2**16)
    random = np.random.default_rng(0)
    features = random.standard_normal((rows, width), dtype=np.float32)
    targets = (features[:, :3] + random.gumbel(size=(rows, 3))).argmax(1)
    units = np.zeros(rows, int)
    units[1::2] = 1
    given = Features.of(features)
    tracemalloc.start()
    try:
        if many == "classes":
            solve_multinomial(given, targets, 3, units, 0, strength=1e-3)
        elif many == "labels":
            solve_labels(given, targets[:, None] == [[0, 1]], targets, units, 0, strength=1e-3)
        else:
            solve_ridge(given, features[:, :2] + 1, units, 0, strength=1e-3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes / 3
