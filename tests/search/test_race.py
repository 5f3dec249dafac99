"""The race, in made-up worlds where costs and scores are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from headstart.data.dataset import Column, Dataset
from headstart.models.constant import Constant
from headstart.recipes import Phase, Recipe
from headstart.search import trial as trials
from headstart.search.budget import Clock
from headstart.search.ledger import Ledger, TrialRecord
from headstart.search.listener import Listener
from headstart.search.race import Race
from headstart.search.standing import Contender, Entry, Standing
from headstart.search.trial import Bench
from headstart.tasks import Metric, tasks
from headstart.tasks.metrics import CLASSIFICATION
from headstart.training.checkpoint import Checkpoint
from headstart.training.descent import Diverged
from headstart.training.learners import Fitted, Rows, learners
from headstart.training.loop import Epoch

ROWS = 20


@dataclass
class World:
    """A learner whose cost is its recipe's `batch` in seconds, and accuracy its `decay`."""

    clock: Clock
    begun: list[str] = field(default_factory=list)
    settled: list[dict] = field(default_factory=list)

    def settle(self, assignment):
        self.clock.before += 0.5
        return {"numerics": "f32", "views": assignment.recipe.views}

    def refused(self, assignment):
        return "it has no stages" if assignment.recipe.name == "unfit" else ""

    def forecast(self, assignment):
        recipe = assignment.recipe
        share = assignment.carried_out.epochs / recipe.epochs if recipe.epochs else 1
        return recipe.batch * share + 10.0 * assignment.settled["views"]

    def fit(self, assignment):
        recipe = assignment.recipe
        self.begun.append(recipe.name)
        self.settled.append(assignment.settled)
        self.clock.before += recipe.batch
        if recipe.decay < 0:
            raise Diverged("the loss was nan in epoch 1")
        if recipe.decay == 0:
            raise RuntimeError("not enough memory\nand where it was asked for")
        return Fitted(Known(recipe.decay), {"epochs": 1}, "end")


class Known(Constant):
    """Answers a known share of the rows correctly."""

    def __init__(self, accuracy):
        super().__init__(torch.zeros(2))
        self.accuracy = accuracy

    def outputs(self, rows):
        right = torch.arange(len(rows)) < round(self.accuracy * len(rows))
        truth = torch.tensor([int(v) for v in rows.targets[0].values])
        predicted = torch.where(right, truth, 1 - truth)
        return torch.nn.functional.one_hot(predicted, 2).float()


def rows() -> Rows:
    targets = np.arange(ROWS) % 2
    data = Dataset(
        path="world",
        modality="text",
        inputs=tuple(f"row {i}" for i in range(ROWS)),
        names=tuple(f"row {i}" for i in range(ROWS)),
        digests=tuple(f"{i:064x}" for i in range(ROWS)),
        targets=(Column("label", tuple(map(str, targets.tolist()))),),
        groups=None,
        parts=(None,) * ROWS,
    )
    return Rows(data, targets, np.arange(ROWS))


def recipe(name, seconds, accuracy, start="source", stages=0, views=0):
    return Recipe(
        name, "text", start, "world", 1, stages, views=views, batch=seconds, decay=accuracy
    )


class Stages:
    end = 10
    writer = None
    model = torch.nn.Linear(1, 1)

    def cut_before_last(self, stages):
        return self.end - stages


class Extracting:
    digest = "source"
    backbone = Stages()

    def to_tune(self):
        return self


@pytest.fixture
def race(tmp_path, monkeypatch):
    """Return what runs a race over recipes and answers (world, standing, ledger)."""

    def run(
        recipes,
        budget=100.0,
        refitting=0.0,
        most=None,
        ledger=None,
        kind=World,
        varying=False,
        checkpoint=lambda _key: None,
    ):
        clock = Clock(budget)
        world = kind(clock)
        for name in ("world", "tune"):
            monkeypatch.setitem(learners._entries, name, world)
        ledger = ledger or Ledger(tmp_path / "ledger.db")
        task = tasks.get("text-classification")
        spec = {"name": "label", "classes": ["0", "1"]}
        metric = task.metrics(spec)["accuracy"]
        both = (rows(), rows())
        bench = Bench(task, spec, metric, *both, {"toy": Extracting()}, "data", "split", 0)
        standing = Standing(metric, len(both[1].data))
        entries = [Entry(r, "toy" if r.start != "small" else None) for r in recipes]
        kept = []
        Race(
            bench,
            clock,
            ledger,
            standing,
            Listener(),
            lambda _recipe: 5.0,
            1.0,
            refitting,
            kept.append,
            lambda: None,
            most,
            checkpoint=checkpoint,
            varying=varying,
        ).run(entries)
        return world, standing, ledger

    learners.names()  # discovered before the made-up one is added
    return run


