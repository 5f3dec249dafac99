"""Joining models: only where together they are right more often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import headstart as hs
from headstart.data.splits import units
from headstart.models import Model
from headstart.models.fused import Fused
from headstart.recipes import Recipe
from headstart.search import run as runs
from headstart.search.joining import Joined, joined, recipe_of
from headstart.search.ledger import TrialRecord
from headstart.search.standing import Contender, Entry, Standing
from headstart.search.trial import Bench
from headstart.tasks import tasks
from headstart.training.learners import Rows

ROWS = 60
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


class Says(Model):
    """Answers what it was told to."""

    def __init__(self, outputs):
        self.answer = outputs

    def outputs(self, rows):
        return self.answer


@pytest.fixture
def bench(dataset_of):
    task = tasks.get("text-classification")
    data = dataset_of([f"text {i}" for i in range(ROWS)], [str(i % 2) for i in range(ROWS)])
    spec = {"name": "label", "classes": ["0", "1"]}
    rows = Rows(data, np.arange(ROWS) % 2, units(data))
    return Bench(task, spec, task.metrics(spec)["accuracy"], rows, rows, {}, "d", "s", 0)


def saying(bench, number, wrong, sure=2.0, start="source"):
    """Return a contender that is right except for some rows."""
    truth = torch.from_numpy(bench.validation.targets)
    said = torch.where(torch.isin(torch.arange(ROWS), torch.tensor(wrong)), 1 - truth, truth)
    outputs = sure * torch.nn.functional.one_hot(said, 2).float()
    score = 1 - len(wrong) / ROWS
    loss = float(bench.task.loss(outputs, truth, bench.spec))
    record = TrialRecord(number, str(number), {}, "done", score, 1.0, {"loss": loss, "cut": "x"})
    recipe = Recipe(f"r{number}", "text", start, "tune", 30, stages=2)
    return Contender(Entry(recipe, "toy"), record, Says(outputs))


def together(bench, *contenders):
    return joined(bench, contenders, lambda contender: contender.model)


def test_models_that_err_on_different_rows_are_joined(bench):
    three = [saying(bench, n, list(range(10 * n, 10 * n + 8))) for n in range(3)]
    found = together(bench, *three)
    assert found.members == tuple(three)
    assert found.score == 1.0
    expected = torch.stack([one.model.answer for one in three]).mean(0)
    torch.testing.assert_close(
        torch.stack([m.outputs(None) for m in found.model.models]).mean(0), expected
    )


def test_a_model_that_says_the_same_brings_nothing(bench):
    same = [saying(bench, n, [1, 2, 3]) for n in range(2)]
    assert together(bench, *same) is None


def test_a_worse_one_is_left_out(bench):
    good = [saying(bench, n, list(range(10 * n, 10 * n + 8))) for n in range(3)]
    bad = saying(bench, 4, list(range(45)), sure=9.0)
    assert together(bench, good[0], bad) is None
    assert together(bench, good[0], bad, *good[1:]).members == tuple(good)


def test_one_alone_is_not_joined(bench):
    assert together(bench, saying(bench, 0, [1])) is None


def test_a_lesser_loss_decides_where_the_score_is_that_of_one_row_less(bench):
    """The second is right where the first is, but for one row, and surer of it."""
    truth = torch.from_numpy(bench.validation.targets)
    first, second = saying(bench, 0, [1, 2, 3], sure=0.5), saying(bench, 1, [1, 2, 3, 4], sure=2.0)
    found = together(bench, first, second)
    assert found.members == (first, second)
    assert found.score < first.record.score
    assert found.loss < float(bench.task.loss(first.model.answer, truth, bench.spec))


def test_the_best_few_of_each_side_are_kept(bench):
    standing = Standing(bench.metric, len(bench.validation.data), most=2)
    entered = [saying(bench, n, list(range(wrong))) for n, wrong in enumerate((9, 3, 6, 12))]
    leads = [standing.enter(contender) for contender in entered]
    assert leads == [True, True, True, False]
    assert standing.top == standing.best(True) == [entered[1], entered[2]]
    scratch = [
        saying(bench, 4 + n, list(range(wrong)), start="small") for n, wrong in enumerate((7, 5))
    ]
    assert all(standing.enter(contender) for contender in scratch)
    assert standing.best(False) == scratch[::-1] and standing.best(True) == [entered[1], entered[2]]
    assert set(standing.kept()) == {entered[1], entered[2], *scratch}
    assert standing.leaders() == [entered[1], scratch[1]]


def test_what_is_joined_leads_its_side(bench):
    """Its loss is less, if it has some rows less right."""
    standing = Standing(bench.metric, len(bench.validation.data), most=2)
    best, other = saying(bench, 0, [1, 2, 3]), saying(bench, 1, [1, 2, 4])
    standing.enter(best)
    standing.enter(other)
    both = saying(bench, 2, [1, 2, 3, 4, 5])
    both.record.details["loss"] = best.loss - 0.01
    both.entry, both.members = Entry(recipe_of("text", True), "toy"), (best, other)
    standing.enter(both)
    assert standing.transfer is both and both.alone is best
    assert standing.best(True) == [best, other], "joined ones are not joined again"


def test_the_recipe_says_its_side():
    assert recipe_of("text", True).has_head_start and recipe_of("text", True).stages is None
    assert not recipe_of("text", False).has_head_start


def test_a_run_hands_back_what_answers_together(tmp_path, monkeypatch):
    """Whatever validation says, so that the way to the saved model is seen."""

    def the_first_two(bench, contenders, model_of):
        model = Fused([model_of(contender) for contender in contenders[:2]])
        return Joined(tuple(contenders[:2]), model, 1.0, -1.0)

    monkeypatch.setattr(runs, "joined", the_first_two)
    data = tmp_path / "news.csv"
    words = {"sport": "goal match team league", "money": "shares profit bank market"}
    lines = ["text,topic"]
    random = np.random.default_rng(0)
    for i in range(120):
        topic = ("sport", "money")[i % 2]
        said = " ".join(random.choice(words[topic].split(), 4).tolist())
        lines.append(f"{said} number {i},{topic}")
    data.write_text("\n".join(lines))
    study = hs.fit(data, label="topic", recipe=["probe", "finetune"], quality="best",
                   budget="60m", max_trials=4, out=tmp_path / "run")  # fmt: skip
    winner = study.result["winner"]
    assert winner["recipe"] == "ensemble" and len(winner["members"]) == 2 and winner["refitted"]
    assert study.result["trials"] <= 4, "what is joined is no trial"
    assert study.model.predict(["the team scored a goal"]) == ["sport"]
    assert "models that answer together" in str(study)
