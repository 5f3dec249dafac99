"""Folders that `save_to_disk` wrote."""

from __future__ import annotations

import datasets
import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.readers import read_table
from headstart.data.reading import read
from headstart.errors import DataError

ROWS = datasets.Dataset.from_dict({"text": ["x", "y"], "label": ["a", "b"]})


def test_a_saved_data_set_is_read_as_it_was(tmp_path):
    ROWS.save_to_disk(tmp_path / "one")
    found = read_table(tmp_path / "one")
    assert found.columns == read_table(ROWS).columns and found.path == str(tmp_path / "one")


def test_splits_are_the_parts(tmp_path):
    datasets.DatasetDict(train=ROWS, test=ROWS).save_to_disk(tmp_path / "both")
    assert read_table(str(tmp_path / "both")).parts == ["train"] * 2 + ["test"] * 2


def test_pictures_travel_inside(tmp_path):
    for i in range(2):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
    files = [str(tmp_path / f"{i}.png") for i in range(2)]
    rows = datasets.Dataset.from_dict({"image": files, "label": ["a", "b"]})
    rows.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "saved")
    contents = tuple((tmp_path / f"{i}.png").read_bytes() for i in range(2))
    for i in range(2):
        (tmp_path / f"{i}.png").unlink()
    assert read(tmp_path / "saved", Roles.of(label="label")).inputs == contents


def test_a_damaged_folder_is_refused_by_name(tmp_path):
    ROWS.save_to_disk(tmp_path / "one")
    next((tmp_path / "one").glob("*.arrow")).write_bytes(b"short")
    with pytest.raises(DataError, match=r"one: this saved data set cannot be loaded .* whole\?"):
        read_table(tmp_path / "one")
