"""The right-sized small model for texts: TF-IDF of words and word pairs, then a linear model."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities.text import load
from headstart.models import Model, Response, Saved, model_kinds

LONGEST = 20_000
"""Characters of a text that are looked at."""
HASHED = 1_024
"""Columns into which words are hashed, for telling texts unlike those it learnt from."""
_WORD = r"(?u)\b\w+\b"


def vectoriser(vocabulary: dict[str, int] | None = None, most: int | None = None) -> Any:
    """Return scikit-learn's TF-IDF of words and word pairs, with logarithmic counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        strip_accents="unicode",
        token_pattern=_WORD,
        vocabulary=vocabulary,
        max_features=most,
    )


@functools.cache
def _hashing() -> Any:
    """Return scikit-learn's counts of words, hashed with random signs, each text at length one.

    Distances stay nearly as they are among all words, without a vocabulary (Weinberger et al.,
    Feature Hashing for Large Scale Multitask Learning, ICML 2009).
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(n_features=HASHED, strip_accents="unicode", token_pattern=_WORD)


def texts_of(rows: Dataset) -> list[str]:
    """Return the beginning of each text."""
    return [load(cell)[:LONGEST] for cell in rows.inputs]


class WordModel(Model):
    """Logits that are linear in TF-IDF; vocabulary and numbers are data, nothing is pickled.

    Parameters
    ----------
    terms
        Words and word pairs, in the order of the columns.
    idf
        (terms,) inverse document frequencies.
    weight, bias
        (outputs, terms) and (outputs,).
    """

    def __init__(self, terms: list[str], idf: Tensor, weight: Tensor, bias: Tensor) -> None:
        self.terms = terms
        self.idf = idf
        self.weight = weight
        self.bias = bias
        self._vectoriser = vectoriser({term: i for i, term in enumerate(terms)})
        self._vectoriser.idf_ = idf.double().numpy()

    def respond(self, rows: Dataset) -> Response:
        """Return logits (rows, outputs), and hashed counts of all words (rows, `HASHED`).

        Not TF-IDF itself: it does not see words that it has not learnt, and after a refit it has
        learnt those of the rows that were held out, to which others would not compare.
        """
        texts = texts_of(rows)
        tfidf = self._vectoriser.transform(texts)
        logits = tfidf @ self.weight.double().numpy().T + self.bias.double().numpy()
        counts = torch.from_numpy(_hashing().transform(texts).toarray())
        return Response(torch.from_numpy(np.asarray(logits)).float(), counts.float())

    def saved(self) -> Saved:
        """Return numbers as tensors, terms as a JSON list."""
        tensors = {"idf": self.idf, "weight": self.weight, "bias": self.bias}
        return Saved("words", {}, tensors, {"terms.json": json.dumps(self.terms)})


def restore_words(saved: Saved) -> WordModel:
    """Return a saved model."""
    tensors = saved.tensors
    terms = json.loads(saved.texts["terms.json"])
    return WordModel(terms, tensors["idf"], tensors["weight"], tensors["bias"])


model_kinds.register("words", restore_words)
