"""Tables and pictures to read."""

from __future__ import annotations

import csv
import io

import pytest
from PIL import Image


@pytest.fixture
def table(tmp_path):
    """A function that writes columns as a CSV file and returns its path."""

    def write(name="table.csv", /, **columns):
        written = io.StringIO()
        csv.writer(written).writerows([columns, *zip(*columns.values(), strict=True)])
        (tmp_path / name).write_text(written.getvalue(), encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def paint(tmp_path):
    """A function that writes small pictures, each of another shade, and returns their folder."""

    def make(*files, start=0):
        for shade, file in enumerate(files, start):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), shade).save(tmp_path / file, "PNG")
        return tmp_path

    return make
