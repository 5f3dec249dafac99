"""Logistic regression on fixed features against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from headstart.data.splits import deal
from headstart.tasks import linear, logistic
from headstart.tasks.linear import STRENGTHS, Problem, SparseProblem
from headstart.tasks.logistic import UNSEEN, logits_of, solve_labels, solve_multinomial
from headstart.tasks.matrix import Array, Scaled

pytestmark = pytest.mark.usefixtures("one_thread")


def clouds(rows, width, classes, seed=0, apart=1.0):
    """Return features of unequal scale and place, and targets."""
    random = np.random.default_rng(seed)
    targets = np.arange(rows) % classes
    centres = apart * random.normal(size=(classes, width))
    features = centres[targets] + random.normal(size=(rows, width))
    features = features * random.uniform(0.1, 5, width) + random.normal(size=width)
    return features.astype(np.float32), targets


def solve(features, *given):
    return solve_multinomial(Problem.of_features(features), *given)


def probability(solution, features):
    return softmax(features.astype(np.float64) @ solution.weight.T + solution.bias, axis=1)


def scaled(features):
    return Scaled.of(Array(features)).take(np.arange(len(features)))


def reference(features, targets, strength):
    """Return scikit-learn's model on scaled features, and what scales them.

    For two classes it penalises one vector, the difference of the two that we have, so that half
    the penalty on ours is the same problem.
    """
    own = Scaled.of(Array(features))
    twice = 2 if len(np.unique(targets)) == 2 else 1
    model = LogisticRegression(C=twice * strength, tol=1e-10, max_iter=20_000)
    return model.fit(scaled(features), targets), lambda rows: (rows - own.mean) / own.scale


@pytest.mark.parametrize("strength", (1e-4, 1e-2, 0.1, 1.0))
@pytest.mark.parametrize(
    ("rows", "width", "classes"),
    ((40, 90, 3), (30, 60, 2), (50, 50, 4), (160, 12, 5), (120, 20, 2)),
)
def test_probabilities_equal_scikit_learn(rows, width, classes, strength):
    features, targets = clouds(rows, width, classes)
    found = solve(features, targets, classes, np.arange(rows), 0, STRENGTHS, strength)
    model, scale = reference(features, targets, strength)
    new, _ = clouds(50, width, classes, seed=1)
    # on rows it was not fitted to, the weakest penalty leaves the optimum less sharply defined
    for some, furthest in ((features, 1e-3), (new, 1e-3 if strength < 1 else 4e-3)):
        expected = model.predict_proba(scale(some))
        assert np.abs(probability(found, some) - expected).max() < furthest
    assert found.strength == strength
    assert found.weight.shape == (classes, width) and found.bias.shape == (classes,)
    assert found.weight.dtype == found.bias.dtype == np.float32


def test_a_class_without_rows_is_never_predicted():
    features, targets = clouds(60, 10, 2)
    targets = np.array([0, 2])[targets]
    found = solve(features, targets, 4, np.arange(60), 0, STRENGTHS, 1.0)
    far = np.concatenate([features, 100 * features, -100 * features])
    assert set(probability(found, far).argmax(1)) <= {0, 2}
    assert (found.bias[[1, 3]] == UNSEEN).all()


def test_constant_features_change_nothing():
    features, targets = clouds(60, 6, 3)
    dead = np.concatenate([features, np.zeros((60, 2), np.float32)], 1)
    with_dead = solve(dead, targets, 3, np.arange(60), 0, STRENGTHS, 0.1)
    without = solve(features, targets, 3, np.arange(60), 0, STRENGTHS, 0.1)
    assert np.isfinite(with_dead.weight).all()
    np.testing.assert_allclose(
        probability(with_dead, dead), probability(without, features), atol=1e-4
    )


def directions(rows, width, seed=0):
    """Return features of few directions with noise, and labels drawn from a linear model of them.

    Weaker penalties are slow to solve here, and unsolved they look better than they are.
    """
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 30))
    features = hidden @ random.normal(size=(30, width)) + random.normal(size=(rows, width))
    logits = hidden @ random.normal(size=(30, 2))
    targets = (logits + random.gumbel(size=logits.shape)).argmax(1)
    return features.astype(np.float32), targets


def held_out_losses(features, targets, classes, seed):
    """Return the cross-validated log loss of each strength, by scikit-learn, on the same folds."""
    order = np.random.default_rng(seed).permutation(len(targets))
    fold_of = deal(targets, np.arange(len(targets)), order, logistic.FOLDS)
    own = scaled(features)
    twice = 2 if classes == 2 else 1  # as in `reference`
    losses = []
    for strength in STRENGTHS:
        loss = 0.0
        for fold in range(logistic.FOLDS):
            inside, outside = fold_of != fold, fold_of == fold
            model = LogisticRegression(C=twice * strength, tol=1e-6, max_iter=5_000)
            model.fit(own[inside], targets[inside])
            with np.errstate(divide="ignore"):
                found = model.predict_log_proba(own[outside])
            loss -= found[np.arange(outside.sum()), targets[outside]].sum()
        losses.append(loss)
    return np.array(losses)


@pytest.mark.parametrize(
    ("features", "targets"),
    (clouds(90, 15, 3, apart=0.15), clouds(90, 15, 3, apart=0.6), directions(200, 384)),
    ids=("hard", "easy", "few directions"),
)
def test_the_strength_is_the_one_of_least_held_out_loss(features, targets):
    classes, rows = int(targets.max()) + 1, np.arange(len(targets))
    losses = held_out_losses(features, targets, classes, seed=0)
    chosen = solve(features, targets, classes, rows, 0).strength
    assert losses[STRENGTHS.index(chosen)] <= losses.min() * 1.01


def test_copies_of_a_row_stay_in_one_fold():
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(40, 60)), 4, axis=0).astype(np.float32)
    targets = np.repeat(random.integers(0, 2, 40), 4)  # noise: nothing can be learnt
    units = np.repeat(np.arange(40), 4)
    assert solve(features, targets, 2, units, 0).strength == STRENGTHS[0]
    assert solve(features, targets, 2, np.arange(160), 0).strength == STRENGTHS[-1]


def test_many_rows_choose_the_strength_on_some_of_them(monkeypatch):
    features, targets = clouds(300, 15, 3, apart=0.15)
    on_all = solve(features, targets, 3, np.arange(300), 0).strength
    monkeypatch.setattr(linear, "MOST", 150)
    on_some = solve(features, targets, 3, np.arange(300), 0).strength
    assert abs(STRENGTHS.index(on_some) - STRENGTHS.index(on_all)) <= 1


def test_the_same_seed_gives_the_same_solution():
    features, targets = clouds(60, 10, 3)
    a, b = (solve(features, targets, 3, np.arange(60), 7) for _ in range(2))
    assert a.strength == b.strength
    np.testing.assert_array_equal(a.weight, b.weight)
    np.testing.assert_array_equal(a.bias, b.bias)


@pytest.mark.parametrize("strength", (0.01, 1.0, 30.0))
@pytest.mark.parametrize(("rows", "width", "classes"), ((40, 200, 3), (30, 8, 2)))
def test_products_of_rows_give_the_same_model(rows, width, classes, strength):
    """Without standardising: the features' own scale is what the penalty sees."""
    features, targets = clouds(rows, width, classes, apart=0.3)
    features = features.astype(np.float64) / width**0.5
    centred = features - features.mean(0)
    found = solve_multinomial(
        Problem.of_products(centred @ centred.T),
        targets,
        classes,
        np.arange(rows),
        0,
        (strength,),
        strength,
    )
    twice = 2 if classes == 2 else 1
    model = LogisticRegression(C=twice * strength, tol=1e-10, max_iter=20_000)
    expected = model.fit(centred, targets).predict_proba(centred)
    logits = centred @ (found.weight @ features).T + found.bias
    assert np.abs(softmax(logits, axis=1) - expected).max() < 2e-3
    assert found.weight.shape == (classes, rows) and found.strength == strength


