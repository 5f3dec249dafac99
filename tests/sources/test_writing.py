"""The search for the most probable text, on distributions that are known."""

from __future__ import annotations

import math

import pytest
import torch

from headstart.sources.writing import NEVER, circles, search, without_circles

END = 3


class Chances:
    """What comes next, by all that was written; memory is reordered as told."""

    def __init__(self, hypotheses: int, table: dict[tuple[int, ...], dict[int, float]]) -> None:
        self.past = [()] * hypotheses
        self.table = table
        self.steps = 0

    def step(self, new: torch.Tensor) -> torch.Tensor:
        if self.steps:
            self.past = [(*p, *n) for p, n in zip(self.past, new.tolist(), strict=True)]
        self.steps += 1
        logs = torch.full((len(self.past), END + 1), NEVER)
        for i, past in enumerate(self.past):
            for token, chance in self.table.get(past, {END: 1.0}).items():
                logs[i, token] = math.log(chance)
        return logs

    def reorder(self, index: torch.Tensor) -> None:
        self.past = [self.past[i] for i in index.tolist()]


GARDEN = {(): {0: 0.6, 1: 0.4}, (0,): {0: 0.55, 1: 0.45}, (1,): {2: 1.0}, (1, 2): {END: 1.0}}
"""What begins best ends worse."""


def found(table, rows=1, beams=1, most=9):
    chances = Chances(rows * beams, table)
    prompt = torch.zeros(rows * beams, 1, dtype=torch.int64)
    texts = search(chances.step, chances.reorder, prompt, END, torch.full((rows,), most), beams)
    return texts, chances.steps


def test_greedily_the_next_token_is_taken_and_with_beams_the_best_text():
    assert found(GARDEN)[0] == [[0, 0]]
    assert found(GARDEN, beams=2)[0] == [[1, 2]]
    assert found(GARDEN, rows=3, beams=4)[0] == [[1, 2]] * 3


def test_a_text_is_never_empty():
    assert found({(): {END: 0.9, 2: 0.1}})[0] == [[2]]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_without_end_is_ended(beams):
    endless = {(0, 1) * (i // 2) + (0,) * (i % 2): {i % 2: 1.0} for i in range(99)}
    texts, steps = found(endless, beams=beams, most=50)
    assert texts == [[0, 1]] and steps <= 18
    assert len(found({(): {0: 1.0}, (0,): {1: 1.0}, (0, 1): {2: 1.0}}, most=2)[0][0]) == 2


def test_stretches_that_stand_there_again_and_again_stand_there_once():
    verse = [1, 2, 3, 4]
    assert circles([5, *verse * 4]) and not circles([5, *verse * 3])
    assert without_circles([5, *verse * 4]) == [5, *verse]
    assert without_circles([7, 7, 7]) == [7, 7, 7]


def test_what_is_said_some_times_is_no_circle():
    """Digits, and names; only what makes many tokens in all goes round."""
    assert without_circles([0, 0, 0, 0]) == [0, 0, 0, 0] and not circles([0, 1] * 7)
    assert without_circles([3, *[0] * 16]) == [3, 0] and circles([0, 1] * 8)
