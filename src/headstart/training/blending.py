"""Blending: weights between the source's and the tuned ones, wherever validation likes them best.

Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), CVPR 2022. It takes no training,
and where tuning went too far it goes back some of the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

SHARES = tuple(step / 10 for step in range(10, -1, -1))
"""Shares of the tuned weights that are tried; of equally good ones the first."""
EVEN = 0.5
"""The share where nothing tells, as the authors recommend it."""


def put_between(
    module: nn.Module, start: Sequence[Tensor], tuned: Sequence[Tensor], share: float
) -> None:
    """Give a module weights that lie this share of the way from its start to what was tuned."""
    with torch.no_grad():
        for parameter, first, last in zip(module.parameters(), start, tuned, strict=True):
            parameter.copy_(torch.lerp(first, last, share))


def blended(
    module: nn.Module,
    start: Sequence[Tensor],
    evaluate: Callable[[], tuple[float, float]] | None,
    settled: float | None = None,
    late: Callable[[], bool] = lambda: False,
) -> float:
    """Put a tuned module's weights where they do best; return the share of the way.

    Parameters
    ----------
    start
        Its parameters before it was tuned, in their order.
    evaluate
        Returns (signed score, loss) on validation rows; None where there are none to choose by.
    settled
        The share that was found before, which is then taken.
    late
        Says when no further share is tried.
    """
    tuned = [parameter.detach().clone() for parameter in module.parameters()]

    def value(evaluate: Callable[[], tuple[float, float]], share: float) -> tuple[float, float]:
        put_between(module, start, tuned, share)
        score, loss = evaluate()
        return score, -loss

    if settled is not None:
        best = settled
    elif evaluate is None:
        best = EVEN
    else:
        best, found = SHARES[0], (-math.inf, -math.inf)
        for share in SHARES:
            if late():
                break
            if (its := value(evaluate, share)) > found:
                best, found = share, its
    put_between(module, start, tuned, best)
    return best
