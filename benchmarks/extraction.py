"""From files on disk to features in the cache, against what the engine gives at its very best.

The best of OpenVINO is what it computes when nobody has to decode: the same batches over and over,
in whichever number of streams and batch size is fastest. Rates are compared in turns, and the
ratios are medians over the turns. The engine is converted and checked beforehand: what that takes
is kept by itself.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.modalities import View, modalities
from headstart.data.reading import read
from headstart.devices import cores
from headstart.features.cache import ActivationCache
from headstart.features.engines import Batch, engines_folder
from headstart.features.engines import openvino as engine
from headstart.features.extract import Extractor, _Asked
from headstart.sources.catalogue import sources
from headstart.sources.loading import LoadedSource, load_source
from records import keep
from targets import bbc_articles, bbc_folders, fashion_folder, stamps

TURNS = 3
EAGER = (16, 64)
"""Rows at a time that eager PyTorch computes: about its best, and fastai's default."""
SIDE = 500
"""Pixels of the photographs that stamps are pasted into."""
SECONDS = 2.0
"""That OpenVINO is measured for, at each of its settings."""


def photographs(folder: Path, seed: int = 0) -> Path:
    """Paste each stamp on a noisy background, and save it as a JPEG of `SIDE` pixels."""
    random = np.random.default_rng(seed)
    for i, stamp in enumerate(stamps()):
        with Image.open(stamp) as opened:
            thing = opened.convert("RGBA")
        thing.thumbnail((SIDE - 20, SIDE - 20))
        coarse = random.integers(0, 256, (12, 12, 3), np.uint8)
        canvas = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        canvas.paste(thing, (10, 10), thing.getchannel("A"))
        place = folder / ("odd" if i % 2 else "even")
        place.mkdir(parents=True, exist_ok=True)
        canvas.save(place / f"{i}.jpg", quality=90)
    return folder


class Bench:
    """One source on one data set."""

    def __init__(self, source: LoadedSource, rows: Dataset, cache: Path) -> None:
        self.backbone = source.backbone
        self.rows = rows
        self.cache = cache
        self.digest = source.digest
        started = time.monotonic()
        self.extractor = self.fresh("warm")
        self.chosen = self.extractor.engine(rows, self.backbone.end, self.backbone.preprocessing)
        self.runs = self.chosen.engine
        self.preparing = time.monotonic() - started

    def fresh(self, name: str) -> Extractor:
        """Return an extractor over an empty cache."""
        return Extractor(self.backbone, self.digest, ActivationCache(self.cache / name))

    def asked(self, rows: int) -> _Asked:
        """Return the first rows, as they are decoded for the network."""
        return _Asked(self.rows, range(rows), self.backbone.preprocessing, View())

    def extracting(self, turn: int) -> tuple[float, float]:
        """Return the seconds of extracting all rows, and of asking for them again."""
        extractor = self.fresh(str(turn))
        extractor.chosen = self.extractor.chosen
        seconds = timed(lambda: extractor.extract(self.rows, self.backbone.end))
        again = self.fresh(str(turn))  # as in another process
        return seconds, timed(lambda: again.extract(self.rows, self.backbone.end))

    def decoding(self) -> float:
        """Return the seconds of decoding all rows, on all cores, and nothing else."""
        return timed(lambda: deque(self.asked(len(self.rows)).prepared(), maxlen=0))

    def eager(self, batch: int) -> float:
        """Return the seconds that a row takes in eager PyTorch, its decoding included."""
        prefix = self.backbone.prefix(self.backbone.end)
        some = self.asked(max(EAGER))

        def run() -> None:
            with torch.no_grad():
                for rows, _ in some.batches(batch):
                    given = some.decoded(rows)
                    prefix(**{name: torch.from_numpy(value) for name, value in given.items()})

        return min(timed(run), timed(run)) / max(EAGER)

    def best(self, batches: Callable[[int], list[Batch]]) -> dict[str, Any]:
        """Return the most rows a second over streams and batch sizes, of decoded batches."""
        newest = max(engines_folder().glob("*/model.xml"), key=lambda p: p.parent.stat().st_mtime)
        model = engine._stored(newest.parent)
        found: dict[str, Any] = {"rate": 0.0}
        for streams in sorted({1, cores()}):
            compiled = engine._compiled(model, self.runs.precision, streams)
            for batch in engine.BATCHES:
                decoded = batches(batch)
                runner = engine.OpenVino(compiled, tuple(decoded[0]), (), batch)
                rows = sum(len(next(iter(b.values()))) for b in decoded)
                deque(runner.run(decoded[:2]), maxlen=0)
                rounds = 0
                started = time.monotonic()
                while time.monotonic() < started + SECONDS:
                    deque(runner.run(decoded), maxlen=0)
                    rounds += 1
                rate = rounds * rows / (time.monotonic() - started)
                if rate > found["rate"]:
                    found = {"rate": rate, "streams": streams, "batch": batch}
        return found


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def pictures(bench: Bench) -> Callable[[int], list[Batch]]:
    """Return what makes random batches of pictures."""
    size = int(bench.backbone.preprocessing.settings["size"])
    random = np.random.default_rng(0)

    def made(batch: int) -> list[Batch]:
        return [{"pixels": random.integers(0, 256, (batch, 3, size, size), np.uint8)}] * 8

    return made