def test_the_best_by_validation_wins_whichever_side_it_is_on(race):
    better = [recipe("a", 1, 0.7), recipe("b", 1, 0.9), recipe("s", 1, 0.8, "small")]
    _, standing, _ = race(better)
    assert standing.winner.entry.recipe.name == "b"
    assert standing.scratch.entry.recipe.name == "s"


def test_scratch_wins_where_it_is_better(race):
    _, standing, _ = race([recipe("a", 1, 0.7), recipe("s", 1, 0.8, "small")])
    assert standing.winner.entry.recipe.name == "s"


def test_of_equals_the_one_with_a_head_start_wins(race):
    _, standing, _ = race([recipe("s", 1, 0.8, "small"), recipe("a", 1, 0.8)])
    assert standing.winner.entry.recipe.name == "a"


@pytest.mark.parametrize(
    ("first", "second", "leads"),
    (
        ((0.9, 0.5), (0.9, 0.3), "second"),
        ((0.9, 0.3), (0.9, 0.5), "first"),
        ((0.9, 0.5), (0.8, 0.1), "first"),
        ((0.9, 0.5), (0.9, None), "first"),
        ((0.9, 0.5), (0.9, 0.5), "first"),
    ),
)
def test_of_one_score_the_one_of_less_loss_leads(first, second, leads):
    standing = Standing(CLASSIFICATION["accuracy"], ROWS)
    for name, (score, loss) in (("first", first), ("second", second)):
        record = TrialRecord(1, name, {}, "done", score, 1.0, {"loss": loss})
        standing.enter(Contender(Entry(recipe(name, 1, score), "toy"), record, None))
    assert standing.winner.entry.recipe.name == leads


def test_what_does_not_fit_is_left_out_and_named_but_cheaper_goes_on(race):
    world, standing, ledger = race(
        [recipe("a", 10, 0.7), recipe("dear", 90, 0.99), recipe("cheap", 20, 0.8)]
    )
    assert world.begun == ["a", "cheap"]
    assert standing.skipped == ["dear of toy"]
    assert ledger.events("left out")[0]["forecast"] == 90


def test_deeper_recipes_are_not_even_measured_once_a_shallower_one_is_too_dear(race):
    recipes = [recipe("one", 99, 0.9, stages=1), recipe("two", 1, 0.9, stages=2)]
    world, standing, _ = race(recipes)
    assert world.begun == [] and len(standing.skipped) == 2


def test_time_for_the_refit_is_kept_back(race):
    assert race([recipe("a", 40, 0.9)], refitting=0.0)[0].begun == ["a"]


def test_what_its_learner_refuses_is_left_out_with_the_reason(race):
    recipes = [recipe("probe", 1, 0.5), recipe("unfit", 1, 0.9, stages=2)]
    world, standing, _ = race(recipes)
    assert world.begun == ["probe"]
    assert standing.skipped == ["unfit, last 2 stages of toy"]


def test_a_trial_whose_refit_would_not_fit_is_left_out(race):
    recipes = [recipe("probe", 1, 0.5), recipe("a", 40, 0.9)]
    assert race(recipes, refitting=2.0)[0].begun == ["probe"]


@pytest.mark.parametrize(("most_seen", "begun"), ((0, False), (10 * ROWS, True)))
def test_a_refit_that_sees_as_many_rows_takes_as_long(race, most_seen, begun):
    """Of 100 seconds 5 are kept back; on three times the rows it may have a third of the epochs."""
    seen = {"most_seen": most_seen, "fewest_epochs": 1}
    dear = replace(recipe("a", 46, 0.9, stages=2), phases=(Phase(10, 0.1),), **seen)
    world, _, _ = race([recipe("probe", 0, 0.5), dear], refitting=3.0)
    assert ("a" in world.begun) == begun