def test_products_choose_among_the_strengths_that_are_given():
    features, targets = clouds(60, 90, 3, apart=0.3)
    centred = features - features.mean(0)
    found = solve_multinomial(
        Problem.of_products(centred @ centred.T), targets, 3, np.arange(60), 0, (1e-5, 1e-3, 0.1)
    )
    assert found.strength in (1e-5, 1e-3, 0.1)


def test_products_leave_out_a_class_without_rows():
    features, targets = clouds(40, 90, 2)
    centred = features - features.mean(0)
    found = solve_multinomial(
        Problem.of_products(centred @ centred.T), 2 * targets, 4, np.arange(40), 0, (1.0,), 1.0
    )
    assert (found.bias[[1, 3]] == UNSEEN).all() and not found.weight[[1, 3]].any()


@pytest.mark.parametrize("known", ((0, 2), (0, 1, 3)))
def test_logits_of_a_fitted_model_give_its_probabilities(known):
    features, targets = clouds(60, 5, len(known))
    model = LogisticRegression().fit(features, np.array(known)[targets])
    weight, bias = logits_of(model, 4)
    found = softmax(features @ weight.T + bias, axis=1)
    np.testing.assert_allclose(found[:, list(known)], model.predict_proba(features), atol=1e-4)
    assert set(found.argmax(1)) <= set(known)


