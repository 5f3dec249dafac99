"""Names of parts, and when they are a split."""

from __future__ import annotations

import pytest

from headstart.data.parts import layout


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "test"], {"train": "train", "test": "test"}),
        (["Training", "val"], {"Training": "train", "val": "validation"}),
        (["train"], None),
        (["test", "validation"], None),
        (["train", "bus"], None),
        (["train", "training"], None),
        (["train", "test", "unlabelled"], {"train": "train", "test": "test"}),
        ([], None),
    ],
)
def test_names_are_a_split_if_two_are_parts_and_training_is_one_of_them(names, expected):
    assert layout(names) == expected
