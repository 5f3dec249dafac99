"""Reading: what is set aside and named, what is refused and how."""

from __future__ import annotations

import pytest

from headstart.data.columns import Roles
from headstart.data.reading import read
from headstart.data.splits import units
from headstart.errors import DataError

LONG = "a sentence that is longer than any of the other cells in this table, number"


def sentences(n):
    return [f"{LONG} {i}" for i in range(n)]


def aside(dataset):
    return {s.where: s.reason for s in dataset.set_aside}


SIX = {"text": sentences(6), "label": list("ababab")}


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


def test_when_no_row_is_usable_the_first_reasons_are_listed(table):
    with pytest.raises(DataError) as caught:
        read(table(text=sentences(7), label=[""] * 7))
    assert "no row is usable. Set aside: table.csv, line 2: no label" in str(caught.value)
    assert "and 2 more" in str(caught.value)


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
    with pytest.raises(DataError, match="the inputs are no recordings, pictures or texts"):
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


def test_several_labels_are_several_outputs(table):
    path = table(text=sentences(4), size=list("1234"), mass=["1", "", "3", "4"])
    dataset = read(path, Roles.of(label=["size", "mass"]))
    assert [column.name for column in dataset.targets] == ["size", "mass"]
    assert dataset.targets[1].values == ("1", "3", "4")
    assert aside(dataset) == {"table.csv, line 3": "no label in column 'mass'"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2001", "1999", "2000.5"], [1, 2, 0]),
        (["2021-03-01", "2020-12-31T23:59:59", "2021-01-01"], [1, 2, 0]),
        (["2021-03-01 00:00+02:00", "2021-03-01 00:00+00:00", "2021-02-28"], [2, 0, 1]),
        (["05/03/2021", "13/02/2021", "01/04/2021"], [1, 0, 2]),
        (["05/03/2021", "02/13/2021", "01/04/2021"], [2, 1, 0]),
        (["05.03.2021", "01.04.2021", "06.03.2021"], [0, 2, 1]),
        (["2021-03-05 10:00", "13/04/2021", "06/03/2021"], [0, 2, 1]),
        (["2,5", "1,5", "10,0"], [1, 0, 2]),
    ],
    ids=["numbers", "dates", "zones", "day first", "month first", "points", "mixed", "commas"],
)
def test_times_are_numbers_or_dates(table, written, expected):
    path = table(text=sentences(3), label=list("aba"), when=written)
    times = read(path, Roles.of(time="when")).times
    assert sorted(range(3), key=lambda i: times[i]) == expected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            ["05/03/2021", "06/03/2021", "07/03/2021"],
            "'05/03/2021' is taken to begin with the month",
        ),
        (["13/03/2021", "03/13/2021", "07/03/2021"], "others with the month"),
    ],
)
def test_dates_that_leave_a_doubt_are_told(table, written, said):
    dataset = read(table(text=sentences(3), label=list("aba"), when=written), Roles.of(time="when"))
    assert any(said in note for note in dataset.notes)


def test_a_time_that_is_no_number_costs_its_own_row_only(table):
    path = table(text=sentences(4), label=list("abab"), when=["1695000000", "15", "n/a", "2"])
    dataset = read(path, Roles.of(time="when"))
    assert dataset.times == (1695000000.0, 15.0, 2.0) and len(dataset.set_aside) == 1


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
