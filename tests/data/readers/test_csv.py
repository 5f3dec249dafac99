"""CSV tables: whatever a CSV writer writes is read back; what is broken costs its own row only."""

from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.readers import read_table
from headstart.errors import DataError

# any character but NUL, which no text has, and lone surrogates, which no encoding has
CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
NAMES = ["text", "a label", "naïve", "Größe, in cm", 'the "y"', "two\nlines", "a; b; c; d, e"]


def read(content, name="table.csv"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path)


@st.composite
def tables(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    row = st.lists(CELL, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=8))


@given(
    table=tables(),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_table_that_a_csv_writer_wrote_is_read_back(table, separator, quoting, encoding):
    names, rows = table
    if len(names) == 1:
        separator = ","  # one column has no separator to be recognised by
    written = io.StringIO()
    csv.writer(written, delimiter=separator, quoting=csv.QUOTE_ALL).writerow(names)
    csv.writer(written, delimiter=separator, quoting=quoting).writerows(rows)
    found = read(written.getvalue().encode(encoding))
    assert list(found.columns) == names
    assert [list(row) for row in zip(*found.columns.values(), strict=True)] == rows
    assert found.set_aside == []


@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8),
    broken=st.sampled_from(["one", "a,b,c", '"x"y,z', '"never closed,z', 'x,"y']),
    place=st.integers(0, 8),
)
def test_a_broken_row_is_set_aside_and_no_other_row_is_lost(rows, broken, place):
    # quotation marks and line ends inside cells could close an open quotation mark by chance
    rows = [tuple(re.sub(r'["\r\n]', "", cell) for cell in row) for row in rows]
    place = min(place, len(rows))
    written = [f'"{text}","{label}"\r\n' for text, label in rows]
    found = read("".join(["text,label\n", *written[:place], broken + "\n", *written[place:]]))
    assert list(zip(*found.columns.values(), strict=True)) == rows
    assert [aside.where for aside in found.set_aside] == [f"table.csv, line {place + 2}"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("only one", "1 fields where the header has 2"),
        ("a,b,c", "3 fields where the header has 2"),
        ('"open,b', "a quotation mark is not closed or out of place"),
        ('"out" of place,b', "a quotation mark is not closed or out of place"),
    ],
)
def test_a_broken_row_is_named_by_its_line_with_the_reason(row, reason):
    found = read(f"text,label\n\nfine,a\n{row}\n\nfine too,b\n")
    assert found.columns == {"text": ["fine", "fine too"], "label": ["a", "b"]}
    assert found.names == ["table.csv, line 3", "table.csv, line 6"]
    assert [(s.where, s.reason) for s in found.set_aside] == [("table.csv, line 4", reason)]


@pytest.mark.parametrize(
    ("content", "rows", "where"),
    [
        ('"two\nlines" x,a\nnext,b\n', ["next"], [2]),
        ('"one\ntwo, b\nthree" x,a\nnext,b\n', ["next"], [2]),
        ('"two\nlines","x" y\nnext,b\n', ["next"], [2]),
        ('"open,a\n"next",b\n', ["next"], [2]),
        ('"open,a\nnext,"b"\n', ["next"], [2]),
        ('"open,a\n"two\nlines",b\n', ["two\nlines"], [2]),
        ('"open,a\nfine,b\n"x",c\n', ["fine", "x"], [2]),
    ],
)
def test_a_broken_row_of_several_lines_leaves_no_line_as_a_row(content, rows, where):
    found = read("text,label\n" + content)
    assert found.columns["text"] == rows
    assert [s.where for s in found.set_aside] == [f"table.csv, line {line}" for line in where]


def test_the_lines_of_a_broken_row_are_told():
    (aside,) = read('text,label\n"two\nlines" x,a\nnext,b\n').set_aside
    assert aside.reason == "a quotation mark is not closed or out of place (to line 3)"


@pytest.mark.parametrize("name", ["a.tsv", "a.TAB", "a.tsv.gz"])
def test_in_a_tsv_file_only_tabs_separate(name):
    content = b'a, b, c\ttext\nx, y\t5" wide; z\n'
    found = read(gzip.compress(content) if name.endswith("gz") else content, name)
    assert found.columns == {"a, b, c": ["x, y"], "text": ['5" wide; z']}
    assert found.names == [f"{name}, line 2"]


