"""Classification: which targets can be learnt, and what outputs mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from headstart.errors import DataError
from headstart.models.heads import LinearHead
from headstart.tasks import tasks
from headstart.tasks.linear import STRENGTHS, Problem

TASK = tasks.get("text-classification")


@pytest.fixture
def labelled(dataset_of):
    """A function that makes a data set of so many distinct texts a class."""

    def make(**counts):
        labels = [name for name, count in counts.items() for _ in range(count)]
        return dataset_of([f"text {i}" for i in range(len(labels))], labels)

    return make


def test_classes_are_sorted(labelled):
    dataset, spec = TASK.validate(labelled(b=4, a=3))
    assert spec == {"name": "label", "classes": ["a", "b"]}
    assert len(dataset) == 7 and dataset.notes == ()


@pytest.mark.parametrize(
    ("counts", "message"),
    (
        ({"a": 3, "b": 2}, "only 5 usable rows"),
        ({"a": 9}, "only one class, 'a'"),
        ({"a": 5, "b": 2}, "fewer than two of them have 3 distinct rows"),
        ({f"c{i}": 1 for i in range(9)}, "Is 'label' the label, or an identifier?"),
    ),
)
def test_a_target_that_cannot_be_learnt_is_refused(labelled, counts, message):
    with pytest.raises(DataError, match="memory: ") as error:
        TASK.validate(labelled(**counts))
    assert message in str(error.value)


def test_copies_count_as_one_row(dataset_of):
    copies = dataset_of(["same"] * 3 + list("uvwxyz"), ["b"] * 3 + ["a"] * 6)
    with pytest.raises(DataError, match="fewer than two"):
        TASK.validate(copies)


def test_rows_of_one_group_count_as_one_row(dataset_of):
    labels = ["a"] * 4 + ["b"] * 4
    grouped = dataset_of(list("abcdefgh"), labels, groups=["g"] * 4 + list("hijk"))
    with pytest.raises(DataError, match="fewer than two"):
        TASK.validate(grouped)


def test_rare_classes_stay_with_a_note(labelled):
    dataset, spec = TASK.validate(labelled(a=5, b=5, c=2, d=1))
    assert len(dataset) == 13 and spec["classes"] == ["a", "b", "c", "d"]
    (note,) = dataset.notes
    assert "cannot be tested: 'c' (2), 'd' (1)" in note


def test_labels_become_class_numbers(dataset_of):
    spec = {"name": "label", "classes": ["a", "b"]}
    targets = TASK.encode(dataset_of(list("uvw"), ["b", "new", "a"]), spec)
    assert targets.tolist() == [1, -1, 0] and targets.dtype == np.int64
    assert TASK.strata(targets).tolist() == [1, -1, 0]


def test_rows_of_unknown_labels_are_named(dataset_of):
    spec = {"name": "label", "classes": ["a", "b"]}
    unknown = TASK.unknown(dataset_of(list("uvw"), ["b", "new", "a"]), spec)
    assert unknown == {1: "the model does not know the label 'new'"}


def test_test_rows_of_a_class_that_cannot_be_learnt_are_set_aside(dataset_of):
    labels = ["a", "b"] * 4 + ["a", "b", "c"]
    parts = ["train"] * 8 + ["test"] * 3
    found, spec = TASK.validate(dataset_of([f"text {i}" for i in range(11)], labels, parts=parts))
    assert spec["classes"] == ["a", "b"] and len(found) == 10
    assert [(s.where, s.reason) for s in found.set_aside] == [
        ("row 10", "no row to learn from is 'c'")
    ]


def test_test_rows_that_are_labelled_in_another_way_are_refused(dataset_of):
    labels = ["a", "b"] * 4 + ["-1"] * 3
    parts = ["train"] * 8 + ["test"] * 3
    with pytest.raises(DataError, match="no test row has a class that could be learnt"):
        TASK.validate(dataset_of([f"text {i}" for i in range(11)], labels, parts=parts))


@pytest.mark.parametrize(
    ("name", "modality"), (("image-classification", "image"), ("text-classification", "text"))
)
def test_each_modality_has_its_task(dataset_of, name, modality):
    task = tasks.get(name)
    assert task.suits(dataset_of(["x"], modality=modality)) == 0.5
    assert not task.suits(dataset_of(["x"], modality="audio"))
    assert task.default_metric in task.metrics({}) and task.output == "pooled"


def test_head_has_an_output_for_each_class():
    head = TASK.head(5, {"classes": ["a", "b", "c"]}).build()
    assert head({"features": torch.ones(2, 5)}).shape == (2, 3)


@pytest.mark.parametrize(
    ("smoothing", "expected"),
    (
        (0.0, math.log(1 + math.e) - 1),
        # the target is 0.9 of class 0 and 0.1 of class 1, for smoothing spreads 0.2 over both
        (0.2, math.log(1 + math.e) - 0.9),
    ),
)
def test_loss_is_the_mean_cross_entropy(smoothing, expected):
    outputs = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = TASK.loss(outputs, torch.tensor([0, 1]), {}, smoothing)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_solved_head_separates_its_rows():
    random = np.random.default_rng(0)
    targets = np.arange(60) % 3
    features = torch.from_numpy(random.normal(size=(60, 8)) + 4 * np.eye(8)[targets]).float()
    spec = {"classes": ["a", "b", "c"]}
    problem, units = Problem.of_features(features.numpy()), np.arange(60)
    found = TASK.solve_linear(problem, targets, units, spec, 0, STRENGTHS, None)
    head = LinearHead(8, 3)
    head.load_state_dict(found.state())
    with torch.no_grad():
        assert (head({"features": features}).argmax(1).numpy() == targets).all()
    again = TASK.solve_linear(problem, targets, units, spec, 1, STRENGTHS, found.strength)
    assert again.strength == found.strength
    np.testing.assert_allclose(again.weight, found.weight)


def test_constant_answers_the_majority_class_with_its_share(dataset_of):
    constant = TASK.constant(np.array([1, 1, 1, 0]), {"classes": ["a", "b", "c"]})
    found = constant.outputs(dataset_of(list("uv"))).softmax(1)
    expected = torch.tensor([1.5, 3.5, 0.5]) / 5.5
    torch.testing.assert_close(found, expected.expand(2, 3))


def test_decoding_names_classes_and_probabilities():
    outputs = torch.log(torch.tensor([[0.2, 0.8], [0.75, 0.25]]))
    assert TASK.decode(outputs, {"classes": ["a", "b"]}) == [
        {"prediction": "b", "probabilities": {"a": 0.2, "b": 0.8}},
        {"prediction": "a", "probabilities": {"a": 0.75, "b": 0.25}},
    ]
