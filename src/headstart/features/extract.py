"""Extraction: from rows to the boundary values at a cut, through the best engine, computed once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing, View, modalities
from headstart.features.cache import ActivationCache, key_of
from headstart.features.engines import ORDER, Batch, Chosen, choose
from headstart.features.rows import Row, RowStore
from headstart.places import cache_folder
from headstart.sources.staged import Backbone, Boundary

BATCH = 16
"""Rows an engine takes at a time; both streams are busy and little is padded."""
GROUP = 8
"""Batches, of rows in one piece, that are decoded while the engine works on as many others."""
SAMPLE = 8
"""Rows on which an engine is checked."""
PIECE = 1024
"""Rows that are computed before they are put into the store of rows."""


class OutOfTime(Exception):
    """The deadline came before all rows were computed."""


@dataclass
class Extractor:
    """Computes boundary values of one backbone, and keeps them.

    Parameters
    ----------
    backbone
        The source, or a tuned network.
    digest
        Names its weights; values and compiled models are cached under it.
    cache
        Where values are kept; None keeps nothing.
    order
        Engines to try.
    rows
        Where the values at the end of the backbone are kept row by row, in place of `cache`: for
        those who meet the same rows in ever other lists, and read pooled features. The last bits
        of a row's values depend on the rows with which it was computed, so whoever must repeat to
        the bit goes without.
    """

    backbone: Backbone
    digest: str
    cache: ActivationCache | None = field(default_factory=ActivationCache)
    order: tuple[str, ...] = ORDER
    rows: RowStore | None = None
    chosen: dict[str, Chosen] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    """Rows a second, by cut and size, as last measured."""
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def divides(self) -> bool:
        """Say whether a row may be read in several pieces, so that no stage can be tuned."""
        return self.backbone.preprocessing.divides

    def engine(self, dataset: Dataset, cut: int, preprocessing: Preprocessing) -> Chosen:
        """Return the engine for a cut, chosen on rows of `dataset` the first time."""
        key = self._place(cut, preprocessing)
        if key not in self.chosen:
            rows = dataset.take(range(min(SAMPLE, len(dataset))))
            sample = {n: v[:SAMPLE] for n, v in _collate(rows, preprocessing, View()).items()}
            if (
                len(next(iter(sample.values()))) == 1
            ):  # a batch of one would hide how a network treats batches
                sample = {name: np.concatenate([v, v]) for name, v in sample.items()}
            folder = cache_folder() / "engines"
            self.chosen[key] = choose(
                self.backbone.prefix(cut), sample, f"{self.digest}/{key}", folder, self.order
            )
        return self.chosen[key]

    def extract(
        self,
        dataset: Dataset,
        cut: int,
        *,
        scale: float = 1.0,
        view: View | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> Boundary:
        """Return the boundary value of all rows at `cut`.

        Parameters
        ----------
        dataset
            Rows to compute; their order is kept. Of rows without digests nothing is cached.
        cut
            Where the prefix ends.
        scale
            Size of the inputs as a share of the source's own (pictures).
        view
            Which random view; None is the rows as they are.
        late
            Says whether time is over.

        Returns
        -------
        Named tensors with a row each: float32 at the end of the backbone, bfloat16 within it where
        the engine computed in bfloat16. Token axes are padded to the longest row. Of a row that is
        divided into pieces it is the mean over them.

        Raises
        ------
        OutOfTime
            If `late` said so before all rows were computed.
        ValueError
            If rows are divided, and the cut is not the end: only pooled values have a mean.
        """
        with self._turn:  # threads that share a network take turns
            return self._extract(dataset, cut, scale, view or View(), late)

    def _extract(
        self, dataset: Dataset, cut: int, scale: float, view: View, late: Callable[[], bool]
    ) -> Boundary:
        preprocessing = self.backbone.preprocessing.resized(scale)
        if self.divides and cut < self.backbone.end:
            raise ValueError("inputs that are divided can be computed at the end alone")
        if cut == 0:  # nothing is frozen: the inputs themselves travel
            return _joined(
                [(range(len(dataset)), _tensors(_collate(dataset, preprocessing, view)))]
            )
        chosen = self.engine(dataset, cut, preprocessing)
        engine = f"{chosen.engine.name}-{chosen.engine.precision}"
        settings = [preprocessing.settings, preprocessing.files]
        views = [view.index, view.policy, view.seed] if view.index else 0
        name = self.backbone.cut_name(cut)
        looked_at = all(dataset.digests)

        def compute(rows: Dataset) -> Boundary:
            return self._computed(rows, cut, preprocessing, view, chosen, late)

        if self.rows is not None and cut == self.backbone.end and looked_at:
            return _by_row(
                dataset, key_of(self.digest, name, settings, views, engine, ()), self.rows, compute
            )
        key = key_of(self.digest, name, settings, views, engine, dataset.digests)
        cache = self.cache if looked_at else None
        known = cache.load(key) if cache else None
        if known is not None:
            return known
        boundary = compute(dataset)
        if cache:
            cache.save(key, boundary)
        return boundary

    def _computed(
        self,
        dataset: Dataset,
        cut: int,
        preprocessing: Preprocessing,
        view: View,
        chosen: Chosen,
        late: Callable[[], bool],
    ) -> Boundary:
        place = self._place(cut, preprocessing)
        half = chosen.engine.precision == "bf16" and cut < self.backbone.end
        started = time.monotonic()
        pieces: list[tuple[Sequence[int], dict[str, Tensor]]] = []
        for rows, values in self._stream(dataset, preprocessing, view, chosen):
            pieces.append((rows, _stored(values, half)))
            done = sum(len(piece[0]) for piece in pieces)
            self.rates[place] = done / max(time.monotonic() - started, 1e-6)
            if done < len(dataset) and late():
                raise OutOfTime(f"{done} of {len(dataset)} rows")
        return _joined(pieces)

    def rate(self, dataset: Dataset, cut: int, scale: float = 1.0, rows: int = 64) -> float:
        """Return rows a second at a cut, measured on the first rows where not known yet.

        They are `rows` of them, or as many as have so many pieces.
        """
        preprocessing = self.backbone.preprocessing.resized(scale)
        place = self._place(cut, preprocessing)
        if place not in self.rates:
            chosen = self.engine(dataset, cut, preprocessing)
            some = dataset.take(range(min(rows, len(dataset))))
            pieces = modalities.get(dataset.modality).pieces(some.inputs, preprocessing)
            few = int(np.searchsorted(np.cumsum(pieces), rows, side="right"))
            some = some.take(range(max(1, min(few, len(some)))))
            list(self._stream(some, preprocessing, View(), chosen))  # warm
            started = time.monotonic()
            list(self._stream(some, preprocessing, View(), chosen))
            self.rates[place] = len(some) / max(time.monotonic() - started, 1e-6)
        return self.rates[place]

    def _place(self, cut: int, preprocessing: Preprocessing) -> str:
        return f"{cut}@{preprocessing.settings.get('size', preprocessing.settings)}"

    def _stream(
        self, dataset: Dataset, preprocessing: Preprocessing, view: View, chosen: Chosen
    ) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Yield (rows, values) batch by batch; the next group is decoded while one is computed."""
        order = modalities.get(dataset.modality).order(dataset.inputs)
        groups = [order[i : i + BATCH * GROUP] for i in range(0, len(order), BATCH * GROUP)]

        def decode(group: list[int]) -> list[tuple[list[int], list[int], Batch]]:
            return [
                (rows, pieces, _collate(dataset.take(rows), preprocessing, view))
                for rows, pieces in _batches(dataset, group, preprocessing)
            ]

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(decode, groups[0])
            for i in range(len(groups)):
                decoded = coming.result()
                if i + 1 < len(groups):
                    coming = pool.submit(decode, groups[i + 1])
                found = chosen.engine.run([batch for _, _, batch in decoded])
                for (rows, pieces, _), values in zip(decoded, found, strict=True):
                    yield rows, pooled(values, pieces) if preprocessing.divides else values