def tokens(bench: Bench) -> Callable[[int], list[Batch]]:
    """Return what makes batches of the texts' own tokens, sorted by length."""
    rows = bench.rows

    def batches(batch: int) -> Iterator[Batch]:
        for numbers, _ in bench.asked(len(rows)).batches(batch):
            yield modalities.get("text").collate(
                [rows.inputs[i] for i in numbers],
                [rows.digests[i] for i in numbers],
                bench.backbone.preprocessing,
                View(),
            )

    return lambda batch: list(batches(batch))


def measured(bench: Bench, batches: Callable[[int], list[Batch]]) -> dict[str, Any]:
    """Return rates and ratios of one source on one data set."""
    rows = len(bench.rows)
    turns = []
    for turn in range(TURNS):
        best = bench.best(batches)
        seconds, again = bench.extracting(turn)
        decoding, eager = bench.decoding(), [bench.eager(batch) for batch in EAGER]
        turns.append(
            {
                "openvino": best,
                "rows_a_second": rows / seconds,
                "decoded_a_second": rows / decoding,
                "eager_a_second": [1 / one for one in eager],
                "of_openvinos_best": rows / seconds / best["rate"],
                "of_decoding_and_inference": (decoding + rows / best["rate"]) / seconds,
                "times_eager_at_its_best": rows * min(eager) / seconds,
                "times_eager": rows * eager[-1] / seconds,
                "second_run": again / seconds,
            }
        )
    ratios = (
        *("of_openvinos_best", "of_decoding_and_inference", "second_run"),
        *("times_eager", "times_eager_at_its_best"),
    )
    return {
        "rows": rows,
        "engine": bench.chosen.name,
        "precision": bench.chosen.precision,
        "batch": bench.runs.batch,
        "converting_and_checking": bench.preparing,
        **{name: statistics.median(float(turn[name]) for turn in turns) for name in ratios},
        "turns": turns,
    }


def main() -> None:
    """Measure pictures as PNG and JPEG, and texts."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles = bbc_articles(place / "wheel")
        texts, _ = bbc_folders(place / "bbc", articles, 600, 0)
        targets = {
            "fashion_png": ("bundled/efficientnet-lite0", fashion_folder, pictures),
            "photographs_jpeg": ("bundled/efficientnet-lite0", photographs, pictures),
            "bbc": ("bundled/minilm", None, tokens),
        }
        found = {}
        for name, (source, make, batches) in targets.items():
            if make is fashion_folder:
                folder = fashion_folder(place / name, "train", 2_000)
            else:
                folder = photographs(place / name) if make else texts
            bench = Bench(load_source(sources.get(source)), read(folder), place / f"{name}-cache")
            found[name] = measured(bench, batches(bench))
    keep("extraction", found)


if __name__ == "__main__":
    main()
