"""Multi-label classification: which targets can be learnt, and what outputs mean."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.data.dataset import Column
from headstart.data.splits import split
from headstart.errors import DataError
from headstart.tasks import metric_for, task_for, tasks
from headstart.tasks.linear import STRENGTHS, Problem
from headstart.tasks.multilabel import strata_of_labels

TASK = tasks.get("text-multilabel")
CELLS = ["a|b", "b", "c", "a", "b|c", "a|c"] * 5
SETS = [tuple(cell.split("|")) for cell in CELLS]
SPEC = {"name": "label", "columns": False, "delimiter": "|", "classes": ["a", "b", "c"]}


@pytest.fixture
def of(dataset_of):
    """A function that makes a data set of distinct texts with these cells, or these columns."""

    def make(cells, **columns):
        data = dataset_of([f"text {i}" for i in range(len(cells))], cells)
        if columns:
            named = tuple(Column(name, tuple(values)) for name, values in columns.items())
            data = replace(data, targets=named)
        return data

    return make


def columns_of(sets):
    return {label: [str(int(label in found)) for found in sets] for label in "abc"}


@pytest.mark.parametrize(
    ("cells", "columns", "sure"),
    ((SETS, {}, 1.0), (CELLS, columns_of(SETS), 1.0), (CELLS, {}, 0.9), (["a", "b"] * 9, {}, 0.0)),
)
def test_lists_columns_and_delimiters_are_recognised(of, cells, columns, sure):
    data = of(cells, **columns)
    assert TASK.suits(data) == sure
    assert tasks.get("image-multilabel").suits(data) == 0
    assert task_for(data).name == ("text-multilabel" if sure else "text-classification")


@pytest.mark.parametrize("columns", ({}, columns_of(SETS)))
@pytest.mark.parametrize("cells", (SETS, CELLS))
def test_all_forms_give_the_same_targets(of, cells, columns):
    data, spec = TASK.validate(of(cells, **columns))
    assert spec["classes"] == ["a", "b", "c"]
    json.dumps(spec)
    targets = TASK.encode(data, spec)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets[:3], [[1, 1, 0], [0, 1, 0], [0, 0, 1]])


def test_what_was_inferred_is_said_with_how_to_override_it(of):
    data, _ = TASK.validate(of(CELLS))
    assert "divided by '|' (--task text-classification" in data.notes[0]
    assert "nothing divides" in TASK.validate(of(["a", "b"] * 9))[0].notes[0]


def test_the_fingerprint_knows_sets_but_not_their_order(of):
    again = [tuple(reversed(found)) for found in SETS]
    assert of(SETS).fingerprint() == of(again).fingerprint() != of(["a"] * 30).fingerprint()


def test_rows_that_say_neither_yes_nor_no_are_set_aside(of):
    columns = columns_of(SETS)
    columns["b"][4] = "perhaps"
    data, spec = TASK.validate(of(CELLS, **columns))
    assert len(data) == 29 and "neither yes nor no" in data.set_aside[0].reason
    assert TASK.unknown(of(CELLS, **columns), spec).keys() == {4}


@pytest.mark.parametrize(
    ("cells", "message"),
    (
        ([("a",)] * 4, "only 4 usable rows"),
        ([(f"a{i}", f"b{i}") for i in range(40)], "Is 'label' the label, or an identifier?"),
        ([("a", "b")] * 9, "none of them"),
    ),
)
def test_a_target_that_cannot_be_learnt_is_refused(of, cells, message):
    with pytest.raises(DataError, match="memory: ") as error:
        TASK.validate(of(cells))
    assert message in str(error.value)


def test_lists_are_no_classes(of):
    with pytest.raises(DataError, match="holds lists.*--task text-multilabel"):
        tasks.get("text-classification").validate(of(SETS))
    with pytest.raises(DataError, match="one label column, not 'a' and 'b' and 'c'"):
        tasks.get("text-classification").validate(of(CELLS, **columns_of(SETS)))


def test_rare_labels_are_noted(dataset_of):
    cells = [*SETS, ("a", "rare"), ("b",)]
    texts = [f"text {i}" for i in range(31)] + ["text 0"]
    data, spec = TASK.validate(dataset_of(texts, cells))
    assert "rare" in spec["classes"] and len(data) == 32
    assert any("'rare' (1)" in note for note in data.notes)


def test_sets_differ_where_a_label_does():
    a, b = np.array([[1, 0], [1, 1], [0, 0]]), np.array([[1, 0], [1, 0], [0, 1]])
    assert TASK.differ(a, b).tolist() == [False, True, True]


def test_rows_of_unknown_labels_are_named(of):
    unknown = TASK.unknown(of(["a|new", "b", "z"]), SPEC)
    assert unknown == {
        0: "the model does not know the label 'new'",
        2: "the model does not know the label 'z'",
    }
    assert TASK.encode(of(["a|new"]), SPEC).tolist() == [[1, 0, 0]]


def test_a_split_keeps_rare_labels_in_every_part(of):
    random = np.random.default_rng(0)
    sets = [
        tuple(
            label for label, share in zip("abcd", (0.5, 0.3, 0.2, 0.06), strict=True) if x < share
        )
        for x in random.random(300)
    ]
    data, spec = TASK.validate(of([found or ("none",) for found in sets]))
    targets = TASK.encode(data, spec)
    parts = split(data, TASK.strata(targets), seed=0)
    whole = targets.mean(0)
    for part in (parts.train, parts.validation, parts.test):
        np.testing.assert_allclose(targets[part].mean(0), whole, atol=0.03)


def test_strata_are_frequent_sets_then_the_rarest_label():
    sets = np.array([[1, 1, 0]] * 40 + [[1, 0, 0]] * 4 + [[1, 0, 1]] * 3 + [[0, 0, 0]] * 5)
    strata = strata_of_labels(sets)
    assert len(set(strata.tolist())) == 4
    assert [len(set(strata[a:b].tolist())) for a, b in ((0, 40), (40, 44), (44, 47), (47, 52))] == [
        1
    ] * 4


def test_solved_head_is_one_logistic_regression_a_label(of):
    random = np.random.default_rng(0)
    targets = (random.random((90, 3)) < 0.4).astype(np.float32)
    features = (random.normal(size=(90, 8)) + 4 * targets @ random.normal(size=(3, 8))).astype(
        np.float32
    )
    problem = Problem.of_features(features)
    found = TASK.solve_linear(problem, targets, np.arange(90), SPEC, 0, STRENGTHS, None)
    said = features @ found.weight.T + found.bias > 0
    assert (said == targets).mean() > 0.95 and found.strength in STRENGTHS


@pytest.mark.parametrize(
    ("smoothing", "expected"),
    ((0.0, math.log(1 + math.exp(-2))), (0.2, math.log(1 + math.exp(-2)) + 0.2)),
)
def test_loss_is_the_mean_binary_cross_entropy(smoothing, expected):
    outputs, targets = torch.tensor([[2.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    assert float(TASK.loss(outputs, targets, SPEC, smoothing)) == pytest.approx(expected, abs=1e-6)


def test_class_weights_balance_each_label():
    targets = np.array([[1, 0], [0, 0], [0, 1], [0, 1]], np.float32)
    spec = TASK.weighted(targets, SPEC)
    np.testing.assert_allclose(spec["class_weights"], [[4 / 6, 2], [1, 1]])
    outputs = torch.zeros(4, 2)
    weights = np.where(targets > 0, [2, 1], [4 / 6, 1])
    loss = TASK.loss(outputs, torch.from_numpy(targets), spec)
    assert float(loss) == pytest.approx(math.log(2) * weights.mean(), abs=1e-6)


def test_constant_answers_the_frequencies(dataset_of):
    constant = TASK.constant(np.array([[1, 0], [1, 1], [1, 0]], np.float32), SPEC)
    found = constant.outputs(dataset_of(list("uv"))).sigmoid()
    torch.testing.assert_close(found, torch.tensor([[3.5 / 4, 1.5 / 4]]).expand(2, 2))


def test_decoding_names_labels_and_probabilities():
    outputs = torch.logit(torch.tensor([[0.2, 0.8, 0.9], [0.1, 0.2, 0.4]]))
    assert TASK.decode(outputs, SPEC) == [
        {"prediction": ["b", "c"], "probabilities": {"a": 0.2, "b": 0.8, "c": 0.9}},
        {"prediction": [], "probabilities": {"a": 0.1, "b": 0.2, "c": 0.4}},
    ]


@pytest.mark.parametrize("name", ("mAP", "average_precision(a)"))
def test_metrics_of_order_need_no_threshold(name):
    assert TASK.tuner(metric_for(TASK, SPEC, name), np.ones((3, 3)), SPEC) is None


@pytest.mark.parametrize("name", ("micro_f1", "macro_f1", "subset_accuracy"))
def test_metrics_of_decisions_are_tuned(name):
    assert TASK.tuner(metric_for(TASK, SPEC, name), np.ones((3, 3)), SPEC) is not None
