"""DataFrames: cells of all kinds, paths that may lie anywhere, and no import to know one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.readers import read_table
from headstart.data.reading import read
from headstart.errors import DataError


def test_columns_are_canonical_whatever_the_index_is():
    frame = pd.DataFrame(
        {"text": ["x", None], 7: [1.0, np.nan], "kind": pd.Categorical(["a", "b"])}, index=[5, 5]
    )
    found = read_table(frame)
    assert found.columns == {"text": ["x", ""], "7": ["1", ""], "kind": ["a", "b"]}
    assert found.names == ["DataFrame, row 0", "DataFrame, row 1"] and found.path == "DataFrame"


@pytest.mark.parametrize("kind", ["str", "object", "string[pyarrow]", "category"])
def test_texts_of_any_dtype_are_the_same(kind):
    frame = pd.DataFrame({"text": pd.Series(["x", None, "é"], dtype=kind)})
    assert read_table(frame).columns == {"text": ["x", "", "é"]}


@pytest.mark.parametrize("kind", ["int8", "Int64", "float32", "int64[pyarrow]", "object"])
def test_numbers_of_any_dtype_are_the_same(kind):
    assert read_table(pd.DataFrame({"n": pd.Series([1, 2], dtype=kind)})).columns["n"] == ["1", "2"]


def test_pictures_may_be_paths_anywhere_bytes_or_of_pillow(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    for shade, name in enumerate(("a.png", "here/b.png", "c.png", "d.png")):
        Image.new("L", (4, 4), shade).save(tmp_path / name)
    monkeypatch.chdir(tmp_path / "here")
    cells = [
        str(tmp_path / "a.png"),
        "b.png",
        "../c.png",
        tmp_path / "d.png",
        (tmp_path / "a.png").read_bytes(),
        Image.open(tmp_path / "a.png"),
        None,
    ]
    dataset = read(
        pd.DataFrame({"image": cells, "label": list("abababa")}), Roles.of(label="label")
    )
    assert len(dataset) == 6 and len(set(dataset.digests)) == 4
    assert dataset.digests[0] == dataset.digests[4] == dataset.digests[5]
    assert [s.where for s in dataset.set_aside] == ["DataFrame, row 6"]


def test_a_column_name_that_stands_twice_is_refused():
    frame = pd.DataFrame([["x", "y"]], columns=["a", "a"])
    with pytest.raises(DataError, match="DataFrame: the column name 'a' stands twice"):
        read_table(frame)


def test_a_frame_without_rows_is_refused():
    with pytest.raises(DataError, match="DataFrame: there are no rows"):
        read_table(pd.DataFrame({"a": []}))


def test_other_objects_are_refused_with_what_is_read():
    with pytest.raises(DataError, match=r"type .*Series\. It reads: .*a pandas DataFrame"):
        read_table(pd.Series(["x"]))


def test_the_test_rows_may_be_a_frame_too():
    rows = {"text": [f"text {i}" for i in range(6)], "label": list("ababab")}
    own = pd.DataFrame({"text": ["y", "z"], "label": ["a", "b"]})
    dataset = read(pd.DataFrame(rows), test=own)
    assert dataset.parts.count("test") == 2


def test_a_file_is_recognised_without_importing_pandas(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nx,a\n")
    code = (
        "import sys\nfrom headstart.data.readers import read_table\n"
        "read_table(sys.argv[1])\nprint({'pandas', 'datasets', 'pyarrow'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
