"""Whisper's encoder on as many positions as a phrase needs, beside thirty seconds in eager PyTorch.

From files to features, of the phrases that Tux Paint says in Spanish, with more and more silence
after each; and the error rate of words that the source itself makes from these, on English
sentences that espeak-ng reads aloud.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from accents import ACCENTS, read_aloud
from benches import bench_of
from headstart.data.dataset import Dataset
from headstart.data.inputs import rows_from
from headstart.features.engines import engine_order
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
"""Seconds of silence after a phrase that fill the window, which is cut there; in eager PyTorch."""
TAILS = (0.5, 1.0, 2.0, 4.0, 8.0, WHOLE)
"""Seconds of silence after a phrase: classes are told by the first, texts are written from four."""
HEARD = 100
"""English sentences that are written down with each."""
ACCENT = "America"


def opened(tail: float, eager: bool = False) -> Extractor:
    """Return the source on phrases with so many seconds of silence after each."""
    loaded = load_source(find_source(SOURCE), "text")
    known = loaded.backbone.preprocessing
    loaded.backbone.preprocessing = replace(known, settings={**known.settings, "tail": tail})
    order = ("eager",) if eager else engine_order()
    return Extractor(loaded.backbone, f"{loaded.digest} {tail}", cache=None, order=order)


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
    """Measure all lengths in one run."""
    phrases = rows_from([recording for recording, _ in spoken("es")], "audio")
    slow = throughput(opened(WHOLE, eager=True), phrases.take(range(EAGER)))
    tails: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        said = read_aloud(Path(scratch), {ACCENT: ACCENTS[ACCENT]})[ACCENT].take(range(HEARD))
        for tail in TAILS:
            extractor = opened(tail)
            rate = slow if tail == WHOLE else throughput(extractor, phrases)
            tails[f"{tail:g} s"] = {
                "rows_a_second": rate,
                "times": rate / slow,
                "wer": errors(extractor, said),
            }
    keep(
        "encoding",
        {"source": SOURCE, "phrases": len(phrases), "sentences": HEARD, "tails": tails},
    )


if __name__ == "__main__":
    main()
