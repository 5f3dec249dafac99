"""The right-sized small model for texts: TF-IDF of words and word pairs, then a linear model.

Of several texts in a row the terms are counted apart, and what they have in common besides: a
linear model cannot see by itself that a word of one text is also in the other.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities.text import fields
from headstart.models import Model, Response, Saved, model_kinds

LONGEST = 20_000
"""Characters of a text that are looked at."""
HASHED = 1_024
"""Columns into which words are hashed, for telling texts unlike those it learnt from."""
_WORD = r"(?u)\b\w+\b"


def vectoriser(vocabulary: dict[str, int] | None = None, most: int | None = None) -> Any:
    """Return scikit-learn's TF-IDF of words and word pairs, with logarithmic counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(
        ngram_range=(1, 2), strip_accents="unicode", token_pattern=_WORD
    ).build_analyzer()

    def terms(texts: tuple[str, ...]) -> list[str]:
        found = [words(text) for text in texts]
        return found[0] if len(found) == 1 else _apart(found)

    return TfidfVectorizer(
        analyzer=terms, sublinear_tf=True, vocabulary=vocabulary, max_features=most
    )


def _apart(found: list[list[str]]) -> list[str]:
    """Return the terms of several texts: each with its text's number, and what all have in common.

    These are the shared words, and a term for every tenth that they are of the shortest text's.
    """
    numbered = [f"{number} {term}" for number, terms in enumerate(found, 1) for term in terms]
    words = [{term for term in terms if " " not in term} for terms in found]
    shared = set.intersection(*words)
    tenths = round(10 * len(shared) / max(1, min(map(len, words))))
    return [
        *numbered,
        *(f"shared {word}" for word in sorted(shared)),
        *(f"shared {tenth}/10" for tenth in range(1, tenths + 1)),
    ]


@functools.cache
def _hashing() -> Any:
    """Return scikit-learn's counts of words, hashed with random signs, each text at length one.

    Distances stay nearly as they are among all words, without a vocabulary (Weinberger et al.,
    Feature Hashing for Large Scale Multitask Learning, ICML 2009).
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(n_features=HASHED, strip_accents="unicode", token_pattern=_WORD)


def texts_of(rows: Dataset) -> list[tuple[str, ...]]:
    """Return the beginnings of each row's texts: one, or several."""
    return [tuple(text[:LONGEST] for text in fields(cell)) for cell in rows.of("text").inputs]


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
        counts = torch.from_numpy(_hashing().transform(map(" ".join, texts)).toarray())
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
