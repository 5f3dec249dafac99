"""Classifier and regressor with scikit-learn's conventions, for inputs that are texts or pictures.

Fitted on fixed features, they compute the features of each row once, however many folds, grids and
estimators it comes in.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from headstart.api import fit as fit_study
from headstart.artifact.predictor import Predictor
from headstart.artifact.saving import Artifact, save
from headstart.data.dataset import Dataset
from headstart.data.inputs import rows_from
from headstart.data.splits import units
from headstart.embedding import source_for
from headstart.errors import DataError, UsageError
from headstart.evidence.novelty import Novelty
from headstart.features.extract import Extractor
from headstart.features.shared import shared_extractor
from headstart.models import Model, Saved, restore
from headstart.models.network import Network
from headstart.recipes import recipes
from headstart.sources.opening import find_source
from headstart.tasks import metric_for, tasks
from headstart.training.learners import Assignment, Rows, learners

FIXED = ("probe", "layers")
"""Recipes that solve a linear head on fixed features."""
RACE = "race"
_LISTED = 5


class _Transfer(BaseEstimator):
    """What both estimators share."""

    _kind: str

    def __init__(
        self,
        *,
        source: str | None = None,
        recipe: str = "layers",
        budget: str | float | None = None,
        metric: str | None = None,
        seed: int = 0,
    ) -> None:
        self.source = source
        self.recipe = recipe
        self.budget = budget
        self.metric = metric
        self.seed = seed

    def save(self, folder: str | Path) -> None:
        """Save the fitted model as an artifact that `headstart.load` and the command line read.

        Raises
        ------
        ArtifactError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        save(self.model_.artifact, Path(folder))

    def _fit(self, X: Any, y: np.ndarray, labels: list[list[str]], spec: Mapping[str, Any]) -> None:
        """Fit to encoded targets `y`; `labels` are the same as text, one list for each output."""
        self._check_parameters()
        modality = None if self.source is None else find_source(self.source).modality
        rows = rows_from(X, modality)
        if len(rows) + len(rows.set_aside) != len(y):
            raise ValueError(f"X has {len(rows) + len(rows.set_aside)} rows, but y has {len(y)}")
        kept = _numbers(rows)
        if not kept:
            raise DataError(f"no row of X is usable. {_listed(rows)}")
        if rows.set_aside:
            warnings.warn(f"rows set aside: {_listed(rows)}", stacklevel=3)
        if self.recipe == RACE:
            self.model_ = self._raced(rows, [[column[i] for i in kept] for column in labels])
        else:
            self.model_ = self._solved(rows, y[kept], spec)
        self.set_aside_ = rows.set_aside

    def _check_parameters(self) -> None:
        known = (*FIXED, RACE)
        if self.recipe not in known:
            raise UsageError(f"recipe={self.recipe!r} is none of {', '.join(map(repr, known))}")
        if self.recipe == RACE and self.budget is None:
            raise UsageError("recipe='race' needs a budget, such as budget='60s'")
        if self.recipe != RACE and self.budget is not None:
            raise UsageError(f"budget is for recipe='race'; recipe={self.recipe!r} takes none")

    def _solved(self, rows: Dataset, y: np.ndarray, spec: Mapping[str, Any]) -> Predictor:
        """Solve a linear head on the features of the source."""
        task = tasks.get(f"{rows.modality}-{self._kind}")
        metric = metric_for(task, spec, self.metric)
        [recipe] = recipes.get(self.recipe)
        extractor = shared_extractor(source_for(rows.modality, self.source))
        assignment = Assignment(
            recipe=recipe,
            task=task,
            spec=spec,
            metric=metric,
            train=(Rows(rows, y, units(rows)),),
            validation=None,
            extractor=extractor,
            seed=self.seed,
        )
        fitted = learners.get(recipe.learner).fit(assignment)
        facts = {"recipe": self.recipe, "rows": len(rows), "features": extractor.digest}
        return Predictor(Artifact(fitted.model, task.name, spec, metric.name, facts=facts))

    def _raced(self, rows: Dataset, labels: list[list[str]]) -> Predictor:
        """Let `headstart.fit` choose, on a table of the rows."""
        import pandas

        several = isinstance(rows.inputs[0], tuple)
        cells = zip(*rows.inputs, strict=True) if several else [rows.inputs]
        inputs = {f"input {i}": list(column) for i, column in enumerate(cells)}
        targets = dict(zip(_names(len(labels)), labels, strict=True))
        assert self.budget is not None
        with tempfile.TemporaryDirectory() as scratch:
            study = fit_study(
                pandas.DataFrame({**inputs, **targets}, dtype=object),
                input=list(inputs),
                label=list(targets),
                task=f"{rows.modality}-{self._kind}",
                metric=self.metric,
                source=() if self.source is None else self.source,
                budget=self.budget,
                seed=self.seed,
                out=Path(scratch) / "run",
            )
            return study.model

    def _outputs(self, X: Any) -> Tensor:
        """Return the model's outputs, one for each row; every row must be usable."""
        check_is_fitted(self)
        rows = rows_from(X, self.model_.task.modality)
        if rows.set_aside:
            raise DataError(f"not every row of X can be predicted: {_listed(rows)}")
        return self.model_.artifact.model.outputs(rows)

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and the model as plain data; engines are compiled again where needed.

        `save` gives a folder in which nothing is pickled.
        """
        state: dict[str, Any] = dict(super().__getstate__())
        if "model_" in state:
            artifact = state.pop("model_").artifact
            saved = artifact.model.saved()
            state["_artifact"] = {
                "task": artifact.task,
                "spec": dict(artifact.spec),
                "metric": artifact.metric,
                "facts": dict(artifact.facts),
                "kind": saved.kind,
                "config": dict(saved.config),
                "tensors": {name: value.numpy() for name, value in saved.tensors.items()},
                "texts": dict(saved.texts),
                "card": artifact.card,
                "novelty": _arrays(artifact.novelty),
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = dict(state)
        artifact = kept.pop("_artifact", None)
        super().__setstate__(kept)
        if artifact is not None:
            self.model_ = Predictor(_restored(**artifact))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = False
        return tags


class TransferClassifier(ClassifierMixin, _Transfer):
    """A classifier of texts or pictures that starts from a pre-trained source.

    Parameters
    ----------
    source
        Such as ``bundled/minilm``. None is the catalogue's default for the inputs, and for the race
        all sources that suit them.
    recipe
        ``probe``: a linear head on the source's last features; ``layers``: one that reads the
        middle stages too; its regularisation is found by cross-validation inside. ``race``: all
        that `headstart.fit` does within the budget.
    budget
        Time for the race, such as ``"60s"`` or seconds.
    metric
        What the race looks for; the task's own where None.
    seed
        Of every random choice.

    Attributes
    ----------
    classes_
        (classes,) the labels, sorted, in the type in which they came.
    model_ : Predictor
        The model that was fitted.
    set_aside_
        Rows that could not be used, each with its reason.
    """

    _kind = "classification"

    def fit(self, X: Any, y: Any) -> TransferClassifier:
        """Fit to inputs and their labels.

        Parameters
        ----------
        X
            Texts, paths of pictures or text files, `PIL.Image` pictures, or arrays of uint8 pixels:
            a list, an array, a series, or a table of one column.
        y
            (n,) labels of two or more classes: strings, numbers, or truth values.

        Raises
        ------
        HeadstartError
            If inputs, a source or a parameter cannot be used.
        ValueError
            If the labels cannot be used.
        """
        if y is None:
            raise ValueError("TransferClassifier requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class, {classes[:1].tolist()}; two are needed")
        names = [str(label).strip() for label in classes.tolist()]
        if len(set(names)) < len(names) or not all(names):
            raise ValueError("the labels must be told apart by their text, and none be empty")
        spec = {"name": "y", "classes": names}
        self._fit(X, codes, [[names[code] for code in codes]], spec)
        self.classes_ = classes
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return logits (n, classes); of two classes (n,), positive for the second."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) labels, in the type in which they came.

        Raises
        ------
        DataError
            If a row cannot be decoded.
        """
        best = self._logits(X).argmax(1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities (n, classes), in the order of `classes_`."""
        return softmax(self._logits(X), axis=1)

    def _logits(self, X: Any) -> np.ndarray:
        outputs = self._outputs(X).double().numpy()
        known = self.model_.artifact.spec["classes"]
        return outputs[:, [known.index(str(label).strip()) for label in self.classes_.tolist()]]


class TransferRegressor(RegressorMixin, _Transfer):
    """A regressor of texts or pictures that starts from a pre-trained source.

    Parameters and attributes are those of `TransferClassifier`, without classes; the linear head is
    ridge regression.
    """

    _kind = "regression"

    def fit(self, X: Any, y: Any) -> TransferRegressor:
        """Fit to inputs and their numbers.

        Parameters
        ----------
        X
            As `TransferClassifier.fit` takes them.
        y
            (n,) or (n, outputs) finite numbers.

        Raises
        ------
        HeadstartError
            If inputs, a source or a parameter cannot be used.
        ValueError
            If the numbers cannot be used.
        """
        if y is None:
            raise ValueError("TransferRegressor requires y to be passed, but the target y is None")
        values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        several = values.ndim == 2
        columns = values if several else values[:, None]
        mean, scale = columns.mean(0), columns.std(0)
        scale = np.where(scale > 1e-9 * np.abs(mean), scale, 1.0)
        names = _names(columns.shape[1])
        spec = {
            "name": ", ".join(names),
            "names": names,
            "mean": mean.tolist(),
            "scale": scale.tolist(),
        }
        standard = ((columns - mean) / scale).astype(np.float32)
        texts = [[repr(value) for value in column] for column in columns.T.tolist()]
        self._fit(X, standard, texts, spec)
        self._several = several
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) or (n, outputs) float64 numbers, as they were fitted.

        Raises
        ------
        DataError
            If a row cannot be decoded.
        """
        outputs = self._outputs(X).double().numpy()
        spec = self.model_.artifact.spec
        values = outputs * spec["scale"] + spec["mean"]
        return values if self._several else values[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _names(outputs: int) -> list[str]:
    """Return what the columns of y are called."""
    return ["y"] if outputs == 1 else [f"y{i}" for i in range(outputs)]


def _numbers(rows: Dataset) -> list[int]:
    """Return which inputs the rows of `rows_from` were."""
    return [int(name.removeprefix("row ")) for name in rows.names]


def _listed(rows: Dataset) -> str:
    """Name the rows that were set aside."""
    shown = "; ".join(f"{a.where}: {a.reason}" for a in rows.set_aside[:_LISTED])
    more = len(rows.set_aside) - _LISTED
    return f"{shown}; and {more} more" if more > 0 else shown


def _restored(
    task: str,
    spec: Mapping[str, Any],
    metric: str,
    facts: Mapping[str, Any],
    kind: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    texts: Mapping[str, str],
    card: str,
    novelty: Mapping[str, np.ndarray] | None,
) -> Artifact:
    weights = {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}
    model: Model = restore(Saved(kind, config, weights, texts))
    if isinstance(model, Network) and "features" in facts:
        backbone = model.backbone
        extractor = Extractor(backbone, facts["features"])
        model = Network(backbone, model.head, model.spec, model.output, extractor)
    flagging = None
    if novelty is not None:
        flagging = Novelty(**{n: torch.from_numpy(v.copy()) for n, v in novelty.items()})
    return Artifact(model, task, spec, metric, card, facts, flagging)


def _arrays(novelty: Novelty | None) -> dict[str, np.ndarray] | None:
    if novelty is None:
        return None
    return {name: value.numpy() for name, value in novelty.tensors().items()}
