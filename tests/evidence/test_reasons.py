"""Tests of what may be the reason that a head start did not help."""

import numpy as np

from headstart.evidence.learning_curve import LearningCurve
from headstart.evidence.reasons import likely_reasons
from headstart.evidence.similarity import Similarity


def curve(*scores, greater=True):
    rows = tuple(50 * 2**i for i in range(len(scores)))
    return LearningCurve("m", greater, rows, scores, (0.01,) * len(scores), np.ones((1, 3)))


def said(like=None, scratch=0.6, trivial=0.5, greater=True):
    return likely_reasons(like, scratch, trivial, greater, {})


def test_without_a_reason_none_is_given():
    assert said() == []
    assert said(Similarity(None, "it keeps nothing")) == []
    assert said(Similarity(0.8, "by statistics")) == []


def test_rows_far_from_the_source_are_a_reason():
    [reason] = said(Similarity(0.1, "by statistics"))
    assert reason == (
        "the rows are far from what the source learnt from (0.10: unlike what it was trained on)"
    )


def test_a_simple_task_leaves_nothing_to_gain():
    assert said(scratch=0.96, trivial=0.5) == [
        "the task is simple: from scratch, 92% of the errors of the trivial answer are avoided"
    ]
    assert said(scratch=0.2, trivial=4.0, greater=False)[0].startswith("the task is simple: from")
    assert said(scratch=0.9, trivial=0.5) == [] == said(scratch=1.0, trivial=1.0)


def test_labels_are_enough_where_scratch_has_caught_up():
    ahead, behind = curve(0.7, 0.75, 0.8, 0.82), curve(0.5, 0.7, 0.81, 0.85)
    [reason] = likely_reasons(None, 0.6, 0.5, True, {"transfer": ahead, "scratch": behind})
    assert reason == (
        "there are enough labels: a head start is ahead with few of them, and no longer with 200"
    )
    for both in ({"transfer": behind, "scratch": ahead}, {"transfer": ahead}):
        assert likely_reasons(None, 0.6, 0.5, True, both) == []
    errors = {"transfer": curve(2.0, 1.9, 1.8, greater=False),
              "scratch": curve(3.0, 2.0, 1.7, greater=False)}  # fmt: skip
    assert "no longer with 200" in likely_reasons(None, 2.0, 4.0, False, errors)[0]