@pytest.mark.parametrize(("seconds", "begun"), ((31, True), (40, True), (46, True), (48, False)))
def test_where_time_is_short_a_refit_in_half_its_epochs_is_kept_back(race, seconds, begun):
    """Of 100 seconds 5 are kept back, and measuring takes half a second twice."""
    dear = replace(recipe("a", seconds, 0.9, stages=2), phases=(Phase(10, 0.1),))
    world, standing, _ = race([recipe("probe", 0, 0.5), dear], refitting=2.0)
    assert ("a" in world.begun) == begun and bool(standing.skipped) != begun
    assert not begun or world.settled[1] == {"numerics": "f32", "views": 0}, "the trial has all"


@pytest.mark.parametrize(("seconds", "begun"), ((1.5, "probe"), (2.5, "probe"), (4, "a")))
def test_a_first_model_comes_before_what_is_said_of_it(race, seconds, begun):
    """Of 6 seconds 5 would be kept back for that, and 1 for saving."""
    recipes = [recipe("probe", seconds, 0.5), recipe("a", 0.5, 0.9)]
    world, standing, _ = race(recipes, budget=6.0, refitting=2.0)
    assert world.begun == [begun] and standing.winner.entry.recipe.name == begun


@pytest.mark.parametrize(
    ("seconds", "shortest", "passes"), ((90, 3, None), (150, 3, 6), (300, 3, 3), (300, 0, None))
)
def test_a_trial_has_as_many_epochs_as_there_is_time_for(race, seconds, shortest, passes):
    """Of 100 seconds 5 are kept back; ten epochs take `seconds`."""
    dear = replace(recipe("a", seconds, 0.9, stages=2), phases=(Phase(10, 0.1),), shortest=shortest)
    world, standing, _ = race([dear])
    if seconds > 95 and not passes:
        assert world.settled == [] and standing.skipped
        return
    [settled] = world.settled
    assert settled.get("passes") == passes and not standing.skipped


@pytest.mark.parametrize(
    ("seconds", "refitting", "views"), ((40, 0.0, 4), (60, 0.0, 3), (90, 0.0, 0), (40, 1.0, 0))
)
def test_a_trial_has_as_many_views_as_can_be_paid_for(race, seconds, refitting, views):
    """Of 100 seconds 5 are kept back; a view takes 10, and measuring half a second."""
    dear = recipe("a", seconds, 0.9, stages=2, views=4)
    world, standing, ledger = race([recipe("probe", 0, 0.5), dear], refitting=refitting)
    assert world.settled[1:] == [{"numerics": "f32", "views": views}] and not standing.skipped
    _, record = ledger.trials()
    assert record.spec["machine"]["views"] == views
    assert record.spec["machine"]["numerics"] == "f32"
    assert record.spec["recipe"]["views"] == 4


def test_views_are_given_up_before_epochs(race):
    dear = recipe("a", 150, 0.9, stages=2, views=4)
    dear = replace(dear, phases=(Phase(10, 0.1),), shortest=3)
    world, _, _ = race([recipe("probe", 0, 0.5), dear])
    assert world.settled[1] == {"numerics": "f32", "views": 0, "passes": 6}


def test_a_trial_that_does_not_fit_without_views_is_left_out(race):
    world, standing, ledger = race([recipe("a", 96, 0.9, stages=2, views=4)])
    assert world.begun == [] and standing.skipped == ["a, last 2 stages of toy"]
    assert ledger.events("left out")[0]["forecast"] == 96


def test_a_resumed_run_knows_a_trial_that_had_fewer_views(race):
    dear = [recipe("a", 60, 0.9, stages=2, views=4)]
    _, _, ledger = race(dear)
    assert race(dear, ledger=ledger, budget=1000.0)[0].begun == []


class Broken(World):
    """Its first step fails on this machine, and that of no other recipe."""

    def settle(self, assignment):
        if assignment.recipe.name == "odd":
            raise RuntimeError("no kernel for it\nin these numbers")
        return super().settle(assignment)


def test_what_cannot_be_settled_is_left_out_and_the_race_goes_on(race):
    recipes = [recipe("odd", 1, 0.9, stages=2), recipe("a", 1, 0.7)]
    world, standing, _ = race(recipes, kind=Broken)
    assert world.begun == ["a"]
    assert standing.skipped == ["odd, last 2 stages of toy"]


