"""Embedding: from whatever holds the rows to one vector a row, real weights underneath."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import headstart as hs
from headstart.errors import DataError, SourceError
from headstart.features.extract import Extractor
from headstart.models.heads import readout
from headstart.sources.loading import load_source
from headstart.sources.opening import find_source

TEXTS = ["The match ended in a draw.", "Shares fell.", "Snow and frost are on their way tonight."]


def test_texts_give_the_sources_own_features(computed, dataset_of):
    found = hs.embed([*TEXTS, "  "])
    assert found.values.shape == (3, 384) and len(found) == 3
    assert found.values.dtype == np.float32 and found.source == "bundled/minilm"
    assert found.names == ("row 0", "row 1", "row 2") and found.labels is None
    assert [(a.where, a.reason) for a in found.set_aside] == [("row 3", "an empty text")]
    loaded = load_source(find_source("bundled/minilm"))
    extractor = Extractor(loaded.backbone, loaded.digest, cache=None)
    expected = extractor.extract(dataset_of(TEXTS), loaded.backbone.end).whole()
    np.testing.assert_allclose(found, expected["features"], atol=0.02)
    both = hs.embed(TEXTS, layers=True)
    assert both.values.shape == (3, readout(expected, "layers").shape[1])
    np.testing.assert_array_equal(both.values[:, -384:], found.values)
    assert computed == [3, 3], "embedded once here, and once by the test"


def test_a_table_keeps_its_labels_and_the_rows_are_computed_once(computed, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "\n".join(f"{t},{i % 2}" for i, t in enumerate(TEXTS)))
    found = hs.embed(table, source="bundled/minilm")
    assert found.labels == ("0", "1", "0") and found.names[0] == "table.csv, line 2"
    np.testing.assert_array_equal(hs.embed(list(reversed(TEXTS))), found.values[::-1])
    assert computed == [3]


def test_pictures_from_a_folder_and_from_memory_are_the_same_rows(computed, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    folder = tmp_path / "in"
    folder.mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{i}.png")
    (folder / "bad.png").write_bytes(b"nothing")
    found = hs.embed(folder)
    assert found.source == "bundled/efficientnet-lite0" and found.values.shape == (3, 1280)
    assert [(a.where, a.reason) for a in found.set_aside] == [("bad.png", "not a picture")]
    np.testing.assert_array_equal(hs.embed(pixels), found.values)
    assert computed == [3]


def test_rows_that_come_twice_are_computed_once(computed):
    found = hs.embed([*TEXTS, *TEXTS])
    np.testing.assert_array_equal(found.values[:3], found.values[3:])
    assert sum(computed) == 3


def test_what_cannot_be_embedded_is_said(own_cache, tmp_path):
    with pytest.raises(SourceError, match="is for image inputs, but these are text"):
        (tmp_path / "a.csv").write_text("text\nsome words\nmore words\n")
        hs.embed(tmp_path / "a.csv", source="bundled/efficientnet-lite0")
    with pytest.raises(DataError, match="nothing to embed. row 0: an empty text"):
        hs.embed([" "])
    with pytest.raises(DataError, match="no such file or folder"):
        hs.embed("a single string is a path")


def test_it_is_an_array_to_numpy():
    values = np.ones((2, 3), np.float32)
    found = hs.Embedding(values, ("a", "b"), None, (), "s")
    assert np.asarray(found) is values
    assert np.asarray(found, np.float64).dtype == np.float64
    assert np.array(found) is not values
    np.testing.assert_array_equal(np.mean(found, axis=0), np.ones(3))
