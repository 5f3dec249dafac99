"""The estimators: scikit-learn's conventions, and the features of each row computed once."""

from __future__ import annotations

import functools
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_predict
from sklearn.model_selection import cross_val_score as cross_validated
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

import headstart as hs
from headstart import api, estimators
from headstart.artifact.predictor import Predictor
from headstart.data.columns import Roles
from headstart.data.inputs import rows_from
from headstart.data.reading import read
from headstart.errors import DataError, SourceError, UsageError
from headstart.evidence.novelty import describe
from headstart.features import shared
from headstart.sources.loading import LoadedSource

WORDS = {
    "sport": "goal match team coach league striker referee season cup stadium",
    "money": "shares profit market bank investor inflation bond tax merger dividend",
    "weather": "rain storm cloud sunshine frost wind forecast snow thunder drizzle",
}


def news(rows=60):
    """Return texts of three topics, and the topics."""
    chance = np.random.default_rng(0)
    topics = [list(WORDS)[i % 3] for i in range(rows)]
    said = [chance.choice(WORDS[topic].split(), 4, replace=False) for topic in topics]
    return [f"The {a} and the {b}, {c}, {d}" for a, b, c, d in said], np.array(topics)


@pytest.fixture
def toys(computed, eager, toy_text, toy_image, monkeypatch):
    """The bundled sources are toys, in eager PyTorch; the list of rows that were computed."""

    def load(source, output):
        backbone = toy_image if source.modality == "image" else toy_text
        return LoadedSource(source, backbone, f"toy {source.id}")

    monkeypatch.setattr(shared, "load_source", load)
    return computed


@pytest.fixture
def texts(headlines):
    """Ninety texts that the toy reads, and their topics."""
    return list(headlines.inputs), np.array(headlines.targets[0].values)


@pytest.fixture
def pictures(squares):
    """Noisy squares (72, 24, 24, 3) uint8, and their colours."""
    pixels = np.stack([np.asarray(Image.open(path)) for path in squares.inputs])
    return pixels, np.array(squares.targets[0].values)


# ------------------------------------------------------------------------ each row is computed once


def test_cross_validation_computes_each_row_once(computed, one_thread):
    X, y = news()
    assert cross_validated(hs.TransferClassifier(), X, y, cv=5).mean() > 0.9
    assert sum(computed) == 60
    grid = GridSearchCV(hs.TransferClassifier(), {"recipe": ["probe", "layers"]}, cv=3)
    assert grid.fit(X, y).score(X, y) > 0.9
    assert sum(computed) == 60, "other folds, another recipe: the same rows"
    shared._open.clear()
    hs.TransferClassifier().fit(X[::2], y[::2])
    assert sum(computed) == 60, "another process would find them on disk"


# ---------------------------------------------------------------------- in scikit-learn's machinery


@pytest.mark.parametrize("recipe", ["probe", "layers"])
def test_texts_and_pictures_are_learnt(toys, texts, pictures, recipe):
    for (X, y), wanted in ((texts, 0.5), (pictures, 0.8)):  # by toys of random weights
        train, test = slice(0, None, 2), slice(1, None, 2)
        model = hs.TransferClassifier(recipe=recipe).fit(X[train], y[train])
        assert model.score(X[test], y[test]) > wanted
        assert model.classes_.tolist() == sorted(set(y))


def test_it_serves_in_grids_pipelines_and_folds(toys, texts):
    X, y = np.array(texts[0], object), texts[1]
    grid = GridSearchCV(
        hs.TransferClassifier(),
        {"recipe": ["probe", "layers"], "source": [None, "bundled/minilm"]},
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        error_score="raise",
    )
    assert set(grid.fit(X, y).best_params_) == {"recipe", "source"}
    assert grid.predict_proba(X).shape == (90, 3)
    assert sum(toys) == len(set(texts[0]))
    predicted = cross_val_predict(hs.TransferClassifier(), X, y, cv=3)
    assert predicted.dtype == y.dtype and (predicted == y).mean() > 0.8


