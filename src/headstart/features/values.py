"""Boundary values of many rows, in pieces that lie in memory or, mapped, on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from headstart.sources.staged import Boundary

CHUNK = 1024
"""Rows that are taken into memory at a time."""

_MASK = "attention_mask"
Part = tuple[np.ndarray, Boundary]
"""Numbers of some rows, and their values in that order."""


class Values:
    """Boundary values of rows in an order of their own; what is taken of them is copied.

    Parameters
    ----------
    pieces
        Named tensors of some rows each, all with the same names. Token axes may differ.
    piece
        (n,) the piece in which each row lies.
    place
        (n,) which of that piece's rows it is.
    """

    def __init__(self, pieces: Sequence[Boundary], piece: np.ndarray, place: np.ndarray) -> None:
        self._pieces = pieces
        self._piece = piece
        self._place = place

    @classmethod
    def of(cls, boundary: Boundary) -> Values:
        """Return values that lie in memory in one piece."""
        rows = len(next(iter(boundary.values())))
        return cls([boundary], np.zeros(rows, np.int32), np.arange(rows))

    def __len__(self) -> int:
        return len(self._piece)

    def __contains__(self, name: str) -> bool:
        return bool(self._pieces) and name in self._pieces[0]

    def take(self, rows: Any) -> Boundary:
        """Return the values of these rows, in this order, token axes padded with zeros."""
        numbers = np.asarray(rows)
        piece, place = self._piece[numbers], self._place[numbers]
        owners = np.unique(piece)
        if len(owners) == 1:
            return _taken(self._pieces[owners[0]], place)
        parts = []
        for owner in owners.tolist():
            own = np.flatnonzero(piece == owner)
            parts.append((own, _taken(self._pieces[owner], place[own])))
        return assembled(parts)

    def lengths(self) -> np.ndarray | None:
        """Return the tokens of each row that are no padding, (n,); None where rows have none."""
        if _MASK not in self:
            return None
        found = np.zeros(len(self), np.int64)
        for number, piece in enumerate(self._pieces):
            own = self._piece == number
            found[own] = piece[_MASK].sum(1).numpy()[self._place[own]]
        return found

    def chunks(self, rows: int = CHUNK) -> Iterator[Boundary]:
        """Yield the values of all rows in order, so many at a time."""
        for start in range(0, len(self), rows):
            yield self.take(np.arange(start, min(start + rows, len(self))))

    def whole(self) -> Boundary:
        """Return the values of all rows, in memory."""
        return self.take(np.arange(len(self)))


def _taken(piece: Boundary, place: np.ndarray) -> Boundary:
    wanted = torch.from_numpy(place)
    return {name: value[wanted] for name, value in piece.items()}


def assembled(parts: Sequence[Part]) -> Boundary:
    """Put the rows of all parts back into order, shorter token axes padded with zeros."""
    total = sum(len(rows) for rows, _ in parts)
    whole: Boundary = {}
    for name, first in parts[0][1].items():
        longest = [max(v[name].shape[axis] for _, v in parts) for axis in range(1, first.ndim)]
        values = torch.zeros((total, *longest), dtype=first.dtype)
        for rows, found in parts:
            value = found[name]
            places: list[Any] = [torch.as_tensor(rows)]
            places += [slice(0, size) for size in value.shape[1:]]
            values[tuple(places)] = value
        whole[name] = values
    return whole


def below(pieces: Sequence[Boundary]) -> Boundary:
    """Return the rows of all pieces below one another, in memory."""
    starts = np.cumsum([0, *(len(next(iter(piece.values()))) for piece in pieces)])
    return assembled(
        [
            (np.arange(begin, end), piece)
            for begin, end, piece in zip(starts, starts[1:], pieces, strict=False)
        ]
    )


def concatenated(several: Sequence[Values]) -> Values:
    """Return the rows of all values below one another; nothing is copied."""
    if len(several) == 1:
        return several[0]
    counts = np.cumsum([0, *(len(values._pieces) for values in several)])
    return Values(
        [piece for values in several for piece in values._pieces],
        np.concatenate([v._piece + n for v, n in zip(several, counts, strict=False)]),
        np.concatenate([v._place for v in several]),
    )
