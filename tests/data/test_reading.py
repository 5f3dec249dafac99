"""Reading: what is inferred and said, what is set aside and named, what is refused and how."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.reading import from_cells, inputs_in, read, read_rows
from headstart.data.splits import units
from headstart.errors import DataError

LONG = "a sentence that is longer than any of the other cells in this table, number"


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


def sentences(n):
    return [f"{LONG} {i}" for i in range(n)]


def labelled(dataset):
    return dict(zip(dataset.inputs, dataset.targets[0].values, strict=True))


def aside(dataset):
    return {s.where: s.reason for s in dataset.set_aside}


SIX = {"text": sentences(6), "label": list("ababab")}


@pytest.mark.parametrize("name", ["label", "Label", "CLASS", "category", "sentiment", "topic"])
def test_the_label_is_the_one_column_of_a_usual_name(table, name):
    path = table(text=sentences(6), kind=list("xyxyxy"), **{name: list("ababab")})
    dataset = read(path, Roles.of(input="text"))
    assert dataset.targets[0].name == name
    assert f"the label is column {name!r} (--label COL says otherwise)" in dataset.notes


def test_the_label_is_else_the_one_column_of_few_values(table):
    dataset = read(table(words=sentences(9), outcome=list("abcabcabc")))
    assert dataset.targets[0].name == "outcome"
    assert labelled(dataset)[f"{LONG} 1"] == "b"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"text": sentences(6), "label": list("ababab"), "class": list("xyxyxy")},
            "which column holds the label? It could be 'label' or 'class'. Say it with --label COL",
        ),
        (
            {"text": sentences(6), "one": list("ababab"), "two": list("xyxyxy")},
            "which column holds the label? It could be 'one' or 'two'. Say it with --label COL",
        ),
        (
            {"text": sentences(6), "other": [str(i) for i in range(6)]},
            "no column looks like a label. The columns are: text, other. Say which with --label",
        ),
        ({"text": sentences(6)}, "no column looks like a label. The columns are: text."),
        ({"text": sentences(6), "one": ["a"] * 6}, "no column looks like a label."),
        (
            {"label": list("ababab")},
            "besides 'label' there is no column to learn from. Say which holds the input",
        ),
        (
            {"one": sentences(6), "two": sentences(6), "label": list("ababab")},
            "which column holds the input? It could be 'one' or 'two'. Say it with --input COL",
        ),
    ],
)
def test_what_cannot_be_inferred_is_asked_for_with_the_candidates(table, columns, said):
    path = table(**columns)
    with pytest.raises(DataError) as caught:
        read(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"code": [str(i) for i in range(6)], "text": list("uvwxyz")}, "text"),
        ({"code": [str(i) for i in range(6)], "prose": sentences(6)}, "prose"),
        ({"anything": sentences(6)}, "anything"),
    ],
    ids=["a usual name", "by far the longest", "the only one"],
)
def test_the_input_is_inferred_and_said(table, columns, expected):
    dataset = read(table(**columns, label=list("ababab")))
    assert list(dataset.inputs) == columns[expected]
    assert f"the input is column {expected!r} (--input COL says otherwise)" in dataset.notes


def test_a_column_of_picture_paths_is_the_input_before_any_other(table, paint):
    files = [f"pictures/{i}.png" for i in range(6)]
    folder = paint(*files)
    dataset = read(table(text=sentences(6), where=files, label=list("ababab")))
    assert dataset.modality == "image"
    assert dataset.inputs == tuple((folder / file).resolve() for file in files)


def test_the_user_has_the_last_word(table):
    path = table(text=sentences(6), label=list("ababab"), other=list("xyxyxy"))
    dataset = read(path, Roles.of(input="label", label="other"))
    assert labelled(dataset) == {"a": "x", "b": "y"}
    assert dataset.targets[0].name == "other"
    assert not any("says otherwise" in note for note in dataset.notes)


@pytest.mark.parametrize("option", ["input", "label", "group"])
def test_a_column_that_is_not_there_is_answered_with_those_that_are(table, option):
    with pytest.raises(DataError) as caught:
        read(table(**SIX), Roles.of(**{option: "lable"}))
    assert f"--{option} 'lable' is no column. It has: text, label." in str(caught.value)


@pytest.mark.parametrize(("one", "other"), [("input", "label"), ("group", "label")])
def test_one_column_cannot_be_two_things(table, one, other):
    with pytest.raises(DataError) as caught:
        read(table(**SIX), Roles.of(**{one: "label", other: "label"}))
    assert "name the same column 'label'" in str(caught.value)
    assert f"--{one}" in str(caught.value) and f"--{other}" in str(caught.value)


def test_rows_without_a_label_are_set_aside_by_their_line(table):
    dataset = read(table(text=sentences(6), label=["a", "", "b", "  ", "a", "b"]))
    assert len(dataset) == 4
    assert aside(dataset) == {
        "table.csv, line 3": "no label in column 'label'",
        "table.csv, line 5": "no label in column 'label'",
    }


def test_empty_texts_and_broken_rows_are_set_aside_by_their_line(tmp_path):
    content = "text,label\nfine,a\n  ,b\nonly one\nfine too,b\n\x20,\n"
    (tmp_path / "table.csv").write_text(content)
    dataset = read(tmp_path / "table.csv")
    assert dataset.inputs == ("fine", "fine too")
    assert dataset.names == ("table.csv, line 2", "table.csv, line 5")
    assert aside(dataset) == {
        "table.csv, line 3": "an empty text",
        "table.csv, line 4": "1 fields where the header has 2",
        "table.csv, line 6": "no label in column 'label'",
    }


def test_labels_lose_their_white_space_and_nothing_else(table):
    dataset = read(table(text=sentences(4), label=[" a", "a ", "A", "a b"]))
    assert dataset.targets[0].values == ("a", "a", "A", "a b")


def test_when_no_row_is_usable_the_first_reasons_are_listed(table):
    with pytest.raises(DataError) as caught:
        read(table(text=sentences(7), label=[""] * 7))
    assert "no row is usable. Set aside: table.csv, line 2: no label" in str(caught.value)
    assert "and 2 more" in str(caught.value)


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


def test_class_folders_are_read_with_damaged_pictures_set_aside(paint):
    folder = paint("🫐/a.png", "🫐/b.png", "green apple/c.png")
    (folder / "🫐" / "empty.png").write_bytes(b"")
    (folder / "🫐" / "text.png").write_text("no picture")
    dataset = read(folder)
    assert sorted(dataset.targets[0].values) == ["green apple", "🫐", "🫐"]
    assert sorted(dataset.names) == ["green apple/c.png", "🫐/a.png", "🫐/b.png"]
    assert aside(dataset) == {"🫐/empty.png": "an empty file", "🫐/text.png": "not a picture"}
    assert "the inputs are pictures" in dataset.notes
    assert not any("--label" in note for note in dataset.notes)


def test_class_folders_of_texts_are_read(tmp_path):
    for name, content in (("ham/1.txt", "see you"), ("spam/1.txt", "win money")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    dataset = read(tmp_path)
    assert dataset.modality == "text" and dataset.targets[0].values == ("ham", "spam")


def test_a_folder_of_which_no_picture_can_be_read_is_refused(paint):
    folder = paint("a/1.png")
    (folder / "a" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no readable picture\. Set aside: a/1\.png: an empty"):
        read(folder)


def test_inputs_half_texts_half_pictures_are_refused(paint):
    folder = paint("a/1.png")
    (folder / "a" / "1.txt").write_text("a text")
    with pytest.raises(DataError, match="the inputs are neither pictures nor texts"):
        read(folder)


def test_given_parts_travel_with_their_rows(paint):
    files = [f"{part}/{name}/{i}.png" for part in ("train", "val") for name in "ab" for i in "12"]
    dataset = read(paint(*files))
    assert dict(zip(dataset.names, dataset.parts, strict=True)) == {
        file: "train" if file.startswith("train") else "validation" for file in files
    }


def test_groups_are_taken_from_the_named_column_and_it_is_no_input(table):
    path = table(label=list("ababab"), who=list("112233"), words=sentences(6))
    dataset = read(path, Roles.of(group="who"))
    assert dataset.groups == tuple("112233") and dataset.inputs == tuple(sentences(6))
    assert read(path, Roles.of(input="words")).groups is None


def test_rows_without_a_group_stand_by_themselves_and_are_counted(table):
    words, labels = sentences(6), ["a", "b"] * 3
    dataset = read(
        table(words=words, label=labels, who=["1", "1", "", " ", "", "2"]), Roles.of(group="who")
    )
    assert len(set(units(dataset).tolist())) == 5
    assert "3 rows have no 'who': each is a group of its own" in dataset.notes


def test_test_rows_of_the_user_are_marked_and_others_left_to_be_split(table):
    own = table("own.csv", text=["x", "y"], label=["a", "b"])
    dataset = read(table(**SIX), test=own)
    assert dataset.parts == (None,) * 6 + ("test", "test")
    assert dataset.names[-1] == "own.csv, line 3"
    assert f"the test rows are those of {own}" in dataset.notes


def test_test_rows_are_read_by_the_columns_found_in_the_training_rows(table):
    train = table(prose=sentences(9), code=list("123456789"), kind=list("abcabcabc"))
    # by themselves these rows would say that `prose` is the label and `code` the input
    own = table("own.csv", prose=["x", "x", "y"], code=["a long code"] * 3, kind=list("abc"))
    dataset = read(train, test=own)
    assert dataset.inputs[-3:] == ("x", "x", "y")
    assert dataset.targets[0].name == "kind" and dataset.targets[0].values[-3:] == tuple("abc")


def test_test_rows_may_come_in_another_form(table, paint, tmp_path):
    paint("data/a/1.png", "data/b/2.png", "own/3.png", "own/4.png")
    own = table("own/table.csv", image=["3.png", "4.png"], kind=["a", "b"])
    dataset = read(tmp_path / "data", test=own)
    assert dataset.parts == (None, None, "test", "test")
    assert dataset.targets[0].values == ("a", "b", "a", "b")


def test_test_rows_of_another_kind_or_given_twice_are_refused(table, paint, tmp_path):
    texts = table(**SIX)
    folder = paint("d/train/a/1.png", "d/test/a/2.png", "d/train/b/3.png", "e/a/4.png") / "d"
    with pytest.raises(DataError, match="has test rows of its own: leave out --test"):
        read(folder, test=tmp_path / "e")
    with pytest.raises(DataError, match=r"e holds image inputs, .*table\.csv text inputs"):
        read(texts, test=tmp_path / "e")


def test_rows_that_the_time_does_not_reach_are_left_out_and_counted(table):
    path = table(text=sentences(300), label=list("ab" * 150))
    asked = []

    def enough(where, looked):
        asked.append((where, looked))
        return looked >= 128

    dataset = read(path, enough=enough)
    assert len(dataset) == 128 and all(dataset.digests)
    assert "the budget left no time to look at 172 of 300 rows" in dataset.notes
    assert asked == [(str(path), 64), (str(path), 128)]


def test_which_rows_are_reached_depends_on_the_seed_alone(table):
    path = table(text=sentences(300), label=list("ab" * 150))
    reached = [read(path, seed=seed, enough=lambda *_: True).inputs for seed in (0, 0, 1)]
    assert reached[0] == reached[1] != reached[2]
    assert len(reached[0]) == 64 and reached[0] != tuple(sentences(64))


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
        *("", "", "neither a picture nor a text, by its name", "", "", "the path", ""),
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


def test_several_labels_are_several_outputs(table):
    path = table(text=sentences(4), size=list("1234"), mass=["1", "", "3", "4"])
    dataset = read(path, Roles.of(label=["size", "mass"]))
    assert [column.name for column in dataset.targets] == ["size", "mass"]
    assert dataset.targets[1].values == ("1", "3", "4")
    assert aside(dataset) == {"table.csv, line 3": "no label in column 'mass'"}


def test_a_column_of_fractions_is_the_label_where_nothing_else_is(table):
    path = table(text=sentences(6), price=["1.5", "2", "", "4.25", "5", "6"])
    assert read(path, Roles.of("text")).targets[0].name == "price"
    with pytest.raises(DataError, match="no column looks like a label"):
        read(table(text=sentences(6), number=list("123456")), Roles.of("text"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2001", "1999", "2000.5"], [1, 2, 0]),
        (["2021-03-01", "2020-12-31T23:59:59", "2021-01-01"], [1, 2, 0]),
        (["2021-03-01 00:00+02:00", "2021-03-01 00:00+00:00", "2021-02-28"], [2, 0, 1]),
    ],
    ids=["numbers", "dates", "zones"],
)
def test_times_are_numbers_or_dates(table, written, expected):
    path = table(text=sentences(3), label=list("aba"), when=written)
    times = read(path, Roles.of(time="when")).times
    assert sorted(range(3), key=lambda i: times[i]) == expected


def test_rows_without_a_time_are_set_aside(table):
    path = table(text=sentences(3), label=list("aba"), when=["2020-01-01", "soon", ""])
    dataset = read(path, Roles.of(time="when"))
    assert len(dataset) == 1
    reason = "column 'when' holds no number and no date that can be read"
    assert aside(dataset) == dict.fromkeys(("table.csv, line 3", "table.csv, line 4"), reason)


def test_subgroups_may_be_any_column_and_do_not_tie_rows(table):
    path = table(**SIX, site=list("uuvvww"))
    dataset = read(path, Roles.of(subgroup="site"))
    assert dataset.subgroups == tuple("uuvvww") and dataset.groups is None
    assert read(path, Roles.of("text", subgroup="label")).subgroups == tuple("ababab")
    assert dataset.fingerprint() == read(path, Roles.of("text", "label")).fingerprint()


def test_tuples_of_texts_are_rows_and_those_without_any_text_are_set_aside():
    found = from_cells([("a", "b"), ("", " "), ("", "b"), ("b", "a")])
    assert found.modality == "text" and found.inputs == (("a", "b"), ("", "b"), ("b", "a"))
    assert [aside.reason for aside in found.set_aside] == ["an empty text"]
    assert len(set(found.digests)) == 3


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
    assert aside(found) == {"notes.doc": "neither a picture nor a text, by its name"}


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
