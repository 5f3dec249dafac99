"""The small models of both inputs of a row, each trained by its own learner."""

from __future__ import annotations

import csv

import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.reading import read
from headstart.recipes import Recipe
from headstart.training.learners import learners, settle

RECIPE = Recipe("small-fused", "image+text", "small", "fused", rank=18)


@pytest.fixture
def posts(tmp_path):
    """Twelve rows of a picture and a text."""
    file = tmp_path / "posts.csv"
    with file.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["picture", "text", "label"])
        for i in range(12):
            Image.new("RGB", (24, 24), (20 * i, 10, 10)).save(tmp_path / f"{i}.png")
            table.writerow([f"{i}.png", f"word{i % 2} number {i}", "ab"[i % 2]])
    return read(file, Roles.of(["picture", "text"]))


def test_each_part_settles_and_is_fitted_as_it_settled(assign, posts, monkeypatch):
    found = {"precision": "f32", "layout": "contiguous"}
    monkeypatch.setattr(type(learners.get("small-cnn")), "settle", lambda self, part: found)
    assignment = assign(RECIPE, posts)
    settled = settle(assignment)
    assert settled == {"small-cnn": found, "words": {}}
    seen = {}

    def spy(self, part):
        seen["small-cnn"] = part.settled
        raise StopIteration

    monkeypatch.setattr(type(learners.get("small-cnn")), "fit", spy)
    with pytest.raises(StopIteration):
        learners.get("fused").fit(assign(RECIPE, posts, settled=settled))
    assert seen == {"small-cnn": found}
