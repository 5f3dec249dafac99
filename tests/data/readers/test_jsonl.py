"""JSON lines and lists of objects: a broken line costs itself; a key that lacks is missing."""

from __future__ import annotations

import gzip
import json

import pytest

from headstart.data.columns import Roles
from headstart.data.readers import read_table
from headstart.data.reading import read
from headstart.errors import DataError


@pytest.fixture
def write(tmp_path):
    """A function that writes a file, and returns its path."""

    def make(content, name="rows.jsonl"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return make


@pytest.mark.parametrize("name", ["a.jsonl", "a.NDJSON", "a.json", "a.jsonl.gz"])
def test_a_key_that_some_lack_is_missing_there(write, name):
    content = b'{"text": "x", "label": 1}\r\n\n{"text": null, "more": true}\n'
    found = read_table(write(gzip.compress(content) if name.endswith("gz") else content, name))
    assert found.columns == {"text": ["x", ""], "label": ["1", ""], "more": ["", "True"]}
    assert found.names == [f"{name}, line 1", f"{name}, line 3"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "cut', "no valid JSON (Unterminated string"),
        ("{text: 1}", "no valid JSON (Expecting property name"),
        ('["a", "b"]', "no JSON object"),
        ("7", "no JSON object"),
        ('{"text": "a", "text": "b"}', "the key 'text' stands twice in one object"),
        ("[" * 100_000, "no valid JSON"),
        ('{"text": ' + "9" * 5000 + "}", "no valid JSON"),
    ],
)
def test_a_broken_line_is_set_aside_by_its_number(write, line, reason):
    found = read_table(write(f'{{"text": "x"}}\n{line}\n{{"text": "y"}}'))
    assert found.columns == {"text": ["x", "y"]} and len(found.set_aside) == 1
    assert found.set_aside[0].where == "rows.jsonl, line 2"
    assert found.set_aside[0].reason.startswith(reason)


def test_a_list_of_objects_is_read(write):
    found = read_table(write('\ufeff[{"text": "x"}, 3, {"text": "y"}]', "rows.json"))
    assert found.columns == {"text": ["x", "y"]}
    assert found.names == ["rows.json, row 0", "rows.json, row 2"]
    assert [(s.where, s.reason) for s in found.set_aside] == [
        ("rows.json, row 1", "no JSON object")
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "the file is empty"),
        ("a.jsonl", "nothing\n", "there are no rows. a.jsonl, line 1: no valid JSON"),
        ("a.json", '[{"text": "x"}, {"te', "no valid JSON .* Is it whole?"),
        ("a.json", '[{"a": 1, "a": 2}]', "the key 'a' stands twice"),
        ("a.json", "[]", "there are no rows"),
        ("a.jsonl", b"PAR1\0\0", "this is a binary file, not a JSON file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_and_the_message_says_why(write, name, content, said):
    with pytest.raises(DataError, match=said) as caught:
        read_table(write(content, name))
    assert name in str(caught.value)


def test_nested_columns_are_refused_by_name_only_if_they_are_asked_for(write):
    rows = [{"text": f"a text {i}", "meta": {"id": i}, "label": "ab"[i % 2]} for i in range(6)]
    path = write("\n".join(map(json.dumps, rows)))
    assert len(read(path)) == 6
    for option in ("input", "label", "group"):
        with pytest.raises(DataError, match="column 'meta' holds nested values .* of their own"):
            read(path, Roles.of(**{option: "meta"}))


def test_labels_of_mixed_types_are_texts_and_that_is_said(write):
    labels = [1, "1", "a", 1, "a", "a"]
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
    dataset = read(write("\n".join(map(json.dumps, rows))))
    assert dataset.targets[0].values == ("1", "1", "a", "1", "a", "a")
    assert any("'label' mixes numbers and texts" in note for note in dataset.notes)


def test_several_labels_of_a_row_are_handed_over_together(write):
    labels = [["b", " a "], ["c"], [], "b", None, ["c"]]
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
    dataset = read(write("\n".join(map(json.dumps, rows))), Roles.of(label="label"))
    assert dataset.targets[0].values == (("b", "a"), ("c",), (), ("b",), ("c",))
    assert [s.reason for s in dataset.set_aside] == ["no label in column 'label'"]
    assert dataset.fingerprint()


def test_lists_are_no_inputs(write):
    rows = [{"words": ["a", "b"], "label": "ab"[i % 2]} for i in range(6)]
    path = write("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="column 'words' holds lists, but an input is one text"):
        read(path, Roles.of(input="words", label="label"))
    with pytest.raises(DataError, match="no column to learn from"):
        read(path, Roles.of(label="label"))
