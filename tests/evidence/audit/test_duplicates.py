import numpy as np
import pytest

from headstart.data.splits import units
from headstart.evidence.audit.duplicates import duplicates, near_duplicates, sets_of
from headstart.search.examining import tie
from headstart.search.reach import Reach


def by_check(found):
    return {finding.check: finding for finding in found}


@pytest.fixture
def features():
    return lambda rows, seed=0: np.random.default_rng(seed).normal(size=(rows, 40))


def test_a_changed_word_makes_a_near_duplicate(examined_of, sentences):
    texts = sentences(60)
    texts[50] = texts[3].replace(texts[3].split()[0], "else").upper()
    found = near_duplicates(examined_of(texts, ["a", "b"] * 30))
    assert found[50] == found[3] >= 0
    assert sorted(np.flatnonzero(found >= 0)) == [3, 50]


def test_near_features_make_a_near_duplicate(examined_of, sentences, features):
    values = features(60)
    values[50] = values[3] + 0.05 * features(60, 1)[50]
    found = near_duplicates(examined_of(sentences(60), ["a", "b"] * 30, values))
    assert sorted(np.flatnonzero(found >= 0)) == [3, 50]


def test_rows_with_more_copies_than_neighbours_are_still_found(examined_of, features):
    centres, noise = features(6), features(120, 1)
    values = np.repeat(centres, 20, axis=0) + 0.01 * noise
    texts = [f"t{i} {i * 7 % 13} x{i} y{i}" for i in range(120)]
    found = near_duplicates(examined_of(texts, ["a", "b"] * 60, values))
    assert len(sets_of(found)) == 6
    assert all(len(rows) == 20 for rows in sets_of(found))


@pytest.mark.parametrize("width", [2, 5, 40])
def test_chance_makes_hardly_any_near_duplicates(examined_of, sentences, features, width):
    found = near_duplicates(
        examined_of(sentences(2000), ["a", "b"] * 1000, features(2000)[:, :width])
    )
    assert (found >= 0).sum() <= 8


def test_few_rows_have_no_near_duplicates(examined_of, sentences):
    assert (near_duplicates(examined_of(sentences(11), ["a", "b"] * 5 + ["a"])) == -1).all()


def test_copies_and_conflicts_are_told(examined_of, sentences):
    texts = sentences(60)
    texts[1] = texts[0]
    texts[50] = texts[3].upper()
    labels = ["a", "b"] * 30
    found = list(duplicates(examined_of(texts, labels)))
    exact, near, conflict, nearly = found
    assert exact.rows == (0, 1)
    assert near.rows == (3, 50)
    assert near.told == ("like row 50", "like row 3")
    assert conflict.rows == (0, 1)
    assert conflict.told == ("a", "b")
    assert conflict.severity == "warning"
    assert nearly.rows == (3, 50)
    assert nearly.severity == "note"


def test_what_stands_in_two_parts_of_a_given_split_is_serious(examined_of, sentences):
    texts = sentences(60)
    texts[50], texts[51] = texts[3].upper(), texts[4]
    parts = ["train"] * 40 + ["test"] * 20
    rows = examined_of(texts, ["a", "b"] * 30, parts=parts)
    across = by_check(duplicates(rows))["duplicates across the split"]
    assert across.severity == "serious" and across.rows == (3, 4)
    assert "row 50 in the given test rows" in across.told[0]
    apart = examined_of(sentences(60), ["a", "b"] * 30, parts=parts)
    assert "duplicates across the split" not in by_check(duplicates(apart))


def test_many_conflicts_are_serious(examined_of, sentences):
    texts = sentences(30)
    rows = examined_of([*texts, *texts[:4]], ["a", "b"] * 17)
    rows.targets[30:] = 1 - rows.targets[:4]
    assert by_check(duplicates(rows))["conflicting labels"].severity == "serious"


def test_copies_of_one_label_do_not_conflict(examined_of, sentences):
    texts = sentences(30)
    found = duplicates(examined_of([*texts, *texts[:4]], ["a", "b"] * 17))
    assert "conflicting labels" not in by_check(found)


def test_near_duplicates_are_one_unit_and_known_again(examined_of, sentences):
    texts = sentences(60)
    texts[50] = texts[3].upper()
    rows, reach = examined_of(texts, ["a", "b"] * 30), Reach()
    assert units(rows.dataset)[50] == 50
    tie(rows, reach)
    assert units(rows.dataset)[50] == units(rows.dataset)[3]
    other = examined_of(texts[::-1], ["b", "a"] * 30)
    tie(other, Reach(**vars(reach)))
    assert other.dataset.alike == rows.dataset.alike[::-1]
