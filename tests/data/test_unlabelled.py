"""Rows without labels: found, named, and taken as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.columns import Roles
from headstart.data.unlabelled import from_cells, inputs_in, read_rows
from headstart.errors import DataError

LONG = "a sentence that is longer than any of the other cells in this table, number"


def sentences(n):
    return [f"{LONG} {i}" for i in range(n)]


def aside(dataset):
    return {s.where: s.reason for s in dataset.set_aside}


def test_inputs_are_found_in_files_folders_and_tables(table, paint, tmp_path):
    paint("in/a.png", "in/deep/b.png", "c.png")
    listing = table("list.csv", image=["in/a.png", "../c.png", "gone.png"])
    odd = tmp_path / "in" / "odd.bin"
    odd.touch()
    found = list(inputs_in([tmp_path / "in", tmp_path / "c.png", listing, tmp_path / "no.png"]))
    assert [Path(one.name).name for one in found] == [
        *("a.png", "b.png", "odd.bin", "c.png"),
        *("list.csv, line 2", "list.csv, line 3", "list.csv, line 4", "no.png"),
    ]
    assert [one.problem.split(" '")[0] for one in found] == [
        *(
            "",
            "",
            "no recording, picture or text, by its name",
            "",
            "",
            "the path",
            "",
        ),
        "no such file",
    ]
    assert all((one.cell is None) == bool(one.problem) for one in found)


def test_rows_of_a_table_keep_their_columns_and_what_cannot_be_parsed_comes_last(table):
    path = table(id=["7", "8"], text=["one text", ""])
    path.write_text(path.read_text() + "9,too,many\n")
    found = list(inputs_in([path], ("text",)))
    assert [dict(one.columns) for one in found] == [
        {"id": "7", "text": "one text"},
        {"id": "8", "text": ""},
        {"id": "", "text": ""},
    ]
    assert [one.problem for one in found] == [
        "",
        "an empty text",
        "3 fields where the header has 2",
    ]


def test_clutter_among_inputs_is_ignored_as_it_is_among_classes(paint):
    folder = paint("in/a.png", "in/._a.png", "in/.ipynb_checkpoints/a.png", "in/__MACOSX/a.png")
    (folder / "in" / "Thumbs.db").touch()
    assert [Path(one.name).name for one in inputs_in([folder / "in"])] == ["a.png"]


def test_cells_are_taken_as_they_are_and_empty_ones_set_aside():
    found = from_cells(["one text", "", "another"])
    assert found.inputs == ("one text", "another") and aside(found) == {"": "an empty text"}
    assert found.modality == "text" and all(found.digests)


def test_no_cells_are_refused():
    with pytest.raises(DataError, match="there are no inputs"):
        from_cells([])


def test_tuples_of_texts_are_rows_and_those_without_any_text_are_set_aside():
    found = from_cells([("a", "b"), ("", " "), ("", "b"), ("b", "a")])
    assert found.modality == "text" and found.inputs == (("a", "b"), ("", "b"), ("b", "a"))
    assert [aside.reason for aside in found.set_aside] == ["an empty text"]
    assert len(set(found.digests)) == 3


def test_inputs_are_yielded_before_the_next_ones_are_looked_for(paint, tmp_path):
    folder = paint("in/a.png")
    found = inputs_in([folder / "in", tmp_path / "no.csv"])
    assert next(found).cell == folder / "in" / "a.png"
    (tmp_path / "no.csv").write_text("text\nsome words\n")
    assert next(found).cell == "some words"


def test_rows_of_class_folders_keep_their_labels_and_strays_are_named(paint):
    folder = paint("in/a/0.png", "in/a/1.png", "in/b/2.png", "in/stray.png")
    found = read_rows(folder / "in")
    assert found.targets[0].values == ("a", "a", "b")
    assert found.names == ("a/0.png", "a/1.png", "b/2.png")
    assert aside(found) == {"stray.png": "outside the class folders, so without a label"}


def test_a_folder_of_files_has_no_labels_and_all_of_it_is_taken(paint):
    folder = paint("in/0.png", "in/1.png", "in/more/2.png")
    (folder / "in" / "notes.doc").write_text("words")
    found = read_rows(folder / "in")
    assert found.names == ("0.png", "1.png", "more/2.png") and found.targets == ()
    assert aside(found) == {"notes.doc": "no recording, picture or text, by its name"}


def test_rows_of_a_table_need_no_labels(table):
    assert read_rows(table(text=sentences(3))).targets == ()
    found = read_rows(table(text=sentences(3), number=["1", "2", "1"]))
    assert found.targets == (), "a column of few values is a label only for those who look for one"
    found = read_rows(table(text=sentences(4), label=["a", "", " b", "a"]))
    assert found.targets[0].values == ("a", "", "b", "a") and len(found) == 4


def test_columns_of_rows_may_be_named(table):
    columns = table(one=["w x", "y z"], two=["first", ""], tag=["p", "q"])
    found = read_rows(columns, Roles.of("two", "tag"))
    assert found.inputs == ("first",) and found.targets[0].values == ("p",)
    assert aside(found) == {"table.csv, line 3": "an empty text"}
    for wrong in ({"input": "three"}, {"label": "three"}):
        with pytest.raises(DataError, match="'three' is no column. It has: one, two, tag."):
            read_rows(columns, Roles.of(**wrong))


def test_rows_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read_rows(tmp_path / "gone")
    with pytest.raises(DataError, match="there are no inputs"):
        read_rows(tmp_path)
