"""Tests of what a head start saved, from trials whose costs are known."""

import pytest

from headstart.errors import ArtifactError
from headstart.recipes import Recipe
from headstart.search.ledger import TrialRecord
from headstart.search.result import read_result, savings
from headstart.search.standing import Contender, Entry, Standing
from headstart.tasks.metrics import CLASSIFICATION


def trial(number, start, score, seconds, memory=None):
    recipe = Recipe(f"r{number}", "any", start, "probe", rank=number)
    record = TrialRecord(
        number, str(number), {"recipe": recipe.data()}, "done", score, seconds, {"memory": memory}
    )
    return Contender(Entry(recipe, "s" if start == "source" else None), record, None)


def saved(*contenders, metric="accuracy"):
    standing = Standing(CLASSIFICATION[metric], 100)
    for contender in contenders:
        standing.enter(contender)
    return savings([c.record for c in contenders], standing, embedding=2.0)


def test_the_first_trial_that_reaches_scratch_is_what_the_head_start_costs():
    found = saved(
        trial(1, "source", 0.6, 1.0),
        trial(2, "source", 0.8, 3.0, memory=2**20),
        trial(3, "small", 0.7, 50.0, memory=3 * 2**20),
        trial(4, "source", 0.9, 9.0),
    )
    assert found["transfer"] == {"trial": 2, "seconds": 5.0, "memory_mib": 1.0}
    assert found["scratch"] == {"trial": 3, "seconds": 50.0, "memory_mib": 3.0}
    assert (found["score"], found["times_sooner"]) == (0.7, 10.0)


def test_of_errors_less_is_reached():
    found = saved(trial(1, "source", 0.9, 1.0), trial(2, "small", 1.2, 6.0), metric="log_loss")
    assert found["transfer"]["trial"] == 1 and found["times_sooner"] == 2.0


@pytest.mark.parametrize("start", ("source", "small"))
def test_without_both_sides_nothing_is_saved(start):
    assert saved(trial(1, start, 0.5, 1.0)) is None


def test_a_score_that_was_not_reached_is_said():
    found = saved(trial(1, "source", 0.5, 1.0), trial(2, "small", 0.7, 6.0))
    assert found["transfer"] is None and found["times_sooner"] is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "holds no result.json"),
        ('{"schema": 1, "win', "is damaged"),
        ('{"schema": 99, "headstart": "9.0"}', "saved by headstart 9.0 in a newer form"),
    ],
)
def test_a_result_that_cannot_be_read_is_said(tmp_path, content, said):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(ArtifactError, match=said):
        read_result(tmp_path)
