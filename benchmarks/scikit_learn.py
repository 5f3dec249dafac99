"""Scikit-learn's cross-validation, five folds of 500 BBC News articles: each is embedded once."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import unittest.mock
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import cross_val_score

import headstart as hs
from headstart.features.extract import Extractor
from headstart.places import cache_folder
from records import keep
from targets import bbc_articles

ROWS = 500
FOLDS = 5


class Recomputing(hs.TransferClassifier):
    """Forgets every row before it is fitted and before it predicts."""

    def fit(self, X: Any, y: Any) -> Recomputing:
        """Fit as ever, on rows that were never seen."""
        forget()
        super().fit(X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict as ever, rows that were never seen."""
        forget()
        return super().predict(X)


def forget() -> None:
    """Delete the values of rows that were computed."""
    shutil.rmtree(cache_folder() / "activations", ignore_errors=True)


def scored(model: hs.TransferClassifier, X: list[str], y: list[str]) -> dict[str, Any]:
    """Cross-validate; return seconds, accuracy, and how many rows went through the engine.

    The eight rows on which an engine is checked when it is compiled do not count.
    """
    counts: list[int] = []
    note = Extractor._note

    def counting(self: Extractor, place: str, rate: float, rows: int) -> None:
        counts.append(rows)
        note(self, place, rate, rows)

    with unittest.mock.patch.object(Extractor, "_note", counting):
        started = time.perf_counter()
        scores = cross_val_score(model, X, y, cv=FOLDS, error_score="raise")
        seconds = time.perf_counter() - started
    return {
        "rows_through_the_engine": sum(counts),
        "seconds": round(seconds, 2),
        "accuracy": round(float(scores.mean()), 4),
        "folds": [round(float(score), 4) for score in scores],
    }


def main() -> None:
    """Compare the estimator with one that computes every fold anew, and keep the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles = bbc_articles(place / "wheel")
        topics = {
            article.read_text(encoding="utf-8", errors="replace").strip(): article.parent.name
            for article in articles
        }
        distinct = sorted(topics)  # some articles stand there twice
        X = [distinct[i] for i in np.random.default_rng(0).permutation(len(distinct))[:ROWS]]
        y = [topics[text] for text in X]
        sources = cache_folder() / "sources"
        os.environ["HEADSTART_CACHE"] = str(place / "cache")
        (place / "cache").mkdir()
        (place / "cache" / "sources").symlink_to(sources)
        hs.embed(X[:16])  # both find the network loaded and compiled
        forget()
        once = scored(hs.TransferClassifier(), X, y)
        anew = scored(Recomputing(), X, y)
    keep(
        "scikit_learn",
        {
            "rows": ROWS,
            "folds": FOLDS,
            "kept_by_row": once,
            "computed_in_every_fold": anew,
            "times_faster": round(anew["seconds"] / once["seconds"], 2),
        },
    )


if __name__ == "__main__":
    main()