def test_a_trial_that_was_cut_off_begins_again_with_what_was_settled(race, tmp_path, monkeypatch):
    dear, ledger = [recipe("a", 60, 0.9, stages=2, views=4)], Ledger(tmp_path / "ledger.db")

    def killed(_self, assignment):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(World, "fit", killed)
        race(dear, ledger=ledger)
    world, _, _ = race(dear, ledger=ledger, budget=1000.0)
    assert world.settled == [{"numerics": "f32", "views": 3}]
    assert world.clock.before == 60, "nothing was measured again"


def test_a_trial_whose_epochs_are_kept_goes_on_as_it_began(race, tmp_path, monkeypatch):
    ledger, kept = Ledger(tmp_path / "ledger.db"), Checkpoint(tmp_path / "kept.safetensors")
    dear = [replace(recipe("a", 60, 0.9, stages=2), phases=(Phase(10, 1e-3),), shortest=2)]

    def killed(_self, assignment):
        kept.write({"none": torch.zeros(1)}, {"epochs": 8.0, "seconds": 48.0})
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(World, "fit", killed)
        race(dear, ledger=ledger, checkpoint=lambda _key: kept)
    world, _, _ = race(dear, ledger=ledger, budget=16.0, checkpoint=lambda _key: kept)
    assert world.begun == [], "two tenths of sixty seconds, and five to close"
    world, _, _ = race(dear, ledger=ledger, budget=18.0, checkpoint=lambda _key: kept)
    assert world.settled == [{"numerics": "f32", "views": 0}]
    [trial] = ledger.trials()
    assert 48.0 <= trial.seconds < 50.0, "those of both sessions"
    assert kept.facts() == {}


