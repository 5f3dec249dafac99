"""Nearest neighbours of every row, in blocks: memory does not grow with the square of the rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from headstart.data.modalities import at_length_one
from headstart.tasks.matrix import Matrix

NEAREST = 10
WIDTH = 128
"""Directions in which distances are measured, at most: those of largest variance."""
SAMPLE = 4_000
"""Rows by which these are found, at most."""
BLOCK = 2**23
"""Distances that are held at a time."""
EXACT = 20_000
"""Rows up to which all are compared with all."""
CELL = 256
"""Rows of a cell, about, where there are more: each row is compared with those of the cells whose
centres are nearest to that of its own."""
CELLS = 8
HELD = 2**25
"""Bytes of rows up to which they are in memory; more of them are in a file that has no name."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest other rows of each row, nearest first.

    Attributes
    ----------
    rows
        (n, k) their numbers, where k is `NEAREST` or one less than the rows.
    distances
        (n, k) float32, of vectors at length one: from 0 to 2.
    usual
        Distance of two rows drawn at random: the median.
    """

    rows: np.ndarray
    distances: np.ndarray
    usual: float


def neighbours(vectors: np.ndarray, seed: int = 0) -> Neighbours:
    """Return the nearest neighbours of rows (n, d) float32 of length one; n is at least 2.

    Of more than `EXACT` rows a neighbour may be missed where it lies in a far cell; those that are
    much nearer than the others hardly ever do.
    """
    rows = torch.from_numpy(vectors)
    count = min(NEAREST, len(rows) - 1)
    found = np.zeros((len(rows), count), np.int32)
    distances = np.full((len(rows), count), np.inf, np.float32)
    everything = torch.arange(len(rows))
    cells = [(everything, everything)] if len(rows) <= EXACT else _cells(rows, seed)
    for own, others in cells:
        step = max(1, BLOCK // len(others))
        there = rows[others]
        for some in own.split(step):
            apart = torch.cdist(rows[some], there)
            apart[some[:, None] == others] = torch.inf
            most = min(count, len(others) - 1)  # a row is no neighbour of its own
            which = others[apart.topk(most, dim=1, largest=False).indices]
            # products of rows lose small differences, which are what matters here
            nearest, order = (rows[some][:, None] - rows[which]).norm(dim=2).sort(dim=1)
            found[some, : which.shape[1]] = which.gather(1, order)
            distances[some, : which.shape[1]] = nearest
    return Neighbours(found, distances, _usual(rows, seed))


def _cells(rows: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows of each cell, and those with which they are compared."""
    drawn = np.random.default_rng([seed, 11]).choice(len(rows), len(rows) // CELL, replace=False)
    centres = rows[torch.from_numpy(np.sort(drawn))]
    pieces = rows.split(max(1, BLOCK // len(centres)))
    cell_of = torch.cat([torch.cdist(piece, centres).argmin(1) for piece in pieces])
    # of equal centres one has all their rows, the others none: those are no cells
    filled, cell_of = cell_of.unique(return_inverse=True)
    centres = centres[filled]
    members = cell_of.argsort(stable=True).split(torch.bincount(cell_of).tolist())
    apart = torch.cdist(centres, centres)
    near = apart.fill_diagonal_(-1).topk(min(CELLS, len(centres)), largest=False).indices
    for own, numbers in zip(members, near.tolist(), strict=True):
        yield own, torch.cat([members[i] for i in numbers]).sort().values


def _usual(rows: Tensor, seed: int) -> float:
    drawn = np.random.default_rng([seed, 10]).integers(0, len(rows), (2, 1_000))
    one, other = (rows[torch.from_numpy(which)] for which in drawn[:, drawn[0] != drawn[1]])
    return float((one - other).norm(dim=1).median()) if len(one) else 0.0


def directed(matrix: Matrix, seed: int = 0) -> np.ndarray:
    """Return the rows of a matrix at length one, (n, d) float32, turned into few directions.

    Of more than `WIDTH` channels those directions are kept in which (at most `SAMPLE`) rows vary
    most. Distances never grow by that.
    """
    rows, width = matrix.shape
    chunks = map(at_length_one, matrix.chunks())
    if width <= WIDTH:
        return gathered(chunks, rows, width)
    drawn = np.random.default_rng(seed).permutation(rows)[:SAMPLE]
    some = at_length_one(matrix.take(np.sort(drawn)))
    some = some - some.mean(0)
    products = torch.from_numpy(some.T) @ torch.from_numpy(some)
    _, directions = eigh(products.numpy(), subset_by_index=(width - WIDTH, width - 1))
    return gathered((chunk @ directions for chunk in chunks), rows, WIDTH)


def gathered(chunks: Iterable[np.ndarray], rows: int, width: int) -> np.ndarray:
    """Return chunks of rows as one array (rows, width) float32, in a file where it is large."""
    found: np.ndarray
    if rows * width * 4 <= HELD:
        found = np.empty((rows, width), np.float32)
    else:
        with tempfile.TemporaryFile() as scratch:
            found = np.memmap(scratch, np.float32, "w+", shape=(rows, width))
    start = 0
    for chunk in chunks:
        found[start : start + len(chunk)] = chunk
        start += len(chunk)
    return found
