"""What the budget reaches for, in made-up worlds where every cost is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.dataset import Column, Dataset
from headstart.models.network import WRITING
from headstart.recipes import Phase, Recipe
from headstart.search import reach as module
from headstart.search.budget import Clock
from headstart.search.reach import CLOSING, FEWEST_ROWS, Reach, affordable, subset
from headstart.search.standing import Entry
from headstart.search.trial import Bench
from headstart.tasks import tasks
from headstart.training.learners import Rows, learners


def dataset(rows: int, parts=None) -> Dataset:
    return Dataset(
        path="world",
        modality="text",
        inputs=tuple(f"row {i}" for i in range(rows)),
        names=tuple(f"row {i}" for i in range(rows)),
        digests=tuple(f"{i:064x}" for i in range(rows)),
        targets=(Column("label", tuple(str(i % 2) for i in range(rows))),),
        groups=None,
        parts=parts or (None,) * rows,
    )


@pytest.fixture
def reached(monkeypatch):
    """Return how many of `rows` are affordable, at so many seconds a row each."""

    def run(rows, budget, embedding, learning, output="pooled", rates=None, **how):
        class Small:
            def forecast(self, assignment):
                return learning * assignment.rows * max(1, assignment.carried_out.epochs)

        monkeypatch.setitem(learners._entries, "made-up", Small())
        task = replace(tasks.get("text-classification"), output=output)
        everything = Rows(dataset(rows), np.arange(rows) % 2, np.arange(rows))
        extractor = SimpleNamespace(
            backbone=SimpleNamespace(end=3, writer="a writer"),
            rates={} if rates is None else rates,
            forecast=lambda rows, _cut: embedding * len(rows),
            digest="toy",
        )
        bench = Bench(
            task=task,
            spec={"name": "label", "classes": ["0", "1"]},
            metric=task.metrics({})["accuracy"],
            train=everything,
            validation=everything,
            extractors={"toy": extractor},
            data="data",
            split="",
            seed=0,
        )
        small = Entry(Recipe("small", "text", "small", "made-up", 1, **how), None)
        return affordable([small], Clock(budget), bench)

    learners.names()  # discovered before the made-up one is added
    return run


def test_all_rows_are_used_where_there_is_time(reached):
    assert reached(1000, budget=60, embedding=0.003, learning=0.01) == 1000


def test_embedding_takes_no_more_than_its_share(reached):
    assert reached(10_000, budget=100, embedding=0.01, learning=0.0) == pytest.approx(
        3000, rel=0.01
    )


@pytest.mark.parametrize("budget", [10, 20, 60])
def test_what_is_used_leaves_time_to_learn_from_scratch(reached, budget):
    rows = reached(20_000, budget, embedding=0.002, learning=0.05)
    needed = 0.002 * rows + 0.05 * rows / 2
    assert 0.5 * (budget - CLOSING) < needed < budget - CLOSING


def test_fewer_epochs_are_taken_rather_than_fewer_rows(reached):
    epochs = {"phases": (Phase(epochs=40, rate=0.1),)}
    seconds = (
        0.9 * (60 - CLOSING) / (500 * 40)
    )  # a row and epoch, of 1,000 of which half are learnt
    assert reached(1000, 60, 0.0, seconds, **epochs) < 1000
    assert reached(1000, 60, 0.0, seconds, shortest=12, **epochs) == 1000
    assert reached(1000, 60, 0.0, 4 * seconds, shortest=12, **epochs) < 1000


def test_no_row_is_given_up_for_a_small_model_that_there_is_no_time_for(reached):
    few = 0.8 * (20 - CLOSING) / (0.5 * FEWEST_ROWS)  # seconds a row, of which half are learnt from
    assert reached(500, budget=20, embedding=0.001, learning=few) < 2 * FEWEST_ROWS
    assert reached(500, budget=20, embedding=0.001, learning=2 * few) == 500


def test_what_is_held_out_must_be_written_in_time(reached):
    """Two tenths are written by each recipe, three tenths in the end by two models, with room."""
    rows = reached(1000, 100, 0.0, 0.0, output="text", rates={WRITING: 2.0})
    assert rows == pytest.approx(0.5 * 100 * 2.0 / (0.2 + 3 * 0.3), abs=1)
    assert reached(1000, 100, 0.0, 0.0, output="text", rates={WRITING: 50.0}) == 1000


def test_how_fast_is_written_is_tried_where_it_matters(reached, monkeypatch):
    tried = []

    def as_it_is(extractor, some, *_given):
        def respond(rows):
            tried.append(len(rows))
            extractor.rates[WRITING] = 50.0

        return SimpleNamespace(respond=respond)

    monkeypatch.setattr(module, "as_it_is", as_it_is)
    assert reached(1000, 100, 0.0, 0.0, output="text") == 1000
    assert tried == [16]
    assert reached(1000, 1000, 0.0, 0.0, output="text") == 1000
    assert tried == [16], "it is soon enough in any case"


def test_even_without_time_a_few_rows_are_used(reached):
    assert reached(1000, budget=1, embedding=1, learning=1) == FEWEST_ROWS
    assert reached(30, budget=1, embedding=1, learning=1) == 30


@given(st.data())
def test_a_subset_keeps_the_share_of_every_class_in_every_part(data):
    rows = data.draw(st.integers(10, 200))
    parts = tuple(data.draw(st.sampled_from(["train", "test"])) for _ in range(rows))
    classes = np.array(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    size = data.draw(st.integers(1, rows))
    found = subset(dataset(rows, parts), classes, size, seed=0).tolist()
    assert sorted(found) == list(range(rows)) and found[:size] == sorted(found[:size])
    whole = Counter(zip(parts, classes.tolist(), strict=True))
    for taken in (size, (size + rows) // 2):  # rows that are left out join in the same shares
        kept = Counter((parts[i], int(classes[i])) for i in found[:taken])
        for kind, count in whole.items():
            assert abs(kept[kind] - count * taken / rows) < 2


def test_a_subset_depends_on_the_content_and_not_on_the_order():
    rows = dataset(100)
    classes = np.arange(100) % 3
    order = np.random.default_rng(1).permutation(100)
    ours = subset(rows, classes, 40, seed=0)[:40]
    theirs = subset(rows.take(order.tolist()), classes[order], 40, seed=0)[:40]
    assert {rows.names[i] for i in ours} == {rows.names[i] for i in order[theirs]}


def test_a_resumed_run_reaches_exactly_as_far():
    first = Reach()
    assert first.enough(until=0.0)("a.csv", 640)
    first.rows = 500
    again = Reach(**vars(first)).enough(until=float("inf"))
    assert [again("a.csv", looked) for looked in (576, 640)] == [False, True]
    assert not again("b.csv", 10_000)
