import math

import numpy as np

from headstart.data.dataset import SetAside
from headstart.evidence.audit import Check, Finding, audit, checks
from headstart.evidence.audit.classes import classes
from headstart.evidence.audit.outliers import outliers
from headstart.evidence.audit.unusable import unusable


def test_a_row_far_from_all_others_is_found(examined_of, sentences):
    features = np.abs(np.random.default_rng(0).normal(size=(100, 20))) + 1
    features[42] = -features[42]
    [finding] = outliers(examined_of(sentences(100), ["a", "b"] * 50, features))
    assert finding.rows == (42,)


def test_rows_of_one_cloud_have_no_outliers(examined_of, sentences):
    features = np.random.default_rng(0).normal(size=(100, 20))
    assert not list(outliers(examined_of(sentences(100), ["a", "b"] * 50, features)))


def test_rare_classes_are_told(examined_of, sentences):
    labels = ["a"] * 150 + ["b"] * 130 + ["c"] * 10 + ["d"] * 4
    [finding] = classes(examined_of(sentences(294), labels))
    assert finding.says.endswith("'a' (150): 'd' (4), 'c' (10)")
    assert finding.says.startswith("2 of 4 classes have")
    assert finding.rows == tuple(range(280, 294))
    assert set(finding.told[:10]) == {"c"} and set(finding.told[10:]) == {"d"}


def test_equal_classes_are_not(examined_of, sentences):
    assert not list(classes(examined_of(sentences(40), ["a", "b"] * 20)))


def test_rows_that_were_set_aside_are_told(examined_of, sentences):
    rows = examined_of(sentences(40), ["a", "b"] * 20)
    aside = [SetAside("x", "an empty text"), SetAside("y", "an empty text"), SetAside("z", "odd")]
    rows.dataset = rows.dataset.__class__(**{**vars(rows.dataset), "set_aside": tuple(aside)})
    [finding] = unusable(rows)
    assert finding.says == "3 rows cannot be used: an empty text (2); odd (1)"
    told = finding.data(rows.dataset.names, most=2)
    assert told["count"] == 3 and [row["name"] for row in told["rows"]] == ["x", "y"]


def test_the_most_serious_comes_first_and_the_dearest_is_left_out(examined_of, sentences):
    made_up = {
        "zz cheap": Check(lambda _: [Finding("zz", "note", "cheap", "")]),
        "aa dear": Check(lambda _: [Finding("aa", "serious", "dear", "")], lambda _: 1e6),
    }
    for name, check in made_up.items():
        checks.register(name, check)
    try:
        rows = examined_of(sentences(40), ["a", "b"] * 20)
        found, left_out = audit(rows, 5.0)
        assert [f.says for f in found] == ["cheap"]
        assert left_out == ["aa dear"]
        found, left_out = audit(rows, math.inf)
        assert [f.says for f in found] == ["dear", "cheap"]
        assert left_out == []
    finally:
        for name in made_up:
            checks.unregister(name)


def test_a_finding_names_its_first_rows():
    finding = Finding("labels", "note", "s", "d", (3, 1, 2), ("x", "", "z"))
    data = finding.data(["r0", "r1", "r2", "r3"], most=2)
    assert data["count"] == 3
    assert data["rows"] == [{"name": "r3", "about": "x"}, {"name": "r1"}]