# ------------------------------------------------------------------------- labels, and weights


def labelled(rows, width, labels, seed=0):
    """Return features and sets of labels drawn from linear models, some of them rare."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, width)).astype(np.float32)
    logits = features @ random.normal(size=(width, labels)) - np.linspace(0, 2, labels)
    return features, (random.random((rows, labels)) < 1 / (1 + np.exp(-logits))).astype(float)


def separately(features, targets, strength, **options):
    """Return scikit-learn's probabilities, one model a label, on scaled features."""
    own = scaled(features)
    models = [
        LogisticRegression(C=strength, tol=1e-10, max_iter=20_000, **options).fit(own, truth)
        for truth in targets.T
    ]
    return np.stack([model.predict_proba(own)[:, 1] for model in models], 1)


@pytest.mark.parametrize("weights", (None, "balanced"))
@pytest.mark.parametrize("strength", (1e-3, 0.1, 1.0))
@pytest.mark.parametrize(("rows", "width", "labels"), ((60, 90, 4), (160, 12, 3), (40, 20, 1)))
def test_labels_equal_scikit_learn_one_by_one(rows, width, labels, strength, weights):
    features, targets = labelled(rows, width, labels)
    counts = np.stack([(targets == 0).sum(0), targets.sum(0)], 1)
    found = solve_labels(
        Problem.of_features(features),
        targets,
        targets[:, 0],
        np.arange(rows),
        0,
        STRENGTHS,
        strength,
        None if weights is None else (rows / (2 * counts)).tolist(),
    )
    expected = separately(features, targets, strength, class_weight=weights)
    logits = features.astype(np.float64) @ found.weight.T + found.bias
    assert np.abs(expit(logits) - expected).max() < 2e-3
    assert found.weight.shape == (labels, width) and found.weight.dtype == np.float32


@pytest.mark.parametrize("strength", (1e-3, 0.1))
@pytest.mark.parametrize("classes", (2, 4))
def test_balanced_classes_equal_scikit_learn(classes, strength):
    features, _ = clouds(120, 20, classes, apart=0.4)
    targets = np.minimum(np.arange(120) % 11, classes - 1)
    counts = np.bincount(targets)
    weights = (120 / (classes * counts)).tolist()
    found = solve(features, targets, classes, np.arange(120), 0, STRENGTHS, strength, weights)
    own = scaled(features)
    twice = 2 if classes == 2 else 1
    model = LogisticRegression(
        C=twice * strength, class_weight="balanced", tol=1e-10, max_iter=9999
    )
    expected = model.fit(own, targets).predict_proba(own)
    assert np.abs(probability(found, features) - expected).max() < 1e-3
    plain = solve(features, targets, classes, np.arange(120), 0, STRENGTHS, strength)
    assert probability(found, features)[:, 0].mean() > probability(plain, features)[:, 0].mean()


