"""Canonical cells: the same from every container, and nothing lost on the way."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.cells import Rows, canonical, distinct, joined, tabulate
from headstart.data.readers import read_table
from headstart.errors import DataError

NOON = datetime.datetime(2024, 1, 5, 12, 30)
DAY = datetime.datetime(2024, 1, 5)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["a", " b ", "", "7.0"], ["a", " b ", "", "7.0"]),
        ([None, float("nan"), pd.NaT, pd.NA, np.float32("nan")], [""] * 5),
        ([7, np.int64(7), np.uint8(7), 7.0], ["7"] * 4),
        ([1.0, None, 3.0], ["1", "", "3"]),
        ([1, 2.5, None], ["1.0", "2.5", ""]),
        ([np.float32(0.1), 0.1, np.float16(0.5)], ["0.1", "0.1", "0.5"]),
        ([1.0, float("inf")], ["1.0", "inf"]),
        ([-0.0, 10**20], ["0", "1" + "0" * 20]),
        ([True, np.False_, None], ["True", "False", ""]),
        ([decimal.Decimal("1.50")], ["1.50"]),
        ([DAY, pd.Timestamp(DAY), np.datetime64("2024-01-05")], ["2024-01-05"] * 3),
        ([DAY, NOON, pd.NaT], ["2024-01-05 00:00:00", "2024-01-05 12:30:00", ""]),
        ([DAY.date(), datetime.time(9, 5)], ["2024-01-05", "09:05:00"]),
        ([["b", "a"], ("c",), [], None], [("b", "a"), ("c",), (), ""]),
        ([["a", None, 3], "d"], [("a", "3"), ("d",)]),
        ([{"z", "a"}], [("a", "z")]),
        ([np.array(["x", "y"])], [("x", "y")]),
        ([[1.0, 2.0], [3]], [("1", "2"), ("3",)]),
        ([b"caf\xc3\xa9", b"x"], ["café", "x"]),
        ([PNG, b"x", None], [PNG, b"x", ""]),
        ([bytearray(PNG), memoryview(PNG)], [PNG, PNG]),
        ([{"bytes": PNG, "path": "a.png"}], [PNG]),
        ([{"bytes": None, "path": "a.png"}, {"bytes": None, "path": None}], ["a.png", ""]),
        ([Path("a.png"), None], [Path("a.png"), ""]),
        (["half \ud800 pair"], ["half \\ud800 pair"]),
        ([1, "1", "a"], ["1", "1", "a"]),
    ],
)
def test_values_become_canonical_by_what_the_whole_column_holds(column, expected):
    found = canonical(column).values
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("column", "remark"),
    [
        ([1, "1", "a"], "mixes numbers and texts; 1 and '1' are taken for the same"),
        ([True, "x"], "mixes texts and truth values"),
        ([["a"], "b"], "mixes lists and texts"),
        ([DAY, None], "holds dates such as '2024-01-05', which are taken as texts"),
        (["2024-01-05 10:00", "2023-12-31", ""], "holds dates such as '2024-01-05 10:00'"),
        (["a", "b", {"c": 1}], "holds nested values (dicts) in 1 row, which counts as missing"),
    ],
)
def test_what_is_odd_about_a_column_is_remarked(column, remark):
    assert remark in "; ".join(canonical(column).remarks)


@pytest.mark.parametrize("column", [["a", "b"], [1, 2], [1, 2.5], [None], [["a"], []], [PNG]])
def test_of_an_ordinary_column_nothing_is_said(column):
    assert canonical(column).remarks == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ([{"a": 1}, {"a": 2}], "nested values (dicts)"),
        ([{"bytes": "text", "path": None}], "nested values (dicts)"),
        ([[[1, 2]], [[3]]], "nested lists or arrays"),
        ([np.zeros((2, 2))], "nested lists or arrays"),
        ([[b"x"]], "nested lists or arrays"),
        ([object()], "values of type object"),
    ],
)
def test_nested_values_are_refused_with_what_to_do(column, kind):
    reason = canonical(column).refused
    assert f"holds {kind}" in reason and "columns of their own" in reason


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_pictures_are_kept_without_loss(mode):
    noise = np.random.default_rng(0).integers(0, 255, (8, 6, 4), np.uint8)
    picture = Image.fromarray(noise, "RGBA")
    picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 257) if mode == "I;16" else picture
    picture = picture if picture.mode == mode else picture.convert("L").convert(mode)
    (content,) = canonical([picture]).values
    again = Image.open(io.BytesIO(content))
    assert again.mode == mode and np.array_equal(np.asarray(again), np.asarray(picture))


def test_a_picture_keeps_its_orientation():
    picture = Image.new("RGB", (4, 2))
    picture.getexif()[0x0112] = 6
    (content,) = canonical([picture]).values
    assert Image.open(io.BytesIO(content)).size == (2, 4)


def test_a_picture_that_cannot_be_decoded_costs_its_own_row(tmp_path):
    Image.effect_noise((40, 40), 60).convert("RGB").save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    pictures = [Image.open(io.BytesIO(c)) for c in (whole, whole[: len(whole) // 2], whole)]
    found = canonical(pictures)
    assert [bool(value) for value in found.values] == [True, False, True]
    assert found.remarks == [
        "holds pictures that cannot be decoded in 1 row, which counts as missing"
    ]


def test_a_name_that_stands_twice_is_refused_also_if_one_is_a_number():
    assert distinct(["a", 1], "x") == ["a", "1"]
    with pytest.raises(DataError, match="x: the column name '1' stands twice"):
        distinct(["1", "a", 1], "x")


def test_a_table_needs_rows_and_a_column():
    with pytest.raises(DataError, match="x: there are no rows"):
        tabulate("x", Path(), Rows({"a": []}, []))
    with pytest.raises(DataError, match="no column to learn from. 'a' holds nested values"):
        tabulate("x", Path(), Rows({"a": [{"b": 1}]}, ["row 0"]))


def test_rows_are_joined_and_what_some_lack_is_missing():
    both = joined([Rows({"a": [1]}, ["r"]), Rows({"a": [2.5], "b": ["x"]}, ["s"])])
    table = tabulate("x", Path(), both)
    assert table.columns == {"a": ["1.0", "2.5"], "b": ["", "x"]} and table.names == ["r", "s"]


TEXT = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=9)
COLUMNS = {
    "text": TEXT.map(lambda text: f"x{text}"),
    "whole": st.integers(-(2**53) + 1, 2**53 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "truth": st.booleans(),
    "missing": st.none() | TEXT.map(lambda text: f"x{text}"),
}
ROWS = st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=6)


@settings(max_examples=40)
@given(rows=ROWS)
def test_the_same_rows_give_the_same_columns_from_every_container(tmp_path_factory, rows):
    place = tmp_path_factory.mktemp("rows")
    frame = pd.DataFrame(rows)
    (place / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (place / "a.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), place / "a.parquet")
    frame.to_parquet(place / "b.parquet")
    expected = read_table(frame).columns
    for name in ("a.jsonl", "a.json", "a.parquet", "b.parquet"):
        assert read_table(place / name).columns == expected, name
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        with (place / name).open("w", newline="", encoding="utf-8") as out:
            csv.writer(out, delimiter=mark).writerows(
                [expected, *zip(*expected.values(), strict=True)]
            )
        assert read_table(place / name).columns == expected, name


@given(rows=ROWS)
def test_canonical_values_are_canonical(rows):
    for name in COLUMNS:
        once = canonical([row[name] for row in rows]).values
        assert canonical(once).values == once
