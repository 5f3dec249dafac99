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

    vectors: np.ndarray
    values: np.ndarray
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
            values, vectors = np.linalg.eigh(gram / m, UPLO="U")
            return cls(vectors, values.clip(0), 0.0)
        scaled = features.take(rows)
        values, left = np.linalg.eigh(scaled @ scaled.T / m)
        values, left = values[m // 2 :].clip(1e-12), left[:, m // 2 :]
        vectors = scaled.T @ (left / np.sqrt(m * values))
        others = float(np.einsum("ij,ij->", scaled, scaled)) / m - float(values.sum())
        return cls(vectors, values, max(0.0, others) / (d - len(values)))

    def solved(self, gradient: np.ndarray, steepness: np.ndarray, decay: float) -> np.ndarray:
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
        steep, mixed = np.linalg.eigh(steepness)
        steep = steep.clip(0)
        turned = gradient @ mixed
        along = self.vectors.T @ turned[:-1]
        others = self.rest * steep + decay
        found = self.vectors @ (along / (self.values[:, None] * steep + decay) - along / others)
        bias = turned[-1:] / steep.clip(max(1e-9, FLATTEST * steep.max(initial=0.0)))
        step: np.ndarray = np.concatenate([found + turned[:-1] / others, bias]) @ mixed.T
        return step


@dataclass(frozen=True)
class Place:
    """Coefficients (d + 1, k), and the objective there: value, gradient, steepness (k, k)."""

    w: np.ndarray
    value: float
    gradient: np.ndarray
    steepness: np.ndarray


@dataclass(frozen=True)
class Objective:
    """Penalised negative log likelihood of coefficients on scaled features.

    It is summed in one pass over the rows. Products are taken in single precision, piece by piece
    and on centred features; all sums are taken in double precision.
    """

    features: Scaled
    family: Family
    truth: Truth
    strength: float

    def at(self, w: np.ndarray) -> Place:
        """Return the place of coefficients (d + 1, k)."""
        features = self.features
        off = features.mean - features.mean.astype(np.float32)
        weight = (w[:-1] / features.scale[:, None]).astype(np.float32)
        bias = torch.from_numpy(w[-1] - off @ weight)
        value = (w[:-1] ** 2).sum() / (2 * self.strength)
        moved, total = np.zeros((w.shape[1], len(weight))), np.zeros(w.shape[1])
        steepness = np.zeros((w.shape[1], w.shape[1]))
        for rows, piece in features.centred():
            logits = (torch.from_numpy(piece @ weight).double() + bias)[None]
            hot, counts = self.truth(rows)
            value += float((self.family.losses(logits, hot) * counts).sum())
            mean = self.family.mean(logits)[0]
            wrong = ((mean - hot) * counts).numpy()
            moved += wrong.astype(np.float32).T @ piece
            total += wrong.sum(0)
            steepness += self.family.steepness(mean, counts).numpy()
        gradient = (moved.T - np.outer(off, total)) / features.scale[:, None]
        gradient = np.concatenate([gradient + w[:-1] / self.strength, total[None]])
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
    pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=most)
    here = objective.at(np.zeros((d + 1, outputs)))
    passes, least, found_at = 1, np.inf, 1
    while passes < MOST_PASSES and passes - found_at <= PATIENCE:
        step = -_solved(here, pairs, curvature, decay)
        length = np.sqrt(max(0.0, -(here.gradient * step).sum()) / n)
        if length <= TOLERANCE:
            break
        if length < least:
            least, found_at = length, passes
        there, passes = _along(objective, here, step, passes)
        if there is None:
            break
        moved, bent = there.w - here.w, there.gradient - here.gradient
        if (moved * bent).sum() > 0:
            pairs.append((moved, bent))
        here = there
    return here.w


def _solved(
    here: Place, pairs: deque[tuple[np.ndarray, np.ndarray]], curvature: Curvature, decay: float
) -> np.ndarray:
    q, shares = here.gradient.copy(), []
    for moved, bent in reversed(pairs):
        share = (moved * q).sum() / (moved * bent).sum()
        q -= share * bent
        shares.append(share)
    found = curvature.solved(q, here.steepness, decay)
    for (moved, bent), share in zip(pairs, reversed(shares), strict=True):
        found += (share - (bent * found).sum() / (moved * bent).sum()) * moved
    return found


def _along(
    objective: Objective, here: Place, step: np.ndarray, passes: int
) -> tuple[Place | None, int]:
    """Return a lower place along a step, and the passes so far; None where rounding hides it.

    A place will do where the slope no longer rises by more than half of how it fell. Slopes, unlike
    values, keep their digits near the optimum.
    """
    fall = -(here.gradient * step).sum()
    size = 1.0
    for _ in range(8):
        there = objective.at(here.w + size * step)
        passes += 1
        rise = (there.gradient * step).sum()
        if rise <= 0.5 * fall and there.value <= here.value + 1e-8 * abs(here.value):
            return there, passes
        size *= min(0.8, max(0.1, fall / (fall + rise))) if rise > 0 else 0.5
    return None, passes
