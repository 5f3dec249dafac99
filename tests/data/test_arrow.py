"""Columns of Arrow tables: classes by name, also inside lists; narrow numbers as they were."""

from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa

from headstart.data.arrow import raw_columns
from headstart.data.cells import canonical

KINDS = datasets.ClassLabel(names=["cat", "dog"])


def test_classes_come_by_name_also_inside_lists_and_negative_ones_are_missing():
    table = pa.table({"one": [0, 1, -1, None], "more": [[0, 1], [], None, [1]]})
    features = {"one": KINDS, "more": datasets.List(KINDS)}
    assert raw_columns(table, features) == {
        "one": ["cat", "dog", None, None],
        "more": [["cat", "dog"], [], None, ["dog"]],
    }


def test_features_are_found_in_the_metadata():
    made = datasets.Dataset.from_dict({"one": [1, 0]}, datasets.Features({"one": KINDS}))
    assert raw_columns(made.with_format("arrow")[:]) == {"one": ["dog", "cat"]}


def test_numbers_of_few_bits_keep_the_digits_they_were_written_with():
    table = pa.table({"a": pa.array([0.1, None], pa.float32())})
    assert canonical(raw_columns(table)["a"]).values == ["0.1", ""]
    assert isinstance(raw_columns(table)["a"][0], np.float32)


def test_categories_are_decoded():
    table = pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode()})
    assert raw_columns(table) == {"a": ["x", "y", "x"]}
