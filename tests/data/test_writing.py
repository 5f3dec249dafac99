"""Written vectors come back as they were, in every form."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from pyarrow import parquet
from safetensors import safe_open

from headstart.data.writing import write_vectors
from headstart.errors import DataError, UsageError

VALUES = np.array([[1.1, -0.0, 3e-39], [np.float32(1) / 3, 1e30, 7]], np.float32)
COLUMNS = {"name": ["a.png", 'b, "c"\nd'], "label": ["é", ""]}


def from_npz(path):
    with np.load(path, allow_pickle=False) as found:
        texts = {name: found[f"{name}s"].tolist() for name in COLUMNS}
        return found["values"], texts, str(found["source"])


def from_csv(path):
    with path.open(newline="", encoding="utf-8") as lines:
        header, *rows = list(csv.reader(lines))
    assert header == ["name", "label", "e0", "e1", "e2"]
    values = np.array([row[2:] for row in rows], np.float32)
    return values, dict(zip(COLUMNS, zip(*(row[:2] for row in rows), strict=True), strict=True)), ""


def from_parquet(path):
    table = parquet.read_table(path)
    texts = {name: table[name].to_pylist() for name in COLUMNS}
    values = np.array(table["embedding"].to_pylist(), np.float32)
    return values, texts, table.schema.metadata[b"source"].decode()


def from_safetensors(path):
    with safe_open(path, "numpy") as found:
        told = found.metadata()
        texts = {name: json.loads(told[f"{name}s"]) for name in COLUMNS}
        return found.get_tensor("values"), texts, told["source"]


@pytest.mark.parametrize("read", [from_npz, from_csv, from_parquet, from_safetensors])
@pytest.mark.parametrize("capital", [False, True])
def test_what_is_written_is_read_again(tmp_path, read, capital):
    suffix = read.__name__.removeprefix("from_")
    path = tmp_path / "new" / f"out.{suffix.upper() if capital else suffix}"
    write_vectors(path, VALUES, COLUMNS, "bundled/minilm")
    values, texts, source = read(path)
    np.testing.assert_array_equal(values, VALUES)
    assert values.dtype == np.float32
    assert {name: list(column) for name, column in texts.items()} == COLUMNS
    assert source in ("bundled/minilm", "")
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing is left beside it"
    assert path.stat().st_mode & 0o044, "others may read it as far as the user lets them"


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "safetensors"])
def test_a_name_that_is_no_text_is_spelt_out(tmp_path, suffix):
    write_vectors(tmp_path / f"out.{suffix}", VALUES[:1], {"name": ["caf\udce9.txt"]}, "s")
    assert rb"\udce9.txt" in (tmp_path / f"out.{suffix}").read_bytes().replace(b"\0", b"")


@pytest.mark.parametrize("name", ["out", "out.xls", "out.npy", ".csv"])
def test_a_suffix_that_says_nothing_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"ends in \.npz, \.parquet, \.csv, \.safetensors"):
        write_vectors(tmp_path / name, VALUES, COLUMNS, "s")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_vectors(tmp_path / "file" / "out.csv", VALUES, COLUMNS, "s")
