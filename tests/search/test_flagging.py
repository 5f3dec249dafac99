"""Flagging within the budget: which rows are described, which are compared with, what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from headstart.evidence.novelty import describe
from headstart.models import Model, Response, Saved
from headstart.recipes import Recipe
from headstart.search import flagging as module
from headstart.search.flagging import DESCRIBING, HeldOut, cached, flagging_seconds, novelty_of
from headstart.search.listener import Listener
from headstart.search.standing import Contender, Entry
from headstart.training.learners import Rows

PROBE = Recipe("probe", "any", "source", "probe", rank=1)
TUNED = replace(PROBE, name="finetune", learner="tune")
WORDS = replace(PROBE, name="words", learner="words", start="small")


@dataclass
class Looking(Model):
    """A model that remembers which rows it looked at; refitted it sees them otherwise."""

    seed: int = 0
    looks: bool = True

    def __post_init__(self):
        self.seen: list[str] = []

    def respond(self, rows):
        self.seen.extend(rows.inputs)
        outputs = torch.zeros(len(rows), 2)
        return Response(outputs, self.placed(rows) if self.looks else None)

    def placed(self, rows):
        numbers = [int(text.split()[1]) for text in rows.inputs]
        made = [np.random.default_rng([self.seed, i]).normal(size=8) for i in numbers]
        return torch.tensor(np.array(made)).float()

    def saved(self):
        return Saved("looking", {}, {})


@pytest.fixture
def prepared(dataset_of):
    """Sixty training, thirty validation, forty test rows, numbered in this order."""

    def rows(numbers):
        data = dataset_of([f"row {i}" for i in numbers])
        return Rows(data, np.zeros(len(numbers)), np.arange(len(numbers)))

    bench = SimpleNamespace(train=rows(range(60)), validation=rows(range(60, 90)), seed=0)
    return SimpleNamespace(bench=bench, test=rows(range(90, 130)))


@pytest.fixture
def evaluated(prepared):
    """A model with the held-out rows that it has answered to."""
    model, held = Looking(), HeldOut()
    held.respond(model, prepared.bench.validation.data)
    held.respond(model, prepared.test.data)
    model.seen.clear()
    return model, held


def told(prepared, model, held, known=False, left=100.0, refitted=False):
    said = []
    listener = Listener()
    listener.say = said.append
    return novelty_of(model, known, prepared, held, left, refitted, listener), said


def numbers(texts):
    return {int(text.split()[1]) for text in texts}


def test_the_held_out_rows_are_not_answered_a_second_time(prepared, evaluated):
    model, held = evaluated
    found, said = told(prepared, model, held)
    assert numbers(model.seen) == set(range(60)) and said == []
    expected = describe(
        model.placed(prepared.bench.train.data),
        torch.cat([model.placed(r.data) for r in (prepared.bench.validation, prepared.test)]),
    )
    assert torch.equal(found.held, expected.held) and len(found.held) == 70


def test_after_a_refit_the_same_rows_are_described_and_compared_with(prepared, evaluated):
    _, held = evaluated
    again = Looking(seed=1)
    found, _ = told(prepared, again, held, refitted=True)
    assert numbers(again.seen) == set(range(130)) and len(found.held) == 70
    assert torch.equal(
        found.centre, describe(again.placed(prepared.bench.train.data), torch.ones(1, 8)).centre
    )


def test_no_more_rows_are_computed_than_the_bounds_say(prepared, evaluated, monkeypatch):
    monkeypatch.setattr(module, "REFERENCE", 20)
    monkeypatch.setattr(module, "HELD", 24)
    _, held = evaluated
    again = Looking(seed=1)
    found, _ = told(prepared, again, held, refitted=True)
    assert len(numbers(again.seen) & set(range(60))) == 20
    assert len(numbers(again.seen)) == 44 and len(found.held) == 24
    cached = Looking()
    told(prepared, cached, held, known=True)
    assert numbers(cached.seen) == set(range(60)), "computed already, under the whole's name"


def test_where_time_is_short_nothing_is_computed_and_that_is_said(prepared, evaluated):
    model, held = evaluated
    slow = replace(held, first=3.0, each=0.1)
    for refitted, seconds in ((False, 60 * 0.1), (True, 3 + 130 * 0.1)):
        needed = DESCRIBING + seconds
        found, said = told(prepared, model, slow, left=needed - 0.1, refitted=refitted)
        assert found is None and model.seen == []
        assert "no time to learn how to flag" in said[0] and f"forecast {needed:.0f} s" in said[0]
        assert told(prepared, model, slow, left=needed + 0.1, refitted=refitted)[0] is not None
        model.seen.clear()
    assert told(prepared, model, slow, True, left=0.0)[0] is not None


def test_a_model_that_looks_at_nothing_flags_nothing(prepared):
    model, held = Looking(looks=False), HeldOut()
    held.respond(model, prepared.test.data)
    assert told(prepared, model, held) == (None, [])


def test_seconds_are_kept_back_for_what_must_be_computed(prepared):
    assert flagging_seconds(PROBE, prepared, 10.0, 4.0) == DESCRIBING
    assert flagging_seconds(WORDS, prepared, 10.0, 4.0) == DESCRIBING
    assert flagging_seconds(TUNED, prepared, 10.0, 4.0) == DESCRIBING + 4 + (60 + 70) / 10
    assert flagging_seconds(TUNED, prepared, float("inf"), 4.0) == DESCRIBING + 4


def test_what_was_read_from_a_checkpoint_is_computed_again(prepared):
    contender = Contender(Entry(PROBE, "toy"), None, None)
    assert cached(contender)
    contender.restored = True
    assert not cached(contender)
    assert not cached(Contender(Entry(TUNED, "toy"), None, None))