def test_the_strength_of_labels_is_the_one_of_least_held_out_loss():
    features, targets = labelled(120, 20, 3)
    strata, rows = targets @ [1, 2, 4], np.arange(120)
    fold_of = deal(strata, rows, np.random.default_rng(0).permutation(120), logistic.FOLDS)
    own = scaled(features)
    losses = []
    for strength in STRENGTHS:
        loss = 0.0
        for fold in range(logistic.FOLDS):
            inside, outside = fold_of != fold, fold_of == fold
            for truth in targets.T:
                model = LogisticRegression(C=strength, tol=1e-6, max_iter=5_000)
                said = model.fit(own[inside], truth[inside]).predict_log_proba(own[outside])
                loss -= said[np.arange(outside.sum()), truth[outside].astype(int)].sum()
        losses.append(loss)
    chosen = solve_labels(Problem.of_features(features), targets, strata, rows, 0).strength
    assert losses[STRENGTHS.index(chosen)] <= min(losses) * 1.01


def test_a_label_of_one_value_or_of_one_row_ends_nothing():
    features, targets = labelled(60, 10, 4)
    targets[:, 1], targets[:, 2], targets[:, 3] = 0, 1, np.arange(60) == 7
    found = solve_labels(Problem.of_features(features), targets, targets[:, 0], np.arange(60), 0)
    assert np.isfinite(found.weight).all() and np.isfinite(found.bias).all()
    assert found.bias[1] == UNSEEN and found.bias[2] == -UNSEEN
    assert not found.weight[1:3].any() and found.weight[3].any()


@pytest.mark.parametrize("weights", (None, [0.7, 1.6, 1.0]))
def test_sparse_features_of_many_rows_give_the_same(weights, monkeypatch):
    features, targets = clouds(120, 40, 3, apart=0.3)
    sparse = normalize(csr_matrix(np.where(np.abs(features) > 0.5, features, 0)))
    dense, units = sparse.toarray(), np.arange(120)
    few, many = Problem.of_sparse(sparse), SparseProblem(sparse)
    given = (targets, 3, units, 0, STRENGTHS, 3.0, weights)
    found = [solve_multinomial(problem, *given) for problem in (few, many)]
    np.testing.assert_allclose(*(probability(f, dense) for f in found), atol=0.04)
    sets = np.stack([targets == 0, targets > 3, targets == 1], 1).astype(float)
    both = None if weights is None else [weights[:2], [1, 1], weights[1:]]
    found = [solve_labels(p, sets, targets, units, 0, STRENGTHS, 3.0, both) for p in (few, many)]
    logits = [dense @ f.weight.T + f.bias for f in found]
    np.testing.assert_allclose(*map(expit, logits), atol=0.04)
    monkeypatch.setattr(linear, "MOST", 80)
    chosen = [
        solve_multinomial(many, targets, 3, units, 0, STRENGTHS).strength,
        solve_labels(many, sets, targets, units, 0, STRENGTHS).strength,
    ]
    assert all(strength in STRENGTHS for strength in chosen)


def test_a_fold_without_one_of_a_label_s_values_learns_nothing_of_it():
    features, targets = labelled(40, 5, 2)
    targets[:, 1] = np.arange(40) == 3
    hot = torch.from_numpy(targets).float()
    fit = logistic._Fit(Problem.of_features(features), logistic.SIGMOID, hot, torch.ones(40, 1))
    inside = torch.ones(2, 40, 1)
    inside[1, 3] = 0
    found = fit.optima(inside, 1.0, tolerance=1e-5, most=100)
    assert found[0].abs().amin(0).min() > 0 and found[1, :, 0].any()
    assert not found[1, :, 1].any()
