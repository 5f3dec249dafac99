"""Extraction: from rows to the boundary values at a cut, through the best engine, computed once."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from headstart.allocator import trim
from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing, View, modalities
from headstart.devices import ahead, cores, device
from headstart.digest import digest_data
from headstart.features.cache import ActivationCache, KeptRows, key_of
from headstart.features.engines import (
    Batch,
    Chosen,
    Engine,
    choose,
    engine_order,
    engines_folder,
    machine,
)
from headstart.features.values import Values, below
from headstart.places import read_json, write_json
from headstart.sources.loading import LoadedSource
from headstart.sources.staged import Backbone, Boundary

SAMPLE = 8
"""Rows on which an engine is checked."""
BATCH = 16
"""Rows that are decoded at a time where no engine takes them."""
COUNTED = 256
"""Rows whose pieces are counted at a time."""
MEASURED = 32
"""Rows from whose speed that of others is forecast."""
SHARD = 48 * 2**20
"""Bytes of values that are computed before they are put into the cache."""
SHARD_ROWS = 2048
SHARD_SECONDS = 20.0
"""Rows, and seconds, after which they are put there at the latest."""

Stream = Generator[tuple[list[int], Boundary], None, None]
"""Numbers of rows, and their values, batch by batch."""


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
    """

    backbone: Backbone
    digest: str
    cache: ActivationCache | None = field(default_factory=ActivationCache)
    order: tuple[str, ...] = field(default_factory=engine_order)
    chosen: dict[str, Chosen] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    """Rows a second, by cut and size, as last measured."""
    _earlier: dict[str, float | None] = field(default_factory=dict, repr=False)
    """The same, of earlier processes."""
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def divides(self) -> bool:
        """Say whether a row may be read in several pieces, so that no stage can be tuned."""
        return self.backbone.preprocessing.divides

    def reading(self, long: str) -> Extractor:
        """Return what reads long inputs in another way; what was measured is shared."""
        return replace(self, backbone=self.backbone.reading(long))

    def to_tune(self) -> Extractor:
        """Return what computes values where stages are tuned; what was measured is shared."""
        backbone = self.backbone.to_tune()
        return self if backbone is self.backbone else replace(self, backbone=backbone)

    def engine(self, dataset: Dataset, cut: int, preprocessing: Preprocessing) -> Chosen:
        """Return the engine for a cut, chosen on rows of `dataset` the first time."""
        place = self._place(cut, preprocessing)
        if place not in self.chosen:
            rows = range(min(SAMPLE, len(dataset)))
            batch = _collate(dataset, rows, preprocessing, View())
            sample = {name: v[:SAMPLE] for name, v in batch.items()}
            # a batch of one would hide how a network treats batches
            if len(next(iter(sample.values()))) == 1:
                sample = {name: np.concatenate([v, v]) for name, v in sample.items()}
            self.chosen[place] = self.prepared(sample, cut, preprocessing)
        return self.chosen[place]

    def prepared(self, sample: Batch, cut: int, preprocessing: Preprocessing) -> Chosen:
        """Return the engine for a cut, chosen on a sample of decoded rows."""
        # the settings are in the compiled model: pictures are normalised there
        key = f"{self.digest}/{cut}@{digest_data(dict(preprocessing.settings))}"
        return choose(self.backbone.prefix(cut), sample, key, engines_folder(), self.order)

    def extract(
        self,
        dataset: Dataset,
        cut: int,
        *,
        scale: float = 1.0,
        view: View | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> Values:
        """Return the boundary values of all rows at `cut`.

        Rows of which the values are known are not computed again, and none twice. Memory does not
        grow with the rows, as long as the cache can be written: they are put there by and by, so
        that what was computed before a run was killed is not lost either.

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

    def forecast(
        self, dataset: Dataset, cut: int, *, scale: float = 1.0, view: View | None = None
    ) -> float:
        """Return the seconds that `extract` will take for the rows that are not kept yet.

        Where nothing was computed at this cut and size so far, some of them are now, and kept.
        """
        preprocessing = self.backbone.preprocessing.resized(scale)
        if cut == 0:
            return 0.0
        place = self._place(cut, preprocessing)
        kept, names = self._kept(dataset, cut, preprocessing, view or View())
        absent = kept.absent(names)
        while absent and place not in self.rates:
            some = _few(dataset, absent, preprocessing)
            self.extract(dataset.take(some), cut, scale=scale, view=view)
            # another process may have computed just these: then others are
            absent = absent if self.cache is None else kept.absent(names)
        return len(absent) / self.rates[place] if absent else 0.0

    def pace(self, cut: int, *, scale: float = 1.0) -> float | None:
        """Return how many rows a second are computed at a cut, as last measured; None if never.

        Where nothing had to be computed it is what an earlier process found, of other rows maybe.
        """
        preprocessing = self.backbone.preprocessing.resized(scale)
        place = self._place(cut, preprocessing)
        if place not in self.rates and place not in self._earlier:
            known = read_json(self._pace_record(cut, preprocessing))
            rate = known.get("rate") if isinstance(known, dict) else None
            self._earlier[place] = rate if isinstance(rate, float) and rate > 0 else None
        return self.rates.get(place) or self._earlier.get(place)

    def _pace_record(self, cut: int, preprocessing: Preprocessing) -> Path:
        where = [device().type, cores(), *machine(), *self.order]
        settings = digest_data(dict(preprocessing.settings))
        named = ["pace", self.digest, self.backbone.cut_name(cut), settings, *where]
        return engines_folder() / f"{digest_data(named)[:32]}.json"

    def _extract(
        self, dataset: Dataset, cut: int, scale: float, view: View, late: Callable[[], bool]
    ) -> Values:
        preprocessing = self.backbone.preprocessing.resized(scale)
        if self.divides and cut < self.backbone.end:
            raise ValueError("inputs that are divided can be computed at the end alone")
        if cut == 0:  # nothing is frozen: the inputs themselves travel
            return inputs(dataset, preprocessing, view=view, cache=self.cache, late=late)
        kept, names = self._kept(dataset, cut, preprocessing, view)
        chosen = self.engine(dataset, cut, preprocessing)
        half = chosen.precision == "bf16" and cut < self.backbone.end
        at_end = cut == self.backbone.end
        place = self._place(cut, preprocessing)
        before = self.rates.get(place)
        values = _computed_once(
            kept,
            names,
            lambda absent: _Asked(dataset, absent, preprocessing, view).computed(chosen.engine),
            lambda values: _stored(values, half, at_end),
            late,
            lambda rate, rows: self._note(place, rate, rows),
        )
        if self.rates.get(place) != before and self.cache is not None:
            write_json(self._pace_record(cut, preprocessing), {"rate": self.rates[place]})
        return values

    def _kept(
        self, dataset: Dataset, cut: int, preprocessing: Preprocessing, view: View
    ) -> tuple[KeptRows, Sequence[str]]:
        """Return where the values of rows are kept, and by which names."""
        chosen = self.engine(dataset, cut, preprocessing)
        engine = [chosen.name, chosen.precision, *machine()]
        return _rows_under(
            lambda: _key(self.digest, self.backbone.cut_name(cut), preprocessing, view, engine),
            dataset,
            self.cache,
        )

    def _note(self, place: str, rate: float, rows: int) -> None:
        """Note how fast a place is; a few rows tell it only where nothing else does."""
        if rows >= MEASURED or place not in self.rates:
            self.rates[place] = rate

    def _place(self, cut: int, preprocessing: Preprocessing) -> str:
        return f"{cut}@{preprocessing.settings.get('size', preprocessing.settings)}"


def prepare(source: LoadedSource) -> Chosen:
    """Compile a source's frozen layers ahead of the first rows, and return the engine.

    On rows of made-up content it is checked as it will be on the user's own.
    """
    backbone = source.backbone
    settings = backbone.preprocessing.settings
    random = np.random.default_rng(0)
    batch = {}
    for name, value in backbone.example.items():
        if name == "pixels":
            size = int(settings.get("size", value.shape[-1]))
            batch[name] = random.integers(0, 256, (SAMPLE, 3, size, size), np.uint8)
            continue
        length = int(settings.get("max_length", value.shape[1]))
        shape = (SAMPLE, length, *value.shape[2:])
        if value.is_floating_point():
            batch[name] = random.standard_normal(shape, np.float32)
        else:  # numbers of tokens and masks, as of texts that fill the window
            content = value.numpy() if name == "input_ids" else np.ones_like(value.numpy())
            batch[name] = np.resize(content, shape)
    extractor = Extractor(backbone, source.digest)
    return extractor.prepared(batch, backbone.end, backbone.preprocessing)


def inputs(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    view: View | None = None,
    cache: ActivationCache | None = None,
    late: Callable[[], bool] = lambda: False,
) -> Values:
    """Return what a network is given of all rows: pictures decoded, texts as token numbers.

    They depend on no network, so that all who prepare rows alike share them.

    Raises
    ------
    OutOfTime
        If `late` said so before all rows were decoded.
    """
    view = view or View()
    kept, names = _rows_under(lambda: _key("", "inputs", preprocessing, view, ""), dataset, cache)
    return _computed_once(
        kept,
        names,
        lambda absent: _Asked(dataset, absent, preprocessing, view).prepared(),
        lambda values: values,
        late,
    )


def _key(source: str, cut: str, preprocessing: Preprocessing, view: View, engine: object) -> str:
    settings = [preprocessing.settings, preprocessing.files]
    views = [view.index, view.policy, view.seed] if view.index else 0
    return key_of(source, cut, settings, views, engine)


def _rows_under(
    key: Callable[[], str], dataset: Dataset, cache: ActivationCache | None
) -> tuple[KeptRows, Sequence[str]]:
    """Return where rows are kept, and their names there.

    The key is asked for only where it is needed: it takes a digest of the whole tokenizer.
    """
    if not all(dataset.digests):  # they were not looked at: each is by itself
        return KeptRows(), [str(i) for i in range(len(dataset))]
    return KeptRows() if cache is None else cache.rows(key()), dataset.digests


def _few(dataset: Dataset, rows: Sequence[int], preprocessing: Preprocessing) -> list[int]:
    """Return some rows at even distances: `MEASURED` of them, or as many as have so many pieces."""
    apart = math.ceil(len(rows) / MEASURED)
    some = list(rows[::apart])
    modality = modalities.get(dataset.modality)
    pieces = modality.pieces([dataset.inputs[i] for i in some], preprocessing)
    return some[: max(1, int(np.searchsorted(np.cumsum(pieces), MEASURED, side="right")))]


def _computed_once(
    kept: KeptRows,
    names: Sequence[str],
    compute: Callable[[Sequence[int]], Stream],
    stored: Callable[[Boundary], Boundary],
    late: Callable[[], bool],
    paced: Callable[[float, int], None] = lambda _rate, _rows: None,
) -> Values:
    """Return the values of all rows; those that are not kept yet are computed, and kept.

    Parameters
    ----------
    compute
        Yields (rows, values) of the rows that are asked for, batch by batch.
    stored
        Makes of a batch's values what is kept of them.
    paced
        Is told how many rows a second are computed, and from how many rows that is known.
    """
    absent = kept.absent(names)
    if absent:
        done = 0
        with contextlib.closing(compute(absent)) as stream, _Pending(names, kept) as pending:
            started = time.monotonic()
            for rows, values in stream:
                pending.add(rows, stored(values))
                done += len(rows)
                paced(done / max(time.monotonic() - started, 1e-6), done)
                if done < len(absent) and late():
                    raise OutOfTime(f"{done} of {len(absent)} rows")
    return kept.values(names)


class _Pending:
    """Values on their way into the cache: by and by, and whatever is left at the end."""

    def __init__(self, names: Sequence[str], kept: KeptRows) -> None:
        self._names = names
        self._kept = kept
        self._begin()

    def __enter__(self) -> _Pending:
        return self

    def __exit__(self, *_error: object) -> None:
        self._flush()

    def add(self, rows: Sequence[int], values: Boundary) -> None:
        self._rows.extend(rows)
        self._values.append(values)
        self._bytes += sum(v.numel() * v.element_size() for v in values.values())
        late = time.monotonic() > self._since + SHARD_SECONDS
        if late or self._bytes > SHARD or len(self._rows) >= SHARD_ROWS:
            self._flush()
            trim()

    def _flush(self) -> None:
        if self._rows:
            self._kept.add([self._names[i] for i in self._rows], below(self._values))
        self._begin()

    def _begin(self) -> None:
        self._rows: list[int] = []
        self._values: list[Boundary] = []
        self._bytes = 0
        self._since = time.monotonic()


@dataclass(frozen=True)
class _Asked:
    """Rows of a data set that shall be computed."""

    dataset: Dataset
    rows: Sequence[int]
    preprocessing: Preprocessing
    view: View

    def batches(self, most: int) -> Iterator[tuple[list[int], list[int]]]:
        """Yield (rows, pieces of each): at most so many pieces, or those of a single row.

        There are fewer where the modality says so: what is fastest was measured on other rows.
        """
        modality = modalities.get(self.dataset.modality)
        inputs = [self.dataset.inputs[i] for i in self.rows]
        order = [self.rows[i] for i in modality.order(inputs)]
        rows: list[int] = []
        pieces: list[int] = []
        held = most
        for start in range(0, len(order), COUNTED):
            group = order[start : start + COUNTED]
            counts = modality.pieces([self.dataset.inputs[i] for i in group], self.preprocessing)
            for row, count in zip(group, counts, strict=True):
                if rows and sum(pieces) + count > held:
                    yield rows, pieces
                    rows, pieces = [], []
                if not rows:  # the longest of its batch
                    longest = self.dataset.inputs[row]
                    held = min(most, modality.at_once(longest, self.preprocessing) or most)
                rows.append(row)
                pieces.append(count)
        if rows:
            yield rows, pieces

    def decoded(self, rows: Sequence[int]) -> Batch:
        """Return some rows as an engine takes them."""
        return _collate(self.dataset, rows, self.preprocessing, self.view)

    def computed(self, engine: Engine) -> Stream:
        """Yield (rows, values) batch by batch; the next ones are decoded while one is computed."""
        coming, decoding = itertools.tee(self.batches(engine.batch))
        with ThreadPoolExecutor(cores()) as pool:
            decoded = ahead(pool, self.decoded, (rows for rows, _ in decoding))
            with contextlib.closing(decoded), contextlib.closing(engine.run(decoded)) as found:
                for (rows, pieces), values in zip(coming, found, strict=True):
                    yield rows, pooled(values, pieces) if self.preprocessing.divides else values

    def prepared(self) -> Stream:
        """Yield (rows, inputs) batch by batch; the next ones are decoded meanwhile."""
        coming, decoding = itertools.tee(rows for rows, _ in self.batches(BATCH))
        with (
            ThreadPoolExecutor(cores()) as pool,
            contextlib.closing(ahead(pool, self.decoded, decoding)) as decoded,
        ):
            for rows, batch in zip(coming, decoded, strict=True):
                yield rows, {name: torch.from_numpy(value) for name, value in batch.items()}


def pooled(values: Boundary, pieces: Sequence[int]) -> Boundary:
    """Return the mean over the pieces of each row, which follow one another.

    The pieces of a row are of about one size, so that each counts as much as another. Inputs that
    an engine hands on (token numbers, masks) have no mean and are left out.
    """
    return {
        name: torch.stack([piece.mean(0) for piece in value.split(list(pieces))])
        for name, value in values.items()
        if value.is_floating_point()
    }


def _collate(
    dataset: Dataset, rows: Sequence[int], preprocessing: Preprocessing, view: View
) -> Batch:
    modality = modalities.get(dataset.modality)
    cells = [dataset.inputs[i] for i in rows]
    return modality.collate(cells, [dataset.digests[i] for i in rows], preprocessing, view)


def _stored(values: Boundary, half: bool, at_end: bool) -> Boundary:
    """Return what is kept of values: in half precision, or without inputs of which nothing asks.

    At the end of a backbone that gives one vector a row, token numbers and masks tell nothing.
    """
    vectors = {n: v for n, v in values.items() if v.is_floating_point()}
    if at_end and all(value.ndim == 2 for value in vectors.values()):
        return vectors
    if not half:
        return values
    return {n: v.to(torch.bfloat16) if n in vectors else v for n, v in values.items()}
