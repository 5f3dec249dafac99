"""Data sets of `datasets` in memory: features by name, splits as parts."""

from __future__ import annotations

import datasets
import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.readers import read_table
from headstart.data.reading import read
from headstart.errors import DataError


def made(rows, **features):
    return datasets.Dataset.from_dict(rows, datasets.Features(features) if features else None)


TEXTS = made({"text": ["x", "y", "z"], "label": ["a", "b", "a"]})


def test_classes_come_by_name_in_the_order_of_the_rows():
    kinds = datasets.ClassLabel(names=["no", "yes"])
    rows = made(
        {"text": list("xyz"), "label": [0, 1, -1]}, text=datasets.Value("string"), label=kinds
    )
    found = read_table(rows.select([2, 1]))
    assert found.columns == {"text": ["z", "y"], "label": ["", "yes"]}
    assert found.names == ["Dataset, row 0", "Dataset, row 1"]


def test_a_format_that_was_set_changes_nothing():
    for kind in ("numpy", "torch", "pandas"):
        assert read_table(TEXTS.with_format(kind)).columns == read_table(TEXTS).columns


def test_pictures_are_taken_as_they_are_stored(tmp_path):
    files = [tmp_path / f"{i}.jpg" for i in range(3)]
    for shade, file in enumerate(files):
        Image.new("L", (9, 9), 40 * shade).save(file)
    pictures = [str(files[0]), {"bytes": files[1].read_bytes(), "path": None}, Image.open(files[2])]
    rows = made(
        {"image": pictures, "label": list("aba")},
        image=datasets.Image(),
        label=datasets.Value("string"),
    )
    dataset = read(rows, Roles.of(label="label"))
    assert dataset.inputs[:2] == (files[0], files[1].read_bytes())
    assert dataset.modality == "image" and len(set(dataset.digests)) == 3


def test_splits_are_the_parts_and_others_are_left_out_aloud():
    given = datasets.DatasetDict(
        train=TEXTS, validation=TEXTS.select([0]), test=TEXTS.select([1]), unsupervised=TEXTS
    )
    found = read_table(given)
    assert found.parts == ["train"] * 3 + ["validation", "test"]
    assert found.names[-1] == "test, row 0"
    assert "left out: unsupervised, neither train, validation nor test" in found.notes


def test_a_single_split_gives_no_parts():
    assert read_table(datasets.DatasetDict(train=TEXTS)).parts == [None] * 3


def test_a_column_that_a_split_lacks_is_missing_there():
    given = datasets.DatasetDict(train=TEXTS, test=TEXTS.remove_columns("label"))
    assert read_table(given).columns["label"] == ["a", "b", "a", "", "", ""]


def test_splits_that_are_not_known_are_asked_for():
    with pytest.raises(DataError, match="its splits are one, two; headstart knows train"):
        read_table(datasets.DatasetDict(one=TEXTS, two=TEXTS))


def test_a_data_set_without_rows_or_that_is_streamed_is_refused():
    with pytest.raises(DataError, match="there are no rows"):
        read_table(TEXTS.select([]))
    with pytest.raises(DataError, match="IterableDataset"):
        read_table(TEXTS.to_iterable_dataset())


def test_several_labels_of_a_row_come_by_name():
    kinds = datasets.List(datasets.ClassLabel(names=["red", "round"]))
    rows = made({"text": list("xyz"), "label": [[0, 1], [1], []]}, text=datasets.Value("string"),
                label=kinds)  # fmt: skip
    assert read(rows, Roles.of(label="label")).targets[0].values == (
        ("red", "round"),
        ("round",),
        (),
    )
