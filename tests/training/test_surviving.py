"""Whether labels survive mirroring: they do where both sides are the same to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from headstart.data.modalities import View
from headstart.data.reading import read
from headstart.features.extract import Extractor, OutOfTime
from headstart.recipes import Recipe
from headstart.training.surviving import survives

RECIPE = Recipe("r", "image", "source", "tune", 1, stages=1)
MIRRORED = View(1, "mirrored")


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Pictures that are bright on the left or on the right, called so."""
    folder, random = tmp_path_factory.mktemp("sides"), np.random.default_rng(0)
    for i in range(40):
        for name, columns in (("left", slice(0, 12)), ("right", slice(12, 24))):
            pixels = random.integers(0, 60, (24, 24, 3))
            pixels[:, columns] += 180
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")
    return read(folder)


def test_colours_survive(assign, squares, toy_image):
    assert survives(assign(RECIPE, squares, toy_image), MIRRORED)


def test_rows_in_the_order_of_their_classes_are_drawn_from(assign, sides, toy_image, monkeypatch):
    """A head on the first ones alone would know one class, which looks the same in any view."""
    monkeypatch.setattr("headstart.training.surviving.ROWS", 20)
    given = assign(RECIPE, sides, toy_image)
    rows = given.train[0]
    ordered = rows.take(np.argsort(rows.targets, kind="stable"))
    assert not survives(replace(given, train=(ordered,)), MIRRORED)


def test_where_time_is_up_nothing_is_risked(assign, squares, toy_image, monkeypatch):
    extract = Extractor.extract

    def slow(self, rows, cut, view=None, late=None):
        if view is not None and late():
            raise OutOfTime
        return extract(self, rows, cut)

    monkeypatch.setattr(Extractor, "extract", slow)
    given = replace(assign(RECIPE, squares, toy_image), late=lambda: True)
    assert not survives(given, MIRRORED)


def test_left_and_right_do_not(assign, sides, toy_image):
    assert not survives(assign(RECIPE, sides, toy_image), MIRRORED)


def test_without_validation_rows_nothing_is_risked(assign, squares, toy_image):
    assignment = replace(assign(RECIPE, squares, toy_image), validation=None)
    assert not survives(assignment, MIRRORED)
