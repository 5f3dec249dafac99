"""Writers: the part of a network that writes a text from a sequence of features.

A writer stands where other networks have a head. It is asked for two things: what it writes, and
what it would cost it to write a given text, which training brings down.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from headstart.sources.staged import Boundary

REPEATED, LONGEST, ROUNDS = 4, 8, 16
"""So often a stretch of up to so many tokens may stand in a row, if that makes so many tokens in
all; then a text goes round in circles and ends there. Digits and names may be said four times."""
NEVER = -1e9


class Writer(nn.Module):
    """Maps ``features`` (rows, positions, width) with their ``attention_mask`` to texts."""

    places: tuple[str, ...] = ()
    """Names of the modules in which adapters may be put."""
    kept: tuple[str, ...] = ()
    """Beginnings of the names of the parameters that stay as they are where it is pre-trained."""
    beams: int | None = None
    """Beginnings of a text that are followed; None where each letter is written by itself."""

    def trained(self, fresh: bool) -> list[nn.Parameter]:
        """Return the parameters that train; of a `fresh` one, whose weights are random, all."""
        found = self.named_parameters()
        return [p for name, p in found if fresh or not (self.kept and name.startswith(self.kept))]

    def taught(self, _letters: str) -> Writer:
        """Return a copy that is to write texts of some letters."""
        return copy.deepcopy(self)

    def begin(self, value: Boundary, letters: Tensor) -> None:
        """Settle what some training rows and their texts tell, such as their language."""

    def forward(self, value: Boundary) -> Tensor:
        """Return what is written, (rows, letters) as `headstart.data.letters` has it."""
        raise NotImplementedError

    def costs(self, value: Boundary, letters: Tensor) -> Tensor:
        """Return (rows,) how unexpected each text is, its mean over rows being that over tokens."""
        raise NotImplementedError


Step = Callable[[Tensor], Tensor]
"""Tokens (hypotheses, some) that are new -> (hypotheses, vocabulary) logarithms of probabilities of
what comes next. What was before them it remembers."""
Reorder = Callable[[Tensor], None]
"""Takes what is remembered of some hypotheses, by number, in place of all."""


def search(
    step: Step,
    reorder: Reorder,
    prompt: Tensor,
    end: int,
    most: Tensor,
    beams: int = 1,
) -> list[list[int]]:
    """Return the tokens that are most probable after a prompt, without it and without the end.

    With one beam always the next most probable token is taken; with more, so many beginnings are
    followed, and the text is taken whose mean logarithm a token is largest (Wu et al., Google's
    Neural Machine Translation System, 2016, section 7, with a length penalty of one).

    Parameters
    ----------
    prompt
        (rows x beams, tokens): each row's is repeated.
    end
        The token that ends a text; it is never the first.
    most
        (rows,) tokens of each row's text at most, the guard against texts without end.
    """
    rows = len(most)
    scores = torch.full((rows, beams), NEVER)
    scores[:, 0] = 0.0  # all beams begin alike: one of them is followed
    texts: list[list[int]] = [[] for _ in range(rows * beams)]
    ended = torch.zeros(rows * beams, dtype=torch.bool)
    new = prompt
    for length in range(1, int(most.max()) + 1):
        logs = step(new)
        if length == 1:
            logs[:, end] = NEVER
        logs[ended] = NEVER
        logs[ended, end] = 0.0  # a text that has ended stays as it is
        total = (scores.view(-1, 1) + logs).view(rows, -1)
        scores, chosen = total.topk(beams, 1)
        first = (torch.arange(rows) * beams)[:, None]
        origin = (first + chosen.div(logs.shape[1], rounding_mode="floor")).flatten()
        tokens = (chosen % logs.shape[1]).flatten()
        if beams > 1:
            reorder(origin)
            ended = ended[origin]
            texts = [list(texts[i]) for i in origin.tolist()]
        for i, token in enumerate(tokens.tolist()):
            if ended[i]:
                continue
            if token == end:
                ended[i] = True
                continue
            texts[i].append(token)
            ended[i] = length >= int(most[i // beams]) or circles(texts[i])
        if bool(ended.all()):
            break
        new = tokens[:, None]
    lengths = torch.tensor([len(text) + 1 for text in texts]).view(rows, beams)
    best = (scores / lengths).argmax(1)
    found = [texts[row * beams + int(beam)] for row, beam in enumerate(best)]
    return [without_circles(text) for text in found]


def circles(tokens: list[int]) -> bool:
    """Say whether tokens end with a stretch that stands there again and again."""
    return _period(tokens) > 0


def without_circles(tokens: list[int]) -> list[int]:
    """Return tokens whose last stretch, if it stands there again and again, stands there once."""
    period = _period(tokens)
    return tokens[: len(tokens) - (_times(period) - 1) * period] if period else tokens


def _times(period: int) -> int:
    """Return how often a stretch of so many tokens may stand in a row."""
    return max(REPEATED, -(-ROUNDS // period))


def _period(tokens: list[int]) -> int:
    for period in range(1, LONGEST + 1):
        times = _times(period)
        tail = tokens[-times * period :]
        if len(tail) == times * period and tail == tail[-period:] * times:
            return period
    return 0
