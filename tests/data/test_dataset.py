"""Taking rows, setting rows aside, and the fingerprint of the content."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.dataset import Column, SetAside

ROWS = st.lists(
    st.tuples(
        st.text(max_size=3),
        st.sampled_from("ab"),
        st.sampled_from(["g", "h"]),
        st.sampled_from([None, "train", "test"]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
def three(dataset_of):
    return dataset_of("xyz", "aba", groups="121", parts=[None, "test", "train"])


def test_take_keeps_the_asked_order_in_every_field(three):
    taken = three.take([2, 0])
    assert taken.inputs == ("z", "x") and taken.names == ("row 2", "row 0")
    assert taken.targets == (Column("label", ("a", "a")),)
    assert taken.groups == ("1", "1") and taken.parts == ("train", None)
    assert taken.digests == (three.digests[2], three.digests[0])


def test_without_sets_rows_aside_with_their_reasons_after_those_already_there(three):
    before = replace(three, set_aside=(SetAside("row 9", "broken"),))
    left = before.without({2: "late", 0: "early"})
    assert left.inputs == ("y",)
    assert left.set_aside == (
        SetAside("row 9", "broken"),
        SetAside("row 0", "early"),
        SetAside("row 2", "late"),
    )


@given(rows=ROWS, data=st.data())
def test_fingerprint_is_the_same_for_any_order_names_and_path(dataset_of, rows, data):
    cells, labels, groups, parts = zip(*rows, strict=True)
    one = dataset_of(cells, labels, groups=groups, parts=parts)
    order = data.draw(st.permutations(range(len(rows))))
    moved = replace(one.take(order), path="elsewhere", names=tuple(map(str, order)))
    assert moved.fingerprint() == one.fingerprint()


@given(rows=ROWS, others=ROWS)
def test_fingerprint_differs_exactly_where_the_rows_differ(dataset_of, rows, others):
    def fingerprint(table):
        cells, labels, groups, parts = zip(*table, strict=True)
        return dataset_of(cells, labels, groups=groups, parts=parts).fingerprint()

    def bag(table):
        return sorted([*row[:3], row[3] or ""] for row in table)

    assert (fingerprint(rows) == fingerprint(others)) == (bag(rows) == bag(others))


@pytest.mark.parametrize(
    "change",
    [
        {"digests": ("0", "1", "2")},
        {"targets": (Column("label", ("a", "b", "b")),)},
        {"groups": ("1", "2", "2")},
        {"groups": None},
        {"parts": (None, "test", "validation")},
        {"modality": "image"},
    ],
)
def test_fingerprint_changes_with_each_part_of_the_content(three, change):
    assert replace(three, **change).fingerprint() != three.fingerprint()


def test_fingerprint_counts_how_often_a_row_is_there(three):
    assert three.take([0, 1, 2, 2]).fingerprint() != three.fingerprint()
