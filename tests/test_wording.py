"""Numbers as they are said."""

import pytest

from headstart.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    (
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (1200, ("row",), "1,200 rows"),
        (1, ("row is", "rows are"), "1 row is"),
        (2, ("row is", "rows are"), "2 rows are"),
    ),
)
def test_one_is_one_and_more_are_several(number, words, said):
    assert counted(number, *words) == said