def _batches(
    dataset: Dataset, group: list[int], preprocessing: Preprocessing
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield (rows, pieces of each): at most `BATCH` pieces, or those of a single row."""
    inputs = [dataset.inputs[i] for i in group]
    counts = modalities.get(dataset.modality).pieces(inputs, preprocessing)
    rows: list[int] = []
    pieces: list[int] = []
    for row, count in zip(group, counts, strict=True):
        if rows and sum(pieces) + count > BATCH:
            yield rows, pieces
            rows, pieces = [], []
        rows.append(row)
        pieces.append(count)
    yield rows, pieces


def pooled(values: dict[str, Tensor], pieces: Sequence[int]) -> dict[str, Tensor]:
    """Return the mean over the pieces of each row, which follow one another.

    The pieces of a row are of one size, so that no piece counts for more than another. Inputs that
    an engine hands on (token numbers, masks) have no mean and are left out.
    """
    return {
        name: torch.stack([piece.mean(0) for piece in value.split(list(pieces))])
        for name, value in values.items()
        if value.is_floating_point()
    }


def _by_row(
    dataset: Dataset, key: str, store: RowStore, compute: Callable[[Dataset], Boundary]
) -> Boundary:
    """Return the values of all rows, computing each content that is not in the store once."""
    found: dict[str, Row] = store.load(key, dataset.digests)
    first = {digest: i for i, digest in reversed(list(enumerate(dataset.digests)))}
    absent = sorted(i for digest, i in first.items() if digest not in found)
    for start in range(0, len(absent), PIECE):
        some = dataset.take(absent[start : start + PIECE])
        # token numbers and masks, which are of unequal length, only pass through
        values = {n: v for n, v in compute(some).items() if v.is_floating_point()}
        found |= store.save(key, some.digests, values)
    rows = [found[digest] for digest in dataset.digests]
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def _collate(dataset: Dataset, preprocessing: Preprocessing, view: View) -> Batch:
    modality = modalities.get(dataset.modality)
    return modality.collate(dataset.inputs, dataset.digests, preprocessing, view)


def _tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def _stored(values: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    if not half:
        return values
    return {n: v.to(torch.bfloat16) if v.is_floating_point() else v for n, v in values.items()}


def _joined(pieces: list[tuple[Sequence[int], dict[str, Tensor]]]) -> Boundary:
    """Put the rows of all pieces back into order, shorter token axes padded with zeros."""
    total = sum(len(rows) for rows, _ in pieces)
    joined: Boundary = {}
    for name, first in pieces[0][1].items():
        longest = [max(v[name].shape[axis] for _, v in pieces) for axis in range(1, first.ndim)]
        whole = torch.zeros((total, *longest), dtype=first.dtype)
        for rows, values in pieces:
            value = values[name]
            places: list[Any] = [torch.as_tensor(list(rows))]
            places += [slice(0, size) for size in value.shape[1:]]
            whole[tuple(places)] = value
        joined[name] = whole
    return joined


def concatenated(pieces: Sequence[Boundary]) -> Boundary:
    """Return the rows of all pieces below one another; token axes grow to the longest."""
    if len(pieces) == 1:
        return pieces[0]
    joined: Boundary = {}
    for name, first in pieces[0].items():
        values = [piece[name] for piece in pieces]
        if first.ndim > 1 and len({v.shape[1] for v in values}) > 1:
            longest = max(v.shape[1] for v in values)
            values = [_padded(v, longest) for v in values]
        joined[name] = torch.cat(values)
    return joined


def _padded(value: Tensor, length: int) -> Tensor:
    padded = value.new_zeros((len(value), length, *value.shape[2:]))
    padded[:, : value.shape[1]] = value
    return padded
