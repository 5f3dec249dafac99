"""Class folders: layouts, given parts, clutter, and what lies where it does not belong."""

from __future__ import annotations

import os

import pytest

from headstart.data.readers import folder as folder_module
from headstart.data.readers import read_table
from headstart.errors import DataError


@pytest.fixture
def lay(tmp_path):
    """A function that creates files (empty: readers do not open them) and reads their folder."""

    def make(*files, folders=()):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return read_table(tmp_path)

    return make


def rows(table):
    return list(zip(table.names, table.columns["label"], table.parts, strict=True))


def aside(table):
    return [(s.where, s.reason) for s in table.set_aside]


def test_a_class_is_the_folder_and_files_may_lie_deeper(lay, tmp_path):
    table = lay("cat/a.png", "cat/more/deep/b.jpg", "dog/c.png")
    assert rows(table) == [
        ("cat/a.png", "cat", None),
        ("cat/more/deep/b.jpg", "cat", None),
        ("dog/c.png", "dog", None),
    ]
    assert table.columns["file"][0] == tmp_path / "cat/a.png"


@pytest.mark.parametrize(
    "name", ["🫐", "green apple", "日本", "-x", "a,b;c", "'quoted'", "CON", "a.b"]
)
def test_class_names_are_kept_as_they_are(lay, name):
    assert rows(lay(f"{name}/a.png", "other/b.png"))[0][1] in (name, "other")
    assert set(lay().columns["label"]) == {name, "other"}


@pytest.mark.parametrize(
    "clutter",
    [".DS_Store", "._a.png", "Thumbs.db", "desktop.ini", ".hidden/a.png", "__MACOSX/a.png"],
)
@pytest.mark.parametrize("where", ["", "cat/"])
def test_hidden_files_and_clutter_are_ignored_without_a_word(lay, clutter, where):
    table = lay("cat/a.png", "dog/b.png", where + clutter)
    assert table.names == ["cat/a.png", "dog/b.png"] and aside(table) == []


def test_files_that_are_no_input_or_lie_outside_the_classes_are_set_aside_by_name(lay):
    table = lay("cat/a.png", "dog/b.png", "readme.txt", "cat/model.bin", "dog/noname")
    assert table.names == ["cat/a.png", "dog/b.png"]
    assert aside(table) == [
        ("cat/model.bin", "no recording, picture or text, by its name"),
        ("dog/noname", "no recording, picture or text, by its name"),
        ("readme.txt", "outside the class folders, so without a label"),
    ]


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "test"), ["test", "train"]),
        (("train", "validation"), ["train", "validation"]),
        (("Training", "val", "Testing"), ["test", "train", "validation"]),
        (("train", "dev", "test"), ["test", "train", "validation"]),
    ],
)
def test_given_parts_are_respected_whichever_are_there(lay, folders, parts):
    table = lay(*(f"{folder}/{name}/a.png" for folder in folders for name in ("cat", "dog")))
    assert sorted(set(table.parts)) == parts
    assert set(table.columns["label"]) == {"cat", "dog"}
    assert any("the split is respected as given" in note for note in table.notes)


@pytest.mark.parametrize("folders", [("train", "bus"), ("test", "validation"), ("train",)])
def test_folders_that_are_not_a_whole_layout_of_parts_are_classes(lay, folders):
    table = lay(*(f"{folder}/x/a.png" for folder in folders))
    assert set(table.columns["label"]) == set(folders) and set(table.parts) == {None}


def test_files_in_a_part_but_in_no_class_are_set_aside(lay):
    table = lay("train/cat/a.png", "train/b.png", "test/cat/c.png")
    assert aside(table) == [("train/b.png", "outside the class folders, so without a label")]


def test_folders_beside_the_parts_are_left_out_and_named(lay):
    table = lay("train/a/1.png", "test/a/2.png", "unlabelled/x/3.png")
    assert rows(table) == [("train/a/1.png", "a", "train"), ("test/a/2.png", "a", "test")] or rows(
        table
    ) == [("test/a/2.png", "a", "test"), ("train/a/1.png", "a", "train")]
    assert "left out: unlabelled/" in table.notes


def test_what_is_no_file_is_set_aside_without_being_opened(lay, tmp_path):
    (tmp_path / "cat").mkdir()
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    assert aside(lay("cat/a.png")) == [("cat/pipe.png", "no regular file")]


def test_a_folder_that_may_not_be_read_is_set_aside(lay, monkeypatch):
    def inside(folder, _listed=folder_module.visible):
        if folder.name == "lost+found":
            raise PermissionError
        return _listed(folder)

    monkeypatch.setattr(folder_module, "visible", inside)
    table = lay("cat/a.png", folders=["lost+found"])
    assert aside(table) == [("lost+found", "a folder that may not be read")]


def test_names_that_are_not_unicode_can_be_written(lay):
    table = lay(os.fsdecode(b"caf\xe9/1.png"), os.fsdecode(b"caf\xe8/2.png"), "caf/\udcff.pdf")
    assert {*table.columns["label"]} == {"caf\\udce9", "caf\\udce8"}
    for name in [*table.names, *(where for where, _ in aside(table))]:
        assert name.encode()


def test_an_empty_folder_is_refused_and_the_message_says_what_is_expected(lay):
    with pytest.raises(DataError, match=r"the folder is empty\. Expected a sub-folder per class"):
        lay()
    with pytest.raises(DataError, match="the folder is empty"):
        lay(folders=["cat", "dog"])


def test_a_folder_without_class_folders_is_refused_and_its_files_are_named(lay):
    with pytest.raises(DataError) as caught:
        lay("a.png", "b.png", "c.png", "d.png")
    assert "no picture, text or recording was found in a sub-folder per class" in str(caught.value)
    assert "4 other files are there (a.png: outside the class folders" in str(caught.value)


def test_a_link_back_to_a_folder_above_is_not_followed_forever(lay, tmp_path):
    lay("cat/a.png", "dog/b.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    (tmp_path / "dog" / "again").symlink_to(tmp_path)
    assert lay().names == ["cat/a.png", "dog/b.png"]
