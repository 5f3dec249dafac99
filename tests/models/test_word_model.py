"""The right-sized small model for texts, against scikit-learn's own pipeline."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from headstart.models import restore
from headstart.models.word_model import HASHED, LONGEST, WordModel, texts_of, vectoriser

TEXTS = ["the cat sat on the mat", "a dog sat", "the dog and the cat", "ÉTÉ à la plage: 1 chat"]


@pytest.fixture
def model():
    counted = vectoriser()
    counted.fit([(text,) for text in TEXTS])
    random = torch.Generator().manual_seed(0)
    terms = counted.get_feature_names_out().tolist()
    weight = torch.randn(3, len(terms), generator=random)
    idf = torch.from_numpy(counted.idf_).float()
    return WordModel(terms, idf, weight, torch.tensor([0.1, 0.2, 0.3]))


def test_logits_are_linear_in_scikit_learn_s_tfidf(model, dataset_of):
    reference = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", token_pattern=r"\b\w+\b"
    ).fit(TEXTS)
    new = ["the dog sat on a chat", "nothing of it"]
    found = model.outputs(dataset_of(TEXTS + new))
    expected = reference.transform(TEXTS + new) @ model.weight.numpy().T + model.bias.numpy()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert found.dtype == torch.float32


def test_a_text_without_known_words_gets_the_bias(model, dataset_of):
    assert model.outputs(dataset_of(["!!!"]))[0].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_restored_it_answers_the_same(model, dataset_of):
    rows = dataset_of([*TEXTS, "la plage"])
    again = restore(model.saved())
    assert torch.equal(again.outputs(rows), model.outputs(rows))


def test_it_is_saved_as_numbers_and_a_list_of_words(model):
    saved = model.saved()
    assert set(saved.tensors) == {"idf", "weight", "bias"}
    assert json.loads(saved.texts["terms.json"]) == model.terms
    json.dumps(saved.config)


def test_of_long_texts_the_beginning_is_read(dataset_of):
    assert texts_of(dataset_of(["x" * (LONGEST + 5)])) == [("x" * LONGEST,)]


def test_of_several_texts_terms_are_counted_apart_and_what_is_shared_besides(dataset_of):
    [texts] = texts_of(dataset_of([("a cat", "the cat sat")]))
    terms = vectoriser().build_analyzer()(texts)
    first, second = ["a", "cat", "a cat"], ["the", "cat", "sat", "the cat", "cat sat"]
    apart = [*(f"1 {term}" for term in first), *(f"2 {term}" for term in second)]
    # of the two words of the shorter text one is shared
    assert terms == [*apart, "shared cat", *(f"shared {tenth}/10" for tenth in range(1, 6))]
    assert vectoriser().build_analyzer()(("a cat",)) == ["a", "cat", "a cat"]


def test_a_model_of_pairs_is_restored_with_its_answers(dataset_of):
    pairs = [("a cat", "the cat"), ("a dog", "a cat")]
    counted = vectoriser().fit(pairs)
    terms = counted.get_feature_names_out().tolist()
    weight = torch.arange(len(terms)).float()[None]
    made = WordModel(terms, torch.from_numpy(counted.idf_).float(), weight, torch.zeros(1))
    rows = dataset_of([*pairs, ("the cat", "a cat")])
    found = restore(made.saved()).outputs(rows)
    assert torch.equal(found, made.outputs(rows)) and len(set(found.flatten().tolist())) == 3


def test_features_are_the_counts_of_all_words_known_or_not(model, dataset_of):
    texts = ["the cat the dog", "The CAT, the dog!", "zebras graze", "zebras sleep", "..."]
    features = model.respond(dataset_of(texts)).features
    assert features.shape == (5, HASHED) and features.dtype == torch.float32
    # all words in buckets of their own: cosines are those of their counts
    expected = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0.5, 1]])
    np.testing.assert_allclose((features @ features.T)[:4, :4], expected, atol=1e-6)
    assert not features[4].any()


def test_features_do_not_depend_on_what_was_learnt(model, dataset_of):
    other = WordModel(["zebra"], torch.ones(1), torch.ones(3, 1), torch.zeros(3))
    rows = dataset_of(["the zebra sat", *TEXTS])
    assert torch.equal(other.respond(rows).features, model.respond(rows).features)
