"""What target cells look like."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.tasks.targets import (
    any_delimiter,
    are_numbers,
    are_quantities,
    are_truths,
    delimiter_of,
    is_date,
    labels_of,
    number,
    truth,
)

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("cell", "value"),
    (("3", 3.0), (" -2.5 ", -2.5), ("1e-3", 0.001), (".5", 0.5), ("+7.", 7.0), ("007", 7.0)),
)
def test_plain_numbers_are_read(cell, value):
    assert number(cell) == value


@pytest.mark.parametrize(
    ("cell", "reason"),
    (
        ("inf", "not a finite number: 'inf'"),
        ("NaN", "not a finite number: 'NaN'"),
        ("n/a", "not a finite number"),
        ("1e999", "not a finite number"),
        ("1,234.5", "separators in a number"),
        ("12 345", "separators in a number"),
        ("3,14", "a comma in a number"),
        ("12 kg", "a number with a unit"),
        ("50%", "a number with a unit"),
        ("€ 5", "a number with a unit"),
        ("2024-05-01", "a date"),
        ("31.12.1999", "a date"),
        ("red", "not a number: 'red'"),
        ("1_000", "not a number"),
        ("1.2.3", "not a number"),
        ("10:30", "not a number"),
        ("12-15", "not a number"),
        (("a", "b"), "several labels"),
    ),
)
def test_what_is_no_plain_number_is_named_and_not_guessed(cell, reason):
    assert reason in number(cell)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_that_is_written_out_is_read_again(value):
    found = number(repr(value))
    assert found == value if math.isfinite(value) else "not a finite number" in found


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_has_a_reason(text):
    found = number(text)
    assert (isinstance(found, float) and math.isfinite(found)) or isinstance(found, str)


@pytest.mark.parametrize(
    ("cells", "quantities"),
    (
        ([f"{x:.2f}" for x in RANDOM.normal(size=40)], True),
        ([f"{x:.1f}" for x in RANDOM.normal(size=40)] + ["n/a"] * 9, True),
        ([f"{x:.1f}" for x in RANDOM.normal(size=40)] + ["much"] * 9, False),
        ([str(x % 10) for x in range(400)], False),  # digits
        ([str(1990 + x % 12) for x in range(400)], False),  # years of few kinds
        ([str(x) for x in RANDOM.integers(0, 1000, 200)], True),
        ([str(x) for x in RANDOM.integers(18, 80, 100)], True),  # ages
        ([str(x) for x in RANDOM.permutation(500)], False),  # row numbers
        ([f"{x:05}" for x in RANDOM.integers(0, 99999, 200)], False),  # codes
        (["0.5", "1.5"] * 20, False),
        (["0", "1"] * 20, False),
        (["red", "blue"] * 20, False),
        ([f"2024-01-{1 + x % 28}" for x in range(60)], False),
    ),
)
def test_numbers_that_measure_are_told_from_names(cells, quantities):
    assert are_quantities(cells) is quantities


def test_a_few_cells_of_another_kind_do_not_change_what_a_column_is():
    assert are_numbers(["1.5"] * 40 + ["x", "y"]) and not are_numbers(["1.5"] * 10 + ["x", "y"])
    assert are_truths(["yes", "No", "1", "0", "true", "FALSE"])
    assert not are_truths(["0", "1", "2"]) and not are_truths([])
    assert truth("Yes") == 1 and truth("0.0") == 0 and truth("maybe") is None
    assert is_date("1/2/2024") and not is_date("0.5")


@pytest.mark.parametrize(
    ("cells", "delimiter"),
    (
        (["a|b", "b", "a", "b|c", "c|a", "c"] * 4, "|"),
        (["a; b", "b", "a", "b;c", "c"] * 4, ";"),
        (["a, b", "b", "a", "b, c", "c"] * 4, None),  # a comma only if it is asked for
        (["a", "b"] * 9, None),
        ([f"remark {i}; and {i}" for i in range(20)], None),  # nothing recurs
        (["black|white", "red"] * 9, None),  # more kinds of pieces than of cells
        ([("a", "b"), "a|b"] * 9, None),
    ),
)
def test_a_delimiter_is_inferred_where_its_pieces_recur(cells, delimiter):
    assert delimiter_of(cells) == delimiter


def test_where_several_labels_are_known_of_any_delimiter_divides_them():
    assert any_delimiter(["x, y", "z"]) == "," and any_delimiter(["x", "z"]) is None
    assert any_delimiter(["Poe, E|Wu, F", "Wu, F", "Poe, E"] * 5) == "|"


def test_labels_are_a_set_without_empty_ones():
    assert labels_of(" b | a||a ", "|") == labels_of(("a", "b"), None) == {"a", "b"}
    assert labels_of("", "|") == frozenset() and labels_of("a b", None) == {"a b"}
