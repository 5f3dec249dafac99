"""The right-sized small model for texts: TF-IDF of words and word pairs, then a linear model."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities.text import load
from headstart.models import Model, Response, Saved, model_kinds

LONGEST = 20_000
"""Characters of a text that are looked at."""
HASHED = 2_048
"""Columns into which terms are hashed, for telling texts unlike those it learnt from."""


def vectoriser(vocabulary: dict[str, int] | None = None, most: int | None = None) -> Any:
    """Return scikit-learn's TF-IDF of words and word pairs, with logarithmic counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        strip_accents="unicode",
        token_pattern=r"(?u)\b\w+\b",
        vocabulary=vocabulary,
        max_features=most,
    )


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
        clean, split = self._vectoriser.build_preprocessor(), self._vectoriser.build_tokenizer()
        self._words: Callable[[str], list[str]] = lambda text: split(clean(text))

    def respond(self, rows: Dataset) -> Response:
        """Return logits (rows, outputs), and TF-IDF made dense with the share of known words.

        The features are the terms hashed into `HASHED` columns with random signs, which keeps
        distances nearly as they are (Weinberger et al., Feature Hashing for Large Scale Multitask
        Learning, ICML 2009), and a last column: TF-IDF alone leaves unknown words out.
        """
        texts = texts_of(rows)
        tfidf = self._vectoriser.transform(texts)
        logits = tfidf @ self.weight.double().numpy().T + self.bias.double().numpy()
        features = np.column_stack([(tfidf @ self._hashes).toarray(), self._known(texts)])
        return Response(
            torch.from_numpy(np.asarray(logits)).float(), torch.from_numpy(features).float()
        )

    @functools.cached_property
    def _hashes(self) -> Any:
        """Return the sparse matrix (terms, `HASHED`) with a sign in each row."""
        from sklearn.feature_extraction import FeatureHasher

        return FeatureHasher(HASHED, input_type="string").transform([[t] for t in self.terms])

    def _known(self, texts: list[str]) -> list[float]:
        """Return the share of each text's words that stand in the vocabulary."""
        words_of, known = self._words, self._vectoriser.vocabulary_
        found = [[word in known for word in words_of(text)] for text in texts]
        return [sum(words) / max(1, len(words)) for words in found]

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