def test_it_takes_what_pipelines_and_column_transformers_hand_over(toys, texts):
    table = pd.DataFrame({"text": texts[0], "more": range(90)})
    chosen = ColumnTransformer([("text", "passthrough", ["text"])])
    lowered = FunctionTransformer(lambda column: [cell.lower() for cell in column])
    by_column = make_pipeline(chosen, hs.TransferClassifier()).fit(table, texts[1])
    by_list = make_pipeline(lowered, hs.TransferClassifier()).fit(texts[0], texts[1])
    by_series = hs.TransferClassifier().fit(table["text"], pd.Series(texts[1], index=table.index))
    expected = by_series.predict_proba(texts[0])
    np.testing.assert_allclose(by_column.predict_proba(table), expected, atol=1e-6)
    np.testing.assert_allclose(by_list.predict_proba(texts[0]), expected, atol=1e-6)


def test_pictures_come_as_arrays_pictures_or_paths(toys, pictures, squares):
    pixels, y = pictures
    model = hs.TransferClassifier().fit(pixels, y)
    expected = model.decision_function(pixels)
    for X in ([Image.fromarray(p) for p in pixels], squares.inputs, list(map(str, squares.inputs))):
        np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-5)
    assert sum(toys) == 72


@pytest.mark.parametrize(
    "labels",
    [
        ["sport", "money", "tax"],
        [10, 2, 1],
        [True, False],
        np.array([3, 1], np.uint8),
        np.array(["b", "a"], object),
        np.array([2.0, 1.0]),
    ],
    ids=lambda labels: f"{np.array(labels).dtype}",
)
def test_predictions_are_labels_of_the_type_in_which_they_came(toys, texts, labels):
    labels = np.array(labels)
    X = [texts[0][i] for i in range(90) if i % 3 < len(labels)]
    y = np.array([labels[i % 3] for i in range(90) if i % 3 < len(labels)], labels.dtype)
    model = hs.TransferClassifier().fit(X, y.tolist() if labels.dtype == bool else y)
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype and model.classes_.dtype == y.dtype
    assert (predicted == y).mean() > 0.9
    np.testing.assert_array_equal(model.classes_, np.unique(y))


def test_probabilities_and_decisions_agree_with_predictions(toys, texts):
    X, y = texts
    for few in (2, 3):
        rows = [i for i in range(90) if i % 3 < few]
        model = hs.TransferClassifier().fit([X[i] for i in rows], y[rows])
        probability, decision = model.predict_proba(X), model.decision_function(X)
        np.testing.assert_allclose(probability.sum(1), 1)
        best = model.classes_[probability.argmax(1)]
        np.testing.assert_array_equal(best, model.predict(X))
        if few == 2:
            assert decision.shape == (90,)
            np.testing.assert_allclose(probability[:, 1], 1 / (1 + np.exp(-decision)), atol=1e-9)
        else:
            np.testing.assert_array_equal(decision.argmax(1), probability.argmax(1))


