"""Numbers as they are said."""

import pytest

from headstart.wording import counted, spoken


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


def test_metrics_are_said_as_people_say_them():
    assert [spoken(name) for name in ("accuracy", "macro_f1", "log_loss", "rmse")] == [
        "accuracy",
        "macro F1",
        "log loss",
        "RMSE",
    ]
