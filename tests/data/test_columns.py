"""Columns: what is inferred and said, and what is asked for."""

from __future__ import annotations

import pytest

from headstart.data.columns import Roles
from headstart.data.reading import read
from headstart.errors import DataError

LONG = "a sentence that is longer than any of the other cells in this table, number"


def sentences(n):
    return [f"{LONG} {i}" for i in range(n)]


def labelled(dataset):
    return dict(zip(dataset.inputs, dataset.targets[0].values, strict=True))


SIX = {"text": sentences(6), "label": list("ababab")}


@pytest.mark.parametrize("name", ["label", "Label", "CLASS", "category", "sentiment", "topic"])
def test_the_label_is_the_one_column_of_a_usual_name(table, name):
    path = table(text=sentences(6), kind=list("xyxyxy"), **{name: list("ababab")})
    dataset = read(path, Roles.of(input="text"))
    assert dataset.targets[0].name == name
    assert f"the label is column {name!r} (--label COL says otherwise)" in dataset.notes


def test_the_label_is_else_the_one_column_of_few_values(table):
    dataset = read(table(words=sentences(9), outcome=list("abcabcabc")))
    assert dataset.targets[0].name == "outcome"
    assert labelled(dataset)[f"{LONG} 1"] == "b"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"text": sentences(6), "label": list("ababab"), "class": list("xyxyxy")},
            "which column holds the label? It could be 'label' or 'class'. Say it with --label COL",
        ),
        (
            {"text": sentences(6), "one": list("ababab"), "two": list("xyxyxy")},
            "which column holds the label? It could be 'one' or 'two'. Say it with --label COL",
        ),
        (
            {"text": sentences(6), "other": [str(i) for i in range(6)]},
            "no column looks like a label. The columns are: text, other. Say which with --label",
        ),
        ({"text": sentences(6)}, "no column looks like a label. The columns are: text."),
        ({"text": sentences(6), "one": ["a"] * 6}, "no column looks like a label."),
        (
            {"label": list("ababab")},
            "besides 'label' there is no column to learn from. Say which holds the input",
        ),
        (
            {"one": sentences(6), "two": sentences(6), "label": list("ababab")},
            "which column holds the input? It could be 'one' or 'two'. Say it with --input COL",
        ),
    ],
)
def test_what_cannot_be_inferred_is_asked_for_with_the_candidates(table, columns, said):
    path = table(**columns)
    with pytest.raises(DataError) as caught:
        read(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"code": [str(i) for i in range(6)], "text": list("uvwxyz")}, "text"),
        ({"code": [str(i) for i in range(6)], "prose": sentences(6)}, "prose"),
        ({"anything": sentences(6)}, "anything"),
    ],
    ids=["a usual name", "by far the longest", "the only one"],
)
def test_the_input_is_inferred_and_said(table, columns, expected):
    dataset = read(table(**columns, label=list("ababab")))
    assert list(dataset.inputs) == columns[expected]
    assert f"the input is column {expected!r} (--input COL says otherwise)" in dataset.notes


def test_a_column_of_picture_paths_is_the_input_before_any_other(table, paint):
    files = [f"pictures/{i}.png" for i in range(6)]
    folder = paint(*files)
    dataset = read(table(text=sentences(6), where=files, label=list("ababab")))
    assert dataset.modality == "image"
    assert dataset.inputs == tuple((folder / file).resolve() for file in files)


def test_the_user_has_the_last_word(table):
    path = table(text=sentences(6), label=list("ababab"), other=list("xyxyxy"))
    dataset = read(path, Roles.of(input="label", label="other"))
    assert labelled(dataset) == {"a": "x", "b": "y"}
    assert dataset.targets[0].name == "other"
    assert not any("says otherwise" in note for note in dataset.notes)


@pytest.mark.parametrize("option", ["input", "label", "group"])
def test_a_column_that_is_not_there_is_answered_with_those_that_are(table, option):
    with pytest.raises(DataError) as caught:
        read(table(**SIX), Roles.of(**{option: "lable"}))
    assert f"--{option} 'lable' is no column. It has: text, label." in str(caught.value)


@pytest.mark.parametrize(("one", "other"), [("input", "label"), ("group", "label")])
def test_one_column_cannot_be_two_things(table, one, other):
    with pytest.raises(DataError) as caught:
        read(table(**SIX), Roles.of(**{one: "label", other: "label"}))
    assert "name the same column 'label'" in str(caught.value)
    assert f"--{one}" in str(caught.value) and f"--{other}" in str(caught.value)


def test_a_column_of_fractions_is_the_label_where_nothing_else_is(table):
    path = table(text=sentences(6), price=["1.5", "2", "", "4.25", "5", "6"])
    assert read(path, Roles.of("text")).targets[0].name == "price"
    with pytest.raises(DataError, match="no column looks like a label"):
        read(table(text=sentences(6), number=list("123456")), Roles.of("text"))
