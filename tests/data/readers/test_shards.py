"""Folders of tables: shards, parts by their names, and folders that are something else."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.data.readers import read_table
from headstart.data.unlabelled import inputs_in, read_rows
from headstart.errors import DataError


@pytest.fixture
def lay(tmp_path):
    """A function that writes one row a file, ``x`` or ``y`` … , and returns their folder."""

    def make(*files):
        for file, text in zip(files, "xyzuvw", strict=False):
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                pq.write_table(pa.table({"text": [text], "label": ["a"]}), path)
            else:
                path.write_text(f"text,label\n{text},a\n")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (("a.parquet", "b.parquet"), [None, None]),
        (("data/test-00.parquet", "data/train-00.parquet"), ["test", "train"]),
        (("train.csv", "test.csv"), ["test", "train"]),
        (("train/0.parquet", "val/0.parquet"), ["train", "validation"]),
        (("train-0.csv", "train-1.csv"), [None, None]),
        (("train.csv", "other.csv"), [None, None]),
        (("train.csv", "test.csv", "classes.csv"), ["test", "train"]),
    ],
)
def test_tables_are_read_one_after_the_other_and_named_parts_respected(lay, files, parts):
    found = read_table(lay(*files))
    assert sorted(found.columns["text"]) == ["x", "y"]
    assert sorted(found.parts, key=str) == parts
    assert len(found.names) == 2 and found.names[0].split(",")[0].endswith((".parquet", ".csv"))


def test_rows_of_files_of_one_name_are_told_apart_and_keep_their_labels(tmp_path):
    for part, label in (("train", "pos"), ("test", "neg")):
        (tmp_path / part).mkdir()
        rows = {"text": [f"{part} {i}" for i in range(3)], "label": [label] * 3}
        pq.write_table(pa.table(rows), tmp_path / part / "0000.parquet")
    found = read_rows(tmp_path)
    assert len({*found.names}) == 6 and "train/0000.parquet, row 0" in found.names
    labels = dict(zip(found.inputs, found.targets[0].values, strict=True))
    assert labels["train 1"] == "pos" and labels["test 1"] == "neg"


def test_tables_that_are_no_part_are_left_out_and_named(lay):
    table = read_table(lay("train.csv", "test.csv", "classes.csv"))
    assert "left out: classes.csv" in table.notes


def test_numbers_are_written_alike_in_all_shards(tmp_path):
    pq.write_table(pa.table({"n": [1.0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [2.5]}), tmp_path / "b.parquet")
    assert read_table(tmp_path).columns == {"n": ["1.0", "2.5"]}


def test_a_damaged_shard_is_refused_by_name(lay):
    folder = lay("a.parquet", "b.parquet")
    (folder / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"b\.parquet: no whole Parquet file"):
        read_table(folder)


def test_what_describes_the_tables_is_no_table(lay):
    folder = lay("train.csv", "test.csv")
    for name in ("README.md", "dataset_info.json", ".gitattributes"):
        (folder / name).write_text("{")
    assert len(read_table(folder).names) == 2


@pytest.mark.parametrize("beside", ["cat/a.png", "a.png"])
def test_a_table_beside_classes_or_pictures_is_set_aside(lay, beside):
    folder = lay("table.csv", beside)
    assert [one.problem for one in inputs_in([folder]) if "table.csv" in one.name] == [
        "no recording, picture or text, by its name"
    ]
