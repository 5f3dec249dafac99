"""Rows of features, in memory or on disk, and what centres and scales them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg.blas import dsyrk

ROWS = 4_096
"""Rows of an array that are read at a time."""
PIECE = 2**20
"""Entries that are worked on at a time, few enough for a processor's cache."""
FLAT = 1e-6
"""Standard deviation up to which a channel or an output counts as constant."""
NOTHING = 1e-12
"""Share of the largest squared singular value up to which one is left out."""


class Matrix(Protocol):
    """Rows of features, which may lie on disk."""

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of rows and of channels."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows (m, d) float32, in the order asked for, in memory."""

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, float32, a few thousand at a time."""


@dataclass(frozen=True)
class Array:
    """A matrix (n, d) of numpy's, which may be mapped from a file."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of rows and of channels."""
        n, d = self.values.shape
        return n, d

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows (m, d) float32, in the order asked for, in memory."""
        return np.asarray(self.values[rows], np.float32)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, float32; those of a float32 array are views of it."""
        for start in range(0, len(self.values), ROWS):
            yield np.asarray(self.values[start : start + ROWS], np.float32)


@dataclass(frozen=True)
class Chosen:
    """Some rows of a matrix, by their numbers (m,), as a matrix."""

    matrix: Matrix
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of rows and of channels."""
        return len(self.rows), self.matrix.shape[1]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return some of the rows (m, d) float32, in the order asked for, in memory."""
        return self.matrix.take(self.rows[rows])

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all of them in order, float32, a few thousand at a time."""
        for start in range(0, len(self.rows), ROWS):
            yield self.matrix.take(self.rows[start : start + ROWS])


@dataclass(frozen=True)
class Scaled:
    """A matrix with the mean and the scale of its channels; its rows stay where they are.

    Attributes
    ----------
    mean, scale
        (d,) float64.
    """

    matrix: Matrix
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, matrix: Matrix) -> Scaled:
        """Return a matrix with its own mean and `pareto` scale, found in one pass.

        Means and sums of squares of the pieces are joined as by Chan, Golub and LeVeque
        (Algorithms for computing the sample variance, 1983), so that a large mean costs the
        variance no digits.
        """
        count, mean = 0, np.zeros(matrix.shape[1])
        squares = np.zeros_like(mean)
        for _, piece in _pieces(matrix):
            exact = piece.astype(np.float64)
            here = exact.mean(0)
            exact -= here
            apart, both = here - mean, count + len(piece)
            squares += np.einsum("ij,ij->j", exact, exact) + apart**2 * (count * len(piece) / both)
            mean += apart * (len(piece) / both)
            count = both
        return cls(matrix, mean, pareto(np.sqrt(squares / max(1, count))))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows, centred and scaled, (m, d) float64."""
        found: np.ndarray = (self.matrix.take(rows) - self.mean) / self.scale
        return found

    def pieces(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (which rows, those rows centred and scaled in float64) of all, in order."""
        for rows, piece in _pieces(self.matrix):
            yield rows, (piece - self.mean) / self.scale

    def centred(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (which rows, those rows less the float32 mean) of all, in order.

        The float32 array is overwritten by the next. Without their mean, single precision serves
        channels that lie far from zero as well as others.
        """
        mean = self.mean.astype(np.float32)
        room = np.empty((_length(len(mean)), len(mean)), np.float32)
        for rows, piece in _pieces(self.matrix):
            yield rows, np.subtract(piece, mean, out=room[: len(piece)])


def add_products(gram: np.ndarray, piece: np.ndarray) -> None:
    """Add the products of the columns of a piece (m, d) to the upper half of `gram`, in place.

    Parameters
    ----------
    gram
        (d, d) float64 in Fortran's order.
    piece
        (m, d) float64 in C's order.
    """
    dsyrk(1.0, piece.T, beta=1.0, c=gram, overwrite_c=True)


def decompose(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squared singular values (r,), rising, and left singular vectors (n, r), of (n, d).

    By the eigenvalues of the smaller matrix of products, which is several times as fast. What is
    nothing beside the largest is left out.
    """
    tall = rows.shape[1] <= len(rows)
    # numpy's is as exact as torch's, and three times as fast on processors that are not Intel's
    squares, vectors = np.linalg.eigh(rows.T @ rows if tall else rows @ rows.T)
    kept = squares > NOTHING * max(squares[-1], np.finfo(float).tiny)
    squares, vectors = squares[kept], vectors[:, kept]
    return squares, rows @ vectors / np.sqrt(squares) if tall else vectors


def pareto(deviation: np.ndarray) -> np.ndarray:
    """Return what channels of these standard deviations (d,) are divided by: Pareto scaling.

    That is the geometric mean of a channel's deviation and the usual one, the median. Where rows
    are few, dividing each channel by its own deviation makes as much of a channel that hardly stirs
    as of one that says something; dividing all alike lets a few loud ones speak alone (van den Berg
    et al., Centering, scaling, and transformations, BMC Genomics 7:142, 2006).
    """
    stirring = deviation > FLAT
    usual = float(np.median(deviation[stirring])) if stirring.any() else 1.0
    return np.sqrt(np.where(stirring, deviation, usual) * usual)


def spread(deviation: np.ndarray) -> np.ndarray:
    """Return what to divide by: what is constant is left as it is, at zero."""
    return np.where(deviation > FLAT, deviation, 1.0)


def _length(width: int) -> int:
    return max(64, PIECE // max(1, width))


def _pieces(matrix: Matrix) -> Iterator[tuple[slice, np.ndarray]]:
    at, most = 0, _length(matrix.shape[1])
    for chunk in matrix.chunks():
        for start in range(0, len(chunk), most):
            piece = chunk[start : start + most]
            yield slice(at, at + len(piece)), piece
            at += len(piece)
