"""What all modalities share: recognising a column, and preprocessing that can be scaled."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.modalities import Preprocessing, modalities, require, sniff
from headstart.errors import DataError


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([Path("a.png"), Path("b.jpg"), Path("c.txt")], "image"),
        (["a sentence", "another", "c.png"], "text"),
        ([Path("a.txt"), Path("b.md")], "text"),
        ([Path("a.png"), Path("b.txt")], None),
        ([Path("a.bin")], None),
        ([], None),
    ],
)
def test_the_modality_is_that_of_over_half_of_the_cells(cells, expected):
    found = sniff(cells)
    assert (found and found.name) == expected


def test_cells_of_no_modality_are_refused_with_what_can_be_read():
    with pytest.raises(
        DataError, match="here: the inputs are no recordings, pictures or texts"
    ) as caught:
        require([Path("a.bin"), Path("b.bin")], "here")
    assert "Looked at 2 of them, the first being 'a.bin'" in str(caught.value)
    with pytest.raises(
        DataError, match=r"there are no inputs\. Expected recordings, pictures or texts"
    ):
        require([], "here")


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [(224, 1.0, 224), (224, 0.72, 160), (224, 0.5, 112), (64, 0.1, 32)],
)
def test_pictures_are_scaled_to_a_multiple_of_sixteen_of_32_at_least(size, scale, expected):
    settings = {"size": size, "mean": [0.5]}
    assert Preprocessing(settings, {}).resized(scale).settings == {**settings, "size": expected}
    assert settings["size"] == size


def test_preprocessing_without_a_size_is_not_scaled():
    reads = Preprocessing({"max_length": 128}, {"tokenizer.json": "{}"})
    assert reads.resized(0.5) == reads


@pytest.mark.parametrize("name", modalities.names())
def test_every_modality_has_its_name_and_a_noun(name):
    assert modalities.get(name).name == name and modalities.get(name).noun
