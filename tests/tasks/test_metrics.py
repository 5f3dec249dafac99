"""Metrics against scikit-learn: weights must mean the same as rows that are repeated so often."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from headstart.tasks.metrics import CLASSIFICATION, multilabel_metrics, regression_metrics


def probabilities(outputs):
    return outputs.double().softmax(1).numpy()


def auroc(targets, outputs):
    """Mean over the classes that can be told from the rest; of class 1 alone where they are two."""
    scores = probabilities(outputs)
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = [
        reference.roc_auc_score(targets == c, scores[:, c])
        for c in classes
        if 0 < (targets == c).sum() < len(targets)
    ]
    return np.mean(areas) if areas else 0.5


REFERENCE = {
    "accuracy": lambda y, o: reference.accuracy_score(y, o.argmax(1)),
    "balanced_accuracy": lambda y, o: reference.balanced_accuracy_score(y, o.argmax(1)),
    "macro_f1": lambda y, o: reference.f1_score(y, o.argmax(1), average="macro"),
    "auroc": auroc,
    "log_loss": lambda y, o: reference.log_loss(
        y, probabilities(o), labels=list(range(o.shape[1]))
    ),
}


@st.composite
def drawn_rows(draw):
    """Outputs with many ties, targets, and how often each row was drawn (some never)."""
    classes = draw(st.integers(2, 4))
    rows = draw(st.integers(2, 10))

    def table(low, high, width):
        row = st.lists(st.integers(low, high), min_size=width, max_size=width)
        return draw(st.lists(row, min_size=rows, max_size=rows))

    outputs = torch.tensor(table(-2, 2, classes)).float()
    targets = np.array(table(0, classes - 1, 1))[:, 0]
    weights = np.array(table(0, 3, 1))[:, 0]
    weights[draw(st.integers(0, rows - 1))] += 1
    return outputs, targets, weights


@pytest.mark.filterwarnings("ignore:y_pred contains classes:UserWarning")
@pytest.mark.filterwarnings("ignore:A single label:UserWarning")
@pytest.mark.parametrize("name", REFERENCE)
@given(case=drawn_rows())
def test_weights_equal_repeated_rows(name, case):
    outputs, targets, weights = case
    metric = CLASSIFICATION[name]
    found = metric.aggregate(metric.statistics(outputs, targets), weights[None].astype(float))
    again = np.repeat(np.arange(len(targets)), weights)
    assert found.shape == (1,)
    assert found[0] == pytest.approx(REFERENCE[name](targets[again], outputs[again]), abs=1e-9)


@pytest.mark.parametrize("classes", (2, 5))
@pytest.mark.parametrize("name", REFERENCE)
def test_score_equals_scikit_learn(name, classes):
    random = np.random.default_rng(classes)
    targets = random.integers(0, classes, 300)
    outputs = torch.from_numpy(random.normal(size=(300, classes))).float()
    outputs[np.arange(300), targets] += 0.7
    metric = CLASSIFICATION[name]
    expected = REFERENCE[name](targets, outputs)
    assert metric.score(outputs, targets) == pytest.approx(expected, abs=1e-9)
    if name == "auroc" and classes > 2:
        whole = reference.roc_auc_score(
            targets, probabilities(outputs), multi_class="ovr", average="macro"
        )
        assert metric.score(outputs, targets) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("name", REFERENCE)
def test_many_weights_at_once_equal_one_by_one(name):
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 40)
    outputs = torch.from_numpy(random.normal(size=(40, 3))).float()
    metric = CLASSIFICATION[name]
    statistics = metric.statistics(outputs, targets)
    assert statistics.shape[0] == 40
    weights = random.multinomial(40, np.full(40, 1 / 40), size=7).astype(float)
    together = metric.aggregate(statistics, weights)
    alone = [float(metric.aggregate(statistics, row[None])[0]) for row in weights]
    assert together == pytest.approx(alone, abs=1e-12)


def test_auroc_counts_ties_one_half():
    auroc = CLASSIFICATION["auroc"]
    outputs = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 2.0]])
    # of the four pairs (rows of class 1, others): 0-1 ties, 0-2 won, 3-1 won, 3-2 won
    assert auroc.score(outputs, np.array([1, 0, 0, 1])) == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("targets", ([0, 0, 0], [1, 1, 1], [2, 2, 2]))
def test_auroc_of_one_class_alone_is_one_half(targets):
    outputs = torch.eye(3)[:, : max(targets) + 1] if max(targets) else torch.eye(3)[:, :2]
    assert CLASSIFICATION["auroc"].score(outputs, np.array(targets)) == 0.5


def test_only_log_loss_is_better_when_smaller():
    assert [m.name for m in CLASSIFICATION.values() if not m.greater_is_better] == ["log_loss"]
    assert CLASSIFICATION["log_loss"].signed(0.4) == -0.4
    assert CLASSIFICATION["accuracy"].signed(0.4) == 0.4


def test_only_accuracy_is_a_proportion():
    assert [m.name for m in CLASSIFICATION.values() if m.proportion] == ["accuracy"]


def test_auroc_tells_rows_apart_of_which_a_model_is_sure():
    logits = torch.tensor([[0.0, 60.0], [0.0, 50.0], [0.0, 45.0]])
    assert CLASSIFICATION["auroc"].score(logits, np.array([1, 1, 0])) == 1.0


# ------------------------------------------------------------------------------ sets of labels

LABELS = multilabel_metrics(["a", "b", "c"])


def average_precision(labels):
    def of(y, o):
        scored = [i for i in labels if y[:, i].any()]
        found = [reference.average_precision_score(y[:, i], o[:, i]) for i in scored]
        return np.mean(found) if found else 0.0

    return of


def macro_f1_of_labels(y, o):
    said = (o > 0).int().numpy()
    there = y.any(0) | said.any(0)
    if not there.any():
        return 0.0
    return np.mean([reference.f1_score(y[:, i], said[:, i]) for i in np.flatnonzero(there)])


MULTILABEL_REFERENCE = {
    "mAP": average_precision(range(3)),
    "micro_f1": lambda y, o: reference.f1_score(y, o > 0, average="micro", zero_division=0),
    "macro_f1": macro_f1_of_labels,
    "subset_accuracy": lambda y, o: reference.accuracy_score(y, o > 0),
    "average_precision(b)": average_precision([1]),
}
REGRESSION = regression_metrics([3.0, 0.01])
SCALE, MEAN = np.array([3.0, 0.01]), np.array([-7.0, 400.0])


def in_own_units(compare):
    return lambda y, o: compare(y * SCALE + MEAN, o.double().numpy() * SCALE + MEAN)


REGRESSION_REFERENCE = {
    "rmse": in_own_units(reference.root_mean_squared_error),
    "mae": in_own_units(reference.mean_absolute_error),
    "r2": in_own_units(reference.r2_score),
}
CASES = [
    *((LABELS[name], other) for name, other in MULTILABEL_REFERENCE.items()),
    *((REGRESSION[name], other) for name, other in REGRESSION_REFERENCE.items()),
]
NAMES = [metric.name for metric, _ in CASES]


def drawn(draw, cell, width):
    rows = draw(st.integers(2, 10))
    row = st.lists(cell, min_size=width, max_size=width)
    return draw(st.lists(row, min_size=rows, max_size=rows)), rows


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(("metric", "other"), CASES, ids=NAMES)
@given(data=st.data())
def test_weights_equal_repeated_rows_of_sets_and_numbers(metric, other, data):
    width = 3 if metric.name in LABELS else 2
    low, high = (0, 1) if width == 3 else (-3, 3)
    cells = st.tuples(st.integers(-2, 2), st.integers(low, high), st.integers(0, 3))
    table, rows = drawn(data.draw, cells, width)
    table = np.array(table)
    outputs, targets = torch.from_numpy(table[:, :, 0]).float() - 0.25, table[:, :, 1]
    weights = table[:, 0, 2]
    weights[data.draw(st.integers(0, rows - 1))] += 2
    found = metric.aggregate(metric.statistics(outputs, targets), weights[None].astype(float))
    again = np.repeat(np.arange(rows), weights)
    assert found.shape == (1,)
    assert found[0] == pytest.approx(other(targets[again], outputs[again]), abs=1e-9)


@pytest.mark.parametrize(("metric", "other"), CASES, ids=NAMES)
def test_scores_of_sets_and_numbers_equal_scikit_learn(metric, other):
    random = np.random.default_rng(0)
    width = 3 if metric.name in LABELS else 2
    outputs = torch.from_numpy(random.normal(size=(300, width))).float()
    noisy = outputs.numpy() + random.normal(size=(300, width))
    targets = (noisy > 0.5).astype(np.float32) if width == 3 else noisy.astype(np.float32)
    assert metric.score(outputs, targets) == pytest.approx(other(targets, outputs), abs=1e-7)
    statistics = metric.statistics(outputs, targets)
    weights = random.multinomial(300, np.full(300, 1 / 300), size=5).astype(float)
    alone = [metric.aggregate(statistics, row[None])[0] for row in weights]
    assert metric.aggregate(statistics, weights) == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "function", "options"),
    (
        ("mAP", reference.average_precision_score, {"average": "macro"}),
        ("rmse", reference.root_mean_squared_error, {}),
        ("mae", reference.mean_absolute_error, {}),
        ("r2", reference.r2_score, {}),
    ),
)
def test_weights_mean_what_scikit_learn_means_by_them(name, function, options):
    random = np.random.default_rng(1)
    outputs = torch.from_numpy(random.normal(size=(80, 2))).float()
    noisy = outputs.numpy() + random.normal(size=(80, 2))
    targets = (noisy > 0).astype(float) if name == "mAP" else noisy
    weights = random.uniform(0.1, 2, 80)
    metric = {**multilabel_metrics(["a", "b"]), **regression_metrics([1.0, 1.0])}[name]
    found = metric.aggregate(metric.statistics(outputs, targets), weights[None])[0]
    expected = function(targets, outputs.numpy(), sample_weight=weights, **options)
    assert found == pytest.approx(expected, abs=1e-6)


def test_errors_are_better_when_smaller_and_whole_sets_are_a_proportion():
    known = {**LABELS, **REGRESSION}
    assert [m.name for m in known.values() if not m.greater_is_better] == ["rmse", "mae"]
    assert [m.name for m in known.values() if m.proportion] == ["subset_accuracy"]
