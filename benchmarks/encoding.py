"""Whisper's encoder on as many positions as a phrase has, beside thirty seconds in eager PyTorch.

From files to features, of the phrases that Tux Paint says in Spanish; and the error rate of words
that the source itself makes from either, on English sentences that espeak-ng reads aloud.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from accents import ACCENTS, read_aloud
from benches import bench_of
from headstart.data.dataset import Dataset
from headstart.data.inputs import rows_from
from headstart.features.extract import Extractor
from headstart.recipes import recipes
from headstart.search.trial import assign, run_trial
from headstart.sources.loading import load_source
from headstart.sources.opening import find_source
from headstart.tasks.transcripts import TRANSCRIPTS
from records import keep
from targets import spoken

SOURCE = "bundled/whisper-tiny-en"
EAGER = 48
"""Phrases that the slow way is measured on."""
WHOLE = 30.0
"""Seconds of silence after a phrase that fill the window, which is cut there."""
HEARD = 100
"""English sentences that are written down both ways."""
ACCENT = "America"


def opened(whole: bool) -> Extractor:
    """Return the source on what a phrase needs; or on thirty seconds, in eager PyTorch."""
    loaded = load_source(find_source(SOURCE), "text")
    if not whole:
        return Extractor(loaded.backbone, loaded.digest, cache=None)
    known = loaded.backbone.preprocessing
    settings = {**known.settings, "tail": WHOLE}
    loaded.backbone.preprocessing = replace(known, settings=settings)
    return Extractor(loaded.backbone, f"{loaded.digest} whole", cache=None, order=("eager",))


def throughput(extractor: Extractor, rows: Dataset) -> float:
    """Return rows a second, from files to features."""
    extractor.extract(rows.take(range(8)), extractor.backbone.end)  # converted before
    started = time.perf_counter()
    extractor.extract(rows, extractor.backbone.end)
    return len(rows) / (time.perf_counter() - started)


def errors(extractor: Extractor, rows: Dataset) -> float:
    """Return the error rate of words of the source as it is."""
    [recipe] = recipes.get("zero-shot")
    some = np.arange(len(rows))
    bench = bench_of(rows, {SOURCE: extractor}, some, some)
    fitted = run_trial(assign(bench, recipe, SOURCE, lambda: False)).fitted
    assert fitted is not None
    outputs = fitted.model.outputs(bench.train.data)
    return TRANSCRIPTS["wer"].score(outputs, bench.train.targets)


def main() -> None:
    """Measure both ways in one run."""
    phrases = rows_from([recording for recording, _ in spoken("es")], "audio")
    trimmed, whole = opened(whole=False), opened(whole=True)
    rates = {
        "trimmed": throughput(trimmed, phrases),
        "thirty seconds": throughput(whole, phrases.take(range(EAGER))),
    }
    with tempfile.TemporaryDirectory() as scratch:
        said = read_aloud(Path(scratch), {ACCENT: ACCENTS[ACCENT]})[ACCENT].take(range(HEARD))
        wer = {"trimmed": errors(trimmed, said), "thirty seconds": errors(whole, said)}
    found: dict[str, Any] = {"source": SOURCE, "phrases": len(phrases), "rows_a_second": rates}
    times = rates["trimmed"] / rates["thirty seconds"]
    keep("encoding", {**found, "times": times, "sentences": HEARD, "wer": wer})


if __name__ == "__main__":
    main()