def test_rows_are_numbered_by_the_line_they_begin_at():
    found = read('text,label\n"two\nlines",a\nnext,b\n')
    assert found.columns["text"] == ["two\nlines", "next"]
    assert found.names == ["table.csv, line 2", "table.csv, line 4"]


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_line_feeds_and_returns_end_a_row(mark):
    found = read(f"text,label\nbefore{mark}after,a\n")
    assert found.columns["text"] == [f"before{mark}after"]


def test_a_zero_byte_costs_its_own_row_only():
    rows = [f"text {i},{i % 2}" for i in range(50)]
    rows[20] = "te\0xt,0"
    found = read("text,label\n" + "\n".join(rows))
    assert len(found.names) == 49
    (aside,) = found.set_aside
    assert aside.where == "table.csv, line 22" and "damaged here" in aside.reason


def test_a_broken_letter_costs_its_own_row_only():
    rows = [f"schön {i},übel".encode() for i in range(200)]
    rows[20] = b"sch\xc3n,gut"
    found = read(b"text,label\n" + b"\n".join(rows))
    assert set(found.columns["label"]) == {"übel"} and len(found.names) == 199
    assert [aside.where for aside in found.set_aside] == ["table.csv, line 22"]


@pytest.mark.parametrize("first", ["text,label,,\nx,a,,\n", "text,label\nx,a,\n"])
def test_separators_at_the_end_of_a_line_make_no_column(first):
    found = read(first + "y,b\nz,c,,d\n")
    assert found.columns == {"text": ["x", "y"], "label": ["a", "b"]}
    assert [aside.where for aside in found.set_aside] == ["table.csv, line 4"]


def test_a_first_line_may_say_the_separator():
    found = read("sep=;\ntext, a;label\nx;a\n")
    assert found.columns == {"text, a": ["x"], "label": ["a"]}
    assert found.names == ["table.csv, line 3"]


def test_blank_lines_before_the_header_are_passed_over():
    found = read("\n\ntext;label\nx;a\n")
    assert found.columns == {"text": ["x"], "label": ["a"]}
    assert found.names == ["table.csv, line 4"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems_are_read(end):
    found = read(end.join(["text;label", "x;a", "y;b"]))
    assert found.columns == {"text": ["x", "y"], "label": ["a", "b"]}


def test_a_file_in_windows_1252_is_read_and_its_first_strange_line_said():
    found = read("text,label\nplain,a\ncafé – naïve,b\n".encode("cp1252"))
    assert found.columns["text"] == ["plain", "café – naïve"]
    assert "not UTF-8 (first at line 3)" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"text,label\n", "there are no rows below the header"),
        (b"text,label\nx\n", "1 row could not be parsed: table.csv, line 2"),
        (b"text,label,text\nx,y,z\n", "the column name 'text' stands twice"),
        (b'text,"label\nx,y\n', "line 1: the header cannot be parsed"),
        (b"PK\x03\x04\0\0binary", "this is a binary file, not a CSV table"),
    ],
)
def test_a_file_that_is_no_table_is_refused_and_the_message_says_why(content, said):
    with pytest.raises(DataError) as caught:
        read(content)
    assert said in str(caught.value) and "table.csv" in str(caught.value)


def test_the_name_may_be_in_capitals_and_other_kinds_are_refused_with_those_known(tmp_path):
    assert read("text,label\nx,a\n", name="TABLE.CSV").columns["text"] == ["x"]
    with pytest.raises(DataError, match=r"cannot read this kind of file\. It reads: a CSV or TSV"):
        read("{}", name="table.docx")


def test_a_path_that_is_not_there_is_answered_with_what_lies_beside(tmp_path):
    (tmp_path / "real.csv").touch()
    with pytest.raises(DataError, match=r"there is no such file or folder.*real\.csv"):
        read_table(tmp_path / "reel.csv")


def test_a_large_table_with_many_broken_rows_is_read_in_reasonable_time():
    rows = "".join(f'text {i},"a"\n' if i % 50 else f'text {i},"a\n' for i in range(20_000))
    started = time.monotonic()
    found = read("text,label\n" + rows)
    assert len(found.names) == 19_600 and len(found.set_aside) == 400
    assert time.monotonic() - started < 5