def test_parameters_are_stored_as_they_are_and_cloned():
    given = {"source": "x", "recipe": "?", "budget": "1s", "metric": "m", "seed": 3}
    for kind in (hs.TransferClassifier, hs.TransferRegressor):
        model = kind(**given)
        assert model.get_params() == clone(model).get_params() == given
        assert model.set_params(recipe="probe").recipe == "probe"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"recipe": "finest"}, UsageError, "recipe='finest' is none of 'probe', 'layers', 'race'"),
        ({"recipe": "race"}, UsageError, "needs a budget"),
        ({"budget": "9s"}, UsageError, "budget is for recipe='race'"),
        ({"metric": "beauty"}, UsageError, "no metric 'beauty'"),
        ({"source": "bundled/minilmm"}, SourceError, "Did you mean bundled/minilm"),
        ({"source": "bundled/efficientnet-lite0"}, DataError, "row 0: no such file"),
    ],
)
def test_parameters_are_checked_when_it_is_fitted(toys, texts, given, error, said):
    with pytest.raises(error, match=said):
        hs.TransferClassifier(**given).fit(*texts)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["a"] * 90, r"y has one class, \['a'\]; two are needed"),
        (["a", "b"], "X has 90 rows, but y has 2"),
        ([" ", "b"] * 45, "told apart by their text"),
        (np.linspace(0, 1, 90), "Unknown label type"),
        (None, "requires y"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(toys, texts, y, said):
    with pytest.raises(ValueError, match=said):
        hs.TransferClassifier().fit(texts[0], y)


def test_bad_rows_are_set_aside_in_fitting_and_refused_in_predicting(toys, texts):
    X, y = list(texts[0]), texts[1]
    X[4], X[7] = None, "  "
    with pytest.warns(UserWarning, match="rows set aside: row 4: missing; row 7: an empty text"):
        model = hs.TransferClassifier().fit(X, y)
    assert [aside.where for aside in model.set_aside_] == ["row 4", "row 7"]
    kept = [i for i in range(90) if i not in (4, 7)]
    alone = hs.TransferClassifier().fit([X[i] for i in kept], y[kept])
    np.testing.assert_allclose(model.predict_proba(texts[0]), alone.predict_proba(texts[0]))
    with pytest.raises(DataError, match="row 4: missing; row 7: an empty text"):
        model.predict(X)
    with pytest.raises(DataError, match="no row of X is usable. row 0: an empty text"):
        hs.TransferClassifier().fit([" "] * 4, list("abab"))


def test_before_it_is_fitted_it_says_so():
    for call in ("predict", "predict_proba", "decision_function", "save"):
        with pytest.raises(NotFittedError):
            getattr(hs.TransferClassifier(), call)(["a"])


# ------------------------------------------------------------------------------------------ keeping


def test_a_pickled_model_answers_the_same_and_finds_its_rows(toys, texts):
    X, y = texts
    model = hs.TransferClassifier().fit(X, y)
    expected, before = model.predict_proba(X), sum(toys)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    assert sum(toys) == before
    twice = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(twice.predict_proba(X), expected)
    assert pickle.loads(pickle.dumps(hs.TransferClassifier(seed=3))).seed == 3


def test_a_pickled_model_keeps_what_flags_unlike_rows_and_its_card(toys, texts):
    X, y = texts
    model = hs.TransferClassifier().fit(X, y)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 4)).astype("float32"))
    flagging = describe(features, features[:30], 0)
    model.model_ = Predictor(replace(model.model_.artifact, novelty=flagging, card="about it"))
    again = pickle.loads(pickle.dumps(model)).model_.artifact
    assert again.card == "about it"
    for name, value in flagging.tensors().items():
        assert torch.equal(again.novelty.tensors()[name], value)


def test_one_path_that_is_gone_is_set_aside_among_text_files(toys, tmp_path):
    paths = []
    for i in range(8):
        paths.append(str(tmp_path / f"{i}.txt"))
        if i != 5:
            (tmp_path / f"{i}.txt").write_text(f"text number {i}")
    rows = rows_from(paths)
    assert len(rows) == 7 and [aside.where for aside in rows.set_aside] == ["row 5"]


def test_a_saved_model_is_an_artifact_with_the_labels_as_text(toys, texts, tmp_path):
    X, y = texts[0], np.arange(90) % 3 + 9  # in the order of numbers, 9 comes before 10
    model = hs.TransferClassifier().fit(X, y)
    model.save(tmp_path / "model")
    loaded = hs.load(tmp_path / "model")
    assert loaded.predict(X) == [str(label) for label in model.predict(X)]


# ----------------------------------------------------------------------------------------- the race


def test_the_race_gives_what_fit_does(own_cache, one_thread, monkeypatch):
    once = functools.partial(api.fit, max_trials=1, refit=False)
    monkeypatch.setattr(estimators, "fit_study", once)
    X, topics = news(45)
    y = np.unique(topics, return_inverse=True)[1] + 9  # as texts they are in another order
    model = hs.TransferClassifier(recipe="race", budget="90s").fit(X, y)
    assert model.score(X, y) > 0.8
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(again.predict_proba(X[:3]), model.predict_proba(X[:3]), atol=0.02)