def test_the_time_that_is_used_is_noted_on_the_way(race, tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.db")

    def fit(world, assignment):
        for epoch in range(4):
            world.clock.before += 3.0
            assignment.watch(Epoch(epoch, 1.0, 0.5, 1.0, 8))
        raise KeyboardInterrupt

    monkeypatch.setattr(World, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        race([recipe("a", 60, 0.9)], ledger=ledger)
    assert 12.0 < ledger.fact("seconds") < 14.0


def test_a_score_that_is_no_number_ends_the_trial(race, monkeypatch):
    monkeypatch.setattr(Metric, "score", lambda *_: float("nan"))
    _, standing, ledger = race([recipe("a", 1, 0.7)])
    assert ledger.trials()[0].details["reason"] == "its accuracy is nan"
    assert standing.winner is None


def test_a_failed_trial_is_recorded_and_the_race_goes_on(race):
    world, standing, ledger = race([recipe("nan", 1, -1.0), recipe("a", 1, 0.7)])
    assert world.begun == ["nan", "a"]
    assert [t.status for t in ledger.trials()] == ["failed", "done"]
    assert "nan" in ledger.trials()[0].details["reason"]
    assert standing.winner.entry.recipe.name == "a"


def test_whatever_goes_wrong_in_a_trial_ends_that_trial_alone(race):
    world, _, ledger = race([recipe("greedy", 1, 0), recipe("a", 1, 0.7)])
    assert world.begun == ["greedy", "a"]
    assert ledger.trials()[0].details == {"reason": "RuntimeError: not enough memory"}


def test_no_more_than_the_most_trials(race):
    world, _, _ = race([recipe(name, 1, 0.7) for name in "abcd"], most=2)
    assert world.begun == ["a", "b"]


def test_trials_in_the_ledger_are_not_run_again(race):
    recipes = [recipe(name, 1, 0.7) for name in "abcd"]
    _, _, ledger = race(recipes, most=2)
    world, _, _ = race(recipes, ledger=ledger)
    assert world.begun == ["c", "d"]
    assert [t.id for t in ledger.trials()] == [1, 2, 3, 4]


def test_the_same_architecture_enters_only_within_a_quarter_of_the_budget(race):
    late = [recipe("same", 30, 0.9, "random", stages=None)]
    assert race(late)[0].begun == []


def test_a_specification_names_all_that_a_score_depends_on():
    task = tasks.get("text-classification")
    spec = {"name": "label", "classes": ["0", "1"]}
    make = lambda data, seed: Bench(  # noqa: E731
        task, spec, task.metrics(spec)["accuracy"], rows(), rows(), {}, data, "split", seed
    )
    keys = {
        trials.specify(make(data, seed), recipe("a", 1, accuracy, "small"), None).key
        for data in ("x", "y")
        for seed in (0, 1)
        for accuracy in (0.1, 0.2)
    }
    assert len(keys) == 8


def test_the_machine_is_told_but_does_not_name_the_trial():
    task = tasks.get("text-classification")
    spec = {"name": "label", "classes": ["0", "1"]}
    metric = task.metrics(spec)["accuracy"]
    bench = Bench(task, spec, metric, rows(), rows(), {}, "data", "split", 0)
    small = recipe("a", 1, 0.5, "small")
    plain, settled = (
        trials.specify(bench, small, None, found) for found in (None, {"precision": "f32"})
    )
    assert plain.key == settled.key
    assert settled.machine["precision"] == "f32" and settled.machine["threads"] >= 1


class Climbing(World):
    """A learner whose accuracy is best where the learning rate is twice what the recipe says."""

    def fit(self, assignment):
        recipe = assignment.recipe
        self.begun.append(recipe)
        self.clock.before += recipe.batch
        away = abs(np.log2(recipe.phases[-1].rate / 2e-3)) if recipe.phases else 9.0
        for number in range(1, 4):
            assignment.watch(Epoch(number, 1.0, 0.9 - 0.1 * away, 0.5, 32))
        history = ({"loss": 1.0, "score": 0.9 - 0.1 * away, "validation_loss": 0.5},) * 3
        accuracy = max(0.2, 0.9 - 0.1 * away)
        return Fitted(Known(accuracy), {"epochs": 1}, "end", history=history)


@pytest.fixture
def climbing(race):
    """A function that runs a race that varies its best recipe, and answers as `race` does."""
    probe, tuned = recipe("probe", 1, 0.0), recipe("finetune", 5, 0.0, stages=2)
    base = replace(tuned, learner="tune", phases=(Phase(3, 1e-3),), decay=0.01)

    def run(budget, ledger):
        return race([probe, base], budget, ledger=ledger, kind=Climbing, varying=True)

    return run


def test_where_time_is_left_the_best_recipe_is_varied(climbing):
    world, standing, ledger = climbing(90.0, None)
    tuned = [one for one in world.begun if one.phases]
    assert [one.draw for one in tuned] == list(range(len(tuned))), "each is another draw of chance"
    rates = [one.phases[-1].rate for one in tuned]
    assert rates[:2] == [1e-3, 1e-3] and len(set(rates)) == len(rates) - 1 > 8
    scores = [record.score for record in ledger.trials() if record.score is not None]
    assert standing.transfer.record.score == max(scores) > scores[1], "better than as it is"
    best = standing.transfer.entry.recipe.phases[-1].rate
    assert abs(np.log2(best / 2e-3)) < 1, "nearer to the summit"
    statuses = [(record.status, record.details.get("reason", "")) for record in ledger.trials()]
    assert any("behind the others" in reason for status, reason in statuses if status == "failed")


def test_both_sides_are_varied_in_turn(race):
    tuned = replace(recipe("finetune", 1, 0.0, stages=2), learner="tune")
    small = recipe("small", 1, 0.0, "small")
    recipes = [replace(r, phases=(Phase(3, 1e-3),), decay=0.01) for r in (tuned, small)]
    world, _, _ = race(recipes, 60.0, kind=Climbing, varying=True, most=8)
    assert [one.name for one in world.begun][2:] == ["finetune", "small"] * 3


def test_a_resumed_race_varies_on_from_where_it_was(climbing, tmp_path):
    once, _, whole = climbing(90.0, None)
    first, _, ledger = climbing(45.0, Ledger(tmp_path / "again.db"))
    second, _, _ = climbing(90.0, ledger)
    asked = [*first.begun, *second.begun]
    assert asked[: len(once.begun)] == once.begun
    scores = [record.score for record in ledger.trials()]
    assert scores[: len(whole.trials())] == [record.score for record in whole.trials()]


def test_a_model_that_saw_no_whole_epoch_is_none(race, monkeypatch):
    def fit(_world, assignment):
        return Fitted(Known(0.9), {}, "end", cut_short=True)

    monkeypatch.setattr(World, "fit", fit)
    _, standing, ledger = race([recipe("a", 1, 0.7, "small")])
    assert "the deadline came in its first epoch" in ledger.trials()[0].details["reason"]
    assert standing.scratch is None
