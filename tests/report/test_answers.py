"""Answers as text, JSON and CSV: what is printed, in which columns, and what is said beside it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from headstart.artifact.predictor import Answer
from headstart.errors import DataError, UsageError
from headstart.report.answers import Counted, write_csv, write_json, write_subtitles, write_text


def answer(name, prediction="a", unlike=False, columns=None, novelty=0.5):
    data = {
        "prediction": prediction,
        "probabilities": {"a": 0.75, "b": 0.25},
        "unlike": unlike,
        "novelty": novelty,
    }
    return Answer(name, data, "", columns)


def bad(name, problem="not a picture", columns=None):
    return Answer(name, {}, problem, columns)


def written(write, *answers, **options):
    out = io.StringIO()
    write(answers, out, **options)
    return out.getvalue()


def table(*answers, alone=True):
    return list(csv.reader(io.StringIO(written(write_csv, *answers, alone=alone))))


def test_text_marks_what_is_unlike_and_leaves_out_what_was_set_aside():
    found = written(write_text, answer("x.png"), bad("y.png"), answer("z.png", "b", unlike=True))
    assert found == "x.png\ta\t0.750\nz.png\tb\t0.750\tunlike\n"


def test_json_is_one_object_a_line():
    found = written(write_json, answer("é.png", unlike=None, novelty=None), bad("y.png"))
    assert json.loads(found) == {
        "input": "é.png",
        "prediction": "a",
        "probabilities": {"a": 0.75, "b": 0.25},
        "unlike": None,
        "novelty": None,
    }


def test_a_table_gets_its_own_columns_back_with_others_behind_them():
    rows = [
        bad("t.csv, line 2", "an empty text", {"id": "1", "text": ""}),
        answer("t.csv, line 3", unlike=True, columns={"id": "2", "text": 'a "b", c\nd'}),
        answer("t.csv, line 4", unlike=None, columns={"id": "3", "text": "e"}),
    ]
    assert table(*rows) == [
        ["id", "text", "prediction", "p(a)", "p(b)", "unlike", "problem"],
        ["1", "", "", "", "", "", "t.csv, line 2: an empty text"],
        ["2", 'a "b", c\nd', "a", "0.75", "0.25", "true", ""],
        ["3", "e", "a", "0.75", "0.25", "", ""],
    ]


def test_whatever_a_table_holds_a_csv_reader_gets_its_rows_back():
    cells = {"id": "good\rday", "kinds": ("a", "b"), "picture": b"\x89PNG", "text": "one\r\ntwo"}
    header, row = table(answer("t.csv, line 2", columns=cells))
    assert header[:4] == list(cells)
    assert row[:4] == ["good\rday", "a|b", "", "one\r\ntwo"]


def test_names_that_the_table_has_already_get_a_number():
    columns = {"prediction": "x", "prediction.1": "y", "p(a)": "z", "problem": ""}
    header, row = table(answer("t.csv, line 2", columns=columns))
    assert header[:4] == list(columns) and row[:4] == list(columns.values())
    assert header[4:] == ["prediction.2", "p(a).1", "p(b)", "unlike", "problem.1"]


@pytest.mark.parametrize("alone", (True, False))
def test_of_other_inputs_the_first_column_says_which(alone):
    columns = None if alone else {"id": "1"}
    found = table(answer("x.png", columns=columns), bad("y.png"), alone=alone)
    assert found[0] == ["input", "prediction", "p(a)", "p(b)", "unlike", "problem"]
    assert [row[0] for row in found[1:]] == ["x.png", "y.png"]


def test_a_task_without_probabilities_has_no_columns_for_them():
    said = Answer("x", {"prediction": 3, "unlike": False, "novelty": 1.0})
    assert table(said) == [["input", "prediction", "unlike", "problem"], ["x", "3", "false", ""]]


def test_where_all_were_set_aside_the_table_still_says_why():
    assert table(bad("x"), bad("y")) == [
        ["input", "prediction", "unlike", "problem"],
        ["x", "", "", "x: not a picture"],
        ["y", "", "", "y: not a picture"],
    ]


def test_rows_are_written_as_they_come():
    out = io.StringIO()
    lines = []

    def coming():
        for i in range(3):
            lines.append(out.getvalue().count("\n"))
            yield answer(str(i))

    write_csv(coming(), out, alone=True)
    assert lines == [0, 2, 3]


def counted(*answers):
    said = []
    passing = Counted(answers, said.append)
    assert list(passing) == list(answers)
    passing.close()
    return said


def test_what_is_unlike_is_counted_and_what_was_set_aside_named():
    rows = [answer("x", unlike=True), bad("y"), *[answer("z")] * 2000]
    assert counted(*rows) == [
        "set aside: y: not a picture",
        "1 of 2,001 rows are unlike the training data; do not rely on their predictions",
    ]
    assert counted(answer("x")) == ["0 of 1 row is unlike the training data"]


def test_where_it_cannot_be_said_that_is_said_and_of_old_models_nothing():
    (said,) = counted(answer("x", unlike=None))
    assert "cannot be said" in said and "fewer than 99 held-out rows" in said
    assert counted(answer("x", unlike=None, novelty=None)) == []


def test_none_that_can_be_used_is_an_error_that_names_them():
    with pytest.raises(DataError, match=r"no input can be used\. y: not a picture; z: not a pic"):
        counted(bad("y"), bad("z"))
    with pytest.raises(DataError, match="nothing to predict"):
        counted()


def test_where_a_precision_was_asked_for_it_is_said_who_keeps_it():
    answers = [answer("x.png"), answer("y.png", "b")]
    answers = [
        Answer(one.name, {**one.data, "sure": sure})
        for one, sure in zip(answers, (True, False), strict=True)
    ]
    assert written(write_text, *answers) == "x.png\ta\t0.750\ny.png\tb\t0.750\tunsure\n"
    header, first, second, third = table(*answers, bad("z.png"))
    assert header[-3:] == ["unlike", "sure", "problem"]
    assert (first[-2:], second[-2:]) == (["true", ""], ["false", ""])
    assert len(third) == len(header) and third[-2] == ""
    lines = []
    passing = Counted(answers, lines.append)
    list(passing)
    passing.close()
    assert lines[0] == "1 of 2 answers are sure enough"


def spoken(name, *segments):
    listed = [{"begin": b, "end": e, "text": text} for b, e, text in segments]
    data = {"prediction": " ".join(text for *_, text in segments), "unlike": None, "novelty": None}
    return Answer(name, {**data, "segments": listed})


def test_subtitles_stand_in_a_file_of_their_own_with_their_times(tmp_path):
    talk = spoken("a/talk.wav", (0.0, 61.5, "First."), (61.5, 70, ""), (70, 3671.25, "Last."))
    write_subtitles([talk, bad("c.wav"), spoken("b/talk.ogg", (0.0, 1.0, "Other."))], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.1.srt", "talk.srt"]
    assert (tmp_path / "talk.srt").read_text() == (
        "1\n00:00:00,000 --> 00:01:01,500\nFirst.\n\n2\n00:01:10,000 --> 01:01:11,250\nLast.\n"
    )
    with pytest.raises(UsageError, match="--srt is for models that write"):
        write_subtitles([answer("d.png")], tmp_path)


def test_subtitles_of_a_table_are_called_after_their_rows(tmp_path):
    rows = [
        replace(spoken(f"calls.csv, line {line}", (0.0, 1.0, "Yes.")), columns={"call": "x"})
        for line in (2, 4)
    ]
    write_subtitles(rows, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["calls.csv, line 2.srt", "calls.csv, line 4.srt"]
