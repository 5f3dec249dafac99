"""Rows of a table: inputs and answers from its cells."""

from __future__ import annotations

import pytest

from headstart.data.columns import Roles
from headstart.data.reading import read
from headstart.errors import DataError

LONG = "a sentence that is longer than any of the other cells in this table, number"


def sentences(n):
    return [f"{LONG} {i}" for i in range(n)]


def aside(dataset):
    return {s.where: s.reason for s in dataset.set_aside}


def test_labels_lose_their_white_space_and_nothing_else(table):
    dataset = read(table(text=sentences(4), label=[" a", "a ", "A", "a b"]))
    assert dataset.targets[0].values == ("a", "a", "A", "a b")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["0.0", "1.0", "2"], ("0", "1", "2")),
        (["0.5", "1.0", "2"], ("0.5", "1.0", "2")),
        (["Café", "Cafe\u0301", "tea"], ("Café", "Café", "tea")),
    ],
)
def test_labels_that_mean_the_same_are_written_alike(table, labels, expected):
    assert read(table(text=sentences(3), label=labels)).targets[0].values == expected


def test_paths_of_text_files_are_read(table, tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text(f"{LONG} {i}")
    dataset = read(table(path=["0.txt", "1.txt", "2.txt", "gone.txt"], label=list("abab")))
    assert [str(cell) for cell in dataset.inputs] == [str(tmp_path / f"{i}.txt") for i in range(3)]
    assert list(aside(dataset)) == ["table.csv, line 5"]


def test_paths_that_leave_the_folder_are_set_aside_however_they_do_it(table, paint, tmp_path):
    paint("data/in.png", "data/sub/deep.png", "outside.png", "elsewhere/there.png")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    cells = {
        "in.png": None,
        "sub/../in.png": None,
        "./sub/deep.png": None,
        str(tmp_path / "data" / "in.png"): None,
        "../outside.png": "leads out of",
        "sub/../../outside.png": "leads out of",
        str(tmp_path / "outside.png"): "leads out of",
        "link.png": "leads out of",
        "linked/there.png": "leads out of",
        "missing.png": "no such file",
        "sub": "the picture cannot be decoded",
        "": "no path",
    }
    path = table("data/table.csv", image=list(cells), label=list("ab" * 6))
    dataset = read(path, Roles.of(label="label"))
    assert len(dataset) == 4
    reasons = aside(dataset)
    for line, (cell, reason) in enumerate(cells.items(), 2):
        found = reasons.pop(f"table.csv, line {line}", None)
        assert (reason in found) if reason else (found is None), cell
    assert reasons == {}


def test_a_link_to_itself_costs_its_own_row_only(table, paint, tmp_path):
    paint("a.png", "b.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    dataset = read(table(image=["a.png", "b.png", "loop.png"], label=list("aba")))
    assert len(dataset) == 2 and list(aside(dataset)) == ["table.csv, line 4"]


def test_several_inputs_of_a_row_are_one_cell_with_a_content_of_its_own(table):
    path = table(a=["x", "x", "xy"], b=["yz", "y", "z"], label=list("aba"))
    dataset = read(path, Roles.of(["a", "b"]))
    assert dataset.inputs == (("x", "yz"), ("x", "y"), ("xy", "z"))
    assert len(set(dataset.digests)) == 3, "where one text ends and the next begins counts"


def test_a_row_that_lacks_one_of_its_paths_names_the_column(table, paint):
    paint("1.png", "2.png")
    path = table(a=["1.png", "", "2.png"], b=["u", "v", "w"], label=list("aba"))
    dataset = read(path, Roles.of(["a", "b"]))
    assert aside(dataset) == {"table.csv, line 3": "column 'a': no path"}


def test_some_texts_of_a_row_may_be_empty_but_not_all(table):
    path = table(a=["x", "", ""], b=["", "y", ""], label=list("aba"))
    dataset = read(path, Roles.of(["a", "b"]))
    assert dataset.inputs == (("x", ""), ("", "y"))
    assert aside(dataset) == {"table.csv, line 4": "an empty text"}


def test_one_picture_a_row(table, paint):
    paint("1.png", "2.png", "3.png")
    files = ["1.png", "2.png", "3.png"]
    path = table(a=files, b=files[::-1], c=list("uvw"), label=list("aba"))
    with pytest.raises(DataError, match="hold pictures; headstart takes one picture a row"):
        read(path, Roles.of(["a", "b", "c"]))
    dataset = read(path, Roles.of(["c", "a"]))
    assert dataset.modality == "image+text"
    assert dataset.of("text").inputs == tuple("uvw")
    assert [cell.name for cell in dataset.of("image").inputs] == files
    assert dataset.digests[0] == f"{dataset.of('image').digests[0]}+{dataset.of('text').digests[0]}"
