"""Logistic regression over features that are read piece by piece and never held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.tasks.family import Family
from headstart.tasks.matrix import Scaled, add_products

TOLERANCE = 1e-5
"""Distance of the logits from those of the optimum, root mean square and weighted by how steep the
loss is, at which the search ends; the length of a Newton step says it."""
PATIENCE = 20
"""Passes without a shorter Newton step after which only rounding is left to be fitted."""
MOST_PASSES = 1_000
WIDEST = 2_048
"""Channels up to which the curvature is known in all directions, else in half as many."""
SAMPLED = 8
"""Rows a channel from which the curvature is estimated."""
PAIRS = 20
"""Last steps at most from which the curvature is learnt on the way."""
REMEMBERED = 2**22
"""Coefficients that all these steps may have together; three steps are kept in any case."""

FLATTEST = 1e-6
"""Share of the steepest curvature that is the least that biases are taken to have."""

Truth = Callable[[slice], tuple[Tensor, Tensor]]
"""Of some rows (m, k) what they are, and (m, 1 or k) how much they count."""


@dataclass(frozen=True)
class Curvature:
    """The Gram matrix of scaled features, estimated on some of the rows.

    Attributes
    ----------
    vectors
        (d, r) directions.
    values
        (r,) sums of squares along them, a row.
    rest
        The same along all other directions, which are taken to be alike.
    """

    vectors: Tensor
    values: Tensor
    rest: float

    @classmethod
    def of(cls, features: Scaled, seed: int) -> Curvature:
        """Return the curvature along all directions, or along the steepest ones of wide rows."""
        n, d = features.matrix.shape
        m = min(n, SAMPLED * d if d <= WIDEST else WIDEST)
        rows = np.sort(np.random.default_rng(seed).permutation(n)[:m])
        if d <= WIDEST:
            gram = np.zeros((d, d), order="F")
            for some in np.array_split(rows, max(1, m // 1024)):
                add_products(gram, features.take(some))
            values, vectors = torch.linalg.eigh(torch.from_numpy(gram / m), UPLO="U")
            return cls(vectors, values.clamp(min=0), 0.0)
        scaled = torch.from_numpy(features.take(rows))
        values, left = torch.linalg.eigh(scaled @ scaled.T / m)
        values, left = values[m // 2 :].clamp(min=1e-12), left[:, m // 2 :]
        vectors = scaled.T @ (left / (m * values).sqrt())
        others = float(scaled.square().sum()) / m - float(values.sum())
        return cls(vectors, values, max(0.0, others) / (d - len(values)))

    def solved(self, gradient: Tensor, steepness: Tensor, decay: float) -> Tensor:
        """Return the Newton step (d + 1, k) if all rows were as steep as their mean.

        Parameters
        ----------
        gradient
            (d + 1, k), the last row the biases'.
        steepness
            (k, k) curvature of the loss by the outputs, summed over the rows.
        decay
            The penalty's.
        """
        steep, mixed = torch.linalg.eigh(steepness)
        steep = steep.clamp(min=0)
        turned = gradient @ mixed
        along = self.vectors.T @ turned[:-1]
        others = self.rest * steep + decay
        found = self.vectors @ (along / (self.values[:, None] * steep + decay) - along / others)
        steepest = float(steep.max()) if len(steep) else 0.0
        bias = turned[-1:] / steep.clamp(min=max(1e-9, FLATTEST * steepest))
        return torch.cat([found + turned[:-1] / others, bias]) @ mixed.T


@dataclass(frozen=True)
class Place:
    """Coefficients (d + 1, k), and the objective there: value, gradient, steepness (k, k)."""

    w: Tensor
    value: float
    gradient: Tensor
    steepness: Tensor


@dataclass(frozen=True)
class Objective:
    """Penalised negative log likelihood of coefficients on scaled features.

    It is summed in one pass over the rows. Products are taken in single precision, piece by piece
    and on centred features; all sums are taken in double precision. All of it is PyTorch's work:
    where numpy multiplies matrices in between, the threads of the two wait for one another, and a
    pass takes ten times as long.
    """

    features: Scaled
    family: Family
    truth: Truth
    strength: float

    def at(self, w: Tensor) -> Place:
        """Return the place of coefficients (d + 1, k) float64."""
        mean, scale = (torch.from_numpy(x) for x in (self.features.mean, self.features.scale))
        off = mean - mean.float().double()
        weight = (w[:-1] / scale[:, None]).float()
        bias = w[-1] - off @ weight.double()
        value = float(w[:-1].square().sum()) / (2 * self.strength)
        moved, total = torch.zeros(w.shape[1], len(weight), dtype=w.dtype), torch.zeros_like(w[-1])
        steepness = torch.zeros(w.shape[1], w.shape[1], dtype=w.dtype)
        for rows, array in self.features.centred():
            piece = torch.from_numpy(array)
            logits = (weight.T @ piece.T).T.double() + bias  # five times as fast as piece @ weight
            hot, counts = self.truth(rows)
            value += float((self.family.losses(logits[None], hot) * counts).sum())
            likely = self.family.mean(logits[None])[0]
            wrong = (likely - hot) * counts
            moved += wrong.float().T @ piece
            total += wrong.sum(0)
            steepness += self.family.steepness(likely, counts)
        gradient = (moved.T - torch.outer(off, total)) / scale[:, None]
        gradient = torch.cat([gradient + w[:-1] / self.strength, total[None]])
        return Place(w, value, gradient, steepness)


def optimum(objective: Objective, outputs: int, seed: int) -> np.ndarray:
    """Return the coefficients (d + 1, k) of the least objective.

    L-BFGS (Nocedal and Wright, Numerical Optimization, 2nd edition, algorithm 7.5), begun anew in
    each step from the features' `Curvature` at the mean steepness of the rows there, which makes
    channels of unequal spread and correlated ones alike. Each place costs one pass.
    """
    n, d = objective.features.matrix.shape
    curvature, decay = Curvature.of(objective.features, seed), 1 / objective.strength
    most = max(3, min(PAIRS, REMEMBERED // (d * max(1, outputs))))
    pairs: deque[tuple[Tensor, Tensor]] = deque(maxlen=most)
    here = objective.at(torch.zeros(d + 1, outputs, dtype=torch.float64))
    passes, least, found_at = 1, np.inf, 1
    while passes < MOST_PASSES and passes - found_at <= PATIENCE:
        step = -_solved(here, pairs, curvature, decay)
        length = max(0.0, -_dot(here.gradient, step) / n) ** 0.5
        if length <= TOLERANCE:
            break
        if length < least:
            least, found_at = length, passes
        there, passes = _along(objective, here, step, passes)
        if there is None:
            break
        moved, bent = there.w - here.w, there.gradient - here.gradient
        if _dot(moved, bent) > 0:
            pairs.append((moved, bent))
        here = there
    found: np.ndarray = here.w.numpy()
    return found


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


def _solved(
    here: Place, pairs: deque[tuple[Tensor, Tensor]], curvature: Curvature, decay: float
) -> Tensor:
    q, shares = here.gradient.clone(), []
    for moved, bent in reversed(pairs):
        share = _dot(moved, q) / _dot(moved, bent)
        q -= share * bent
        shares.append(share)
    found = curvature.solved(q, here.steepness, decay)
    for (moved, bent), share in zip(pairs, reversed(shares), strict=True):
        found += (share - _dot(bent, found) / _dot(moved, bent)) * moved
    return found


def _along(
    objective: Objective, here: Place, step: Tensor, passes: int
) -> tuple[Place | None, int]:
    """Return a lower place along a step, and the passes so far; None where rounding hides it.

    A place will do where the slope no longer rises by more than half of how it fell. Slopes, unlike
    values, keep their digits near the optimum.
    """
    fall = -_dot(here.gradient, step)
    size = 1.0
    for _ in range(8):
        there = objective.at(here.w + size * step)
        passes += 1
        rise = _dot(there.gradient, step)
        if rise <= 0.5 * fall and there.value <= here.value + 1e-8 * abs(here.value):
            return there, passes
        size *= min(0.8, max(0.1, fall / (fall + rise))) if rise > 0 else 0.5
    return None, passes