def test_the_race_is_given_the_same_rows(monkeypatch, tmp_path, squares):
    class Given(Exception):
        pass

    def given(data, **options):
        raise Given(read(data, Roles.of(options["input"], options["label"])), options)

    monkeypatch.setattr(estimators, "fit_study", given)
    texts = ['one, "two"\nthree', "a\0b", "caf\udce9", "x" * 3000, "é.txt", "plain"]
    numbers = np.arange(6) % 2 + 9
    for X, y in ((texts, numbers), (squares.inputs, squares.targets[0].values)):
        model = hs.TransferClassifier(recipe="race", budget="9s", seed=5, metric="macro_f1")
        with pytest.raises(Given) as found:
            model.fit(list(X), y)
        rows, options = found.value.args
        assert rows.targets[0].values == tuple(map(str, y)) and not rows.set_aside
        expected = rows_from(list(map(str, X)))
        assert rows.digests == expected.digests
        assert options["task"] == f"{rows.modality}-classification"
        assert (options["budget"], options["seed"], options["metric"]) == ("9s", 5, "macro_f1")


# ------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_numbers_are_learnt_in_their_own_units(toys, pictures, outputs):
    X, shades = pictures[0], 1e3 - pictures[0].mean((1, 2)) / 50
    y = shades[:, 0] if outputs is None else shades[:, :outputs]
    model = hs.TransferRegressor().fit(X[::2], y[::2])
    predicted = model.predict(X[1::2])
    assert predicted.shape == y[1::2].shape and predicted.dtype == np.float64
    assert model.score(X[1::2], y[1::2]) > 0.8
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X[1::2]), predicted)
    folds = KFold(3, shuffle=True, random_state=0)
    assert cross_validated(hs.TransferRegressor(recipe="probe"), X, y, cv=folds).min() > 0.5
    assert sum(toys) == 72


def test_numbers_that_are_all_the_same_are_predicted(toys, headlines):
    predicted = hs.TransferRegressor().fit(headlines.inputs, [7.5] * 90).predict(["w1 w2"])
    np.testing.assert_allclose(predicted, [7.5])


@pytest.mark.parametrize(
    ("y", "said"), [(["a"] * 90, "could not convert"), ([np.nan] * 90, "NaN"), (None, "requires y")]
)
def test_what_is_no_number_is_refused(toys, headlines, y, said):
    with pytest.raises(ValueError, match=said):
        hs.TransferRegressor().fit(headlines.inputs, y)


# ------------------------------------------------------------------------ scikit-learn's own checks

NOT_FOR_IT = {
    "check_methods_subset_invariance": "the head computes in float32, which rounds otherwise in "
    "batches of other sizes",
    "check_regressors_train": "asks for a good fit to numbers, which are no texts",
}


class Spoken:
    """Mixed in, it takes tables of numbers, as the checks hand over, and reads them as words."""

    def fit(self, X, y):
        return super().fit(X if y is None else self._words(X, reset=True), y)

    def _outputs(self, X):
        check_is_fitted(self)
        return super()._outputs(self._words(X, reset=False))

    def _words(self, X, reset):
        table = np.clip(np.round(4 * validate_data(self, X, reset=reset)) + 30, 0, 59)
        return np.array([" ".join(f"w{v:.0f}" for v in row) for row in table], object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


class SpokenClassifier(Spoken, hs.TransferClassifier):
    pass


class SpokenRegressor(Spoken, hs.TransferRegressor):
    pass


@pytest.mark.parametrize("kind", [SpokenClassifier, SpokenRegressor])
def test_scikit_learns_checks_pass(toys, kind):
    """Nearly all checks hand over tables of numbers, and do not apply unless these become words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(
            kind(recipe="probe"), on_fail=None, expected_failed_checks=NOT_FOR_IT
        )
    failed = {f["check_name"]: str(f["exception"]) for f in found if f["status"] == "failed"}
    assert not failed
    assert sum(f["status"] == "passed" for f in found) > 40


@pytest.mark.parametrize("kind", [hs.TransferClassifier, hs.TransferRegressor])
def test_tags_say_what_the_inputs_are(kind):
    tags = kind().__sklearn_tags__()
    assert tags.input_tags.string and not tags.input_tags.two_d_array
    assert tags.target_tags.multi_output == (kind is hs.TransferRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(kind(), on_fail=None)
    assert all(f["status"] == "passed" for f in found)
