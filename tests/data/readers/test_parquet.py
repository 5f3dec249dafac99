"""Parquet files: pictures in columns, classes by name, and files that are not whole."""

from __future__ import annotations

import datetime
import io

import datasets
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.readers import read_table
from headstart.data.reading import read
from headstart.errors import DataError


def png(shade):
    written = io.BytesIO()
    Image.new("L", (4, 4), shade).save(written, "PNG")
    return written.getvalue()


@pytest.fixture
def write(tmp_path):
    """A function that writes columns as a Parquet file and returns its path."""

    def make(columns, name="rows.parquet"):
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return make


def test_columns_are_canonical_and_rows_counted_from_zero(write):
    found = read_table(
        write(
            {
                "text": ["x", None],
                "number": [1.0, None],
                "labels": [["a", "b"], []],
                "day": [datetime.date(2024, 1, 5), None],
            }
        )
    )
    assert found.columns == {
        "text": ["x", ""],
        "number": ["1", ""],
        "labels": [("a", "b"), ()],
        "day": ["2024-01-05", ""],
    }
    assert found.names == ["rows.parquet, row 0", "rows.parquet, row 1"]


@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: {"bytes": b, "path": "x.png"}])
def test_pictures_in_columns_are_the_input_and_bad_ones_set_aside(write, wrap):
    cells = [*(png(i) for i in range(6)), b"\x89no picture\xff", None]
    images = [None if cell is None else wrap(cell) for cell in cells]
    dataset = read(write({"image": images, "label": list("abababab"), "id": list("12345678")}))
    assert dataset.modality == "image" and dataset.inputs == tuple(cells[:6])
    assert dataset.names[1] == "rows.parquet, row 1, column 'image'"
    assert {s.where: s.reason for s in dataset.set_aside} == {
        "rows.parquet, row 6, column 'image'": "not a picture",
        "rows.parquet, row 7": "nothing in column 'image'",
    }


def test_paths_must_stay_inside_the_folder(write, tmp_path):
    (tmp_path / "in").mkdir()
    for place in ("in/a.png", "out.png", "in/b.png"):
        (tmp_path / place).write_bytes(png(1))
    paths = ["a.png", "../out.png", str(tmp_path / "out.png"), "b.png"]
    images = [{"bytes": None, "path": path} for path in paths]
    dataset = read(
        write({"image": images, "label": list("abab")}, "in/rows.parquet"), Roles.of(label="label")
    )
    assert len(dataset) == 2
    assert all("leads out of" in s.reason for s in dataset.set_aside)


def test_classes_come_by_name(tmp_path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    made = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [1, 0]}, features)
    made.to_parquet(tmp_path / "rows.parquet")
    assert read_table(tmp_path / "rows.parquet").columns["label"] == ["yes", "no"]


@pytest.mark.parametrize("cut", [lambda b: b[:-20], lambda b: b[: len(b) // 2], lambda b: b""])
def test_a_file_cut_short_is_refused_with_what_to_do(write, cut):
    path = write({"text": ["x"] * 100})
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(DataError, match=r"rows\.parquet: no whole Parquet file .* copy it again"):
        read_table(path)


def test_a_column_name_that_stands_twice_is_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="the column name 'a' stands twice"):
        read_table(tmp_path / "rows.parquet")


def test_dates_as_labels_are_remarked(write):
    days = [datetime.date(2024, 1, 1 + i % 2) for i in range(6)]
    dataset = read(write({"text": [f"text {i}" for i in range(6)], "label": days}))
    assert dataset.targets[0].values[:2] == ("2024-01-01", "2024-01-02")
    assert any("'label' holds dates" in note for note in dataset.notes)


def test_the_index_that_pandas_writes_is_no_column(tmp_path):
    frame = pandas.DataFrame({"text": ["x", "y"], "label": ["a", "b"]}, index=[7, 3])
    frame.to_parquet(tmp_path / "rows.parquet")
    assert list(read_table(tmp_path / "rows.parquet").columns) == ["text", "label"]
