"""Using a saved model: predictions, and scores on labelled rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.artifact.loading import load
from headstart.artifact.saving import Artifact
from headstart.data.dataset import Dataset, SetAside
from headstart.data.modalities import modalities
from headstart.data.reading import from_cells, read, read_inputs
from headstart.data.splits import units
from headstart.errors import DataError, UsageError
from headstart.evidence.intervals import score_interval
from headstart.tasks import tasks

_ROWS = 1024


@dataclass(frozen=True)
class Scores:
    """Scores of a model on labelled rows, each with its interval; rows set aside are listed."""

    rows: int
    metric: str
    scores: dict[str, dict[str, float]]
    set_aside: tuple[SetAside, ...]

    def data(self) -> dict[str, Any]:
        """Return the scores as JSON data."""
        return {
            "schema": 1,
            "rows": self.rows,
            "set_aside": len(self.set_aside),
            "metric": self.metric,
            "scores": self.scores,
        }


class Predictor:
    """A model that answers.

    Parameters
    ----------
    artifact
        What was saved.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.task = tasks.get(artifact.task)

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Return the model in an artifact folder or a run folder."""
        return cls(load(path))

    def predict(self, inputs: Sequence[str | Path]) -> list[Any]:
        """Return one prediction for each input.

        Parameters
        ----------
        inputs
            Texts, or paths of pictures or text files.

        Raises
        ------
        DataError
            If an input cannot be decoded; use the command line to have such rows set aside.
        """
        return [answer["prediction"] for answer in self._answers_to(inputs)]

    def predict_proba(self, inputs: Sequence[str | Path]) -> list[dict[str, float]]:
        """Return the probability of each class, one mapping for each input.

        Raises
        ------
        DataError
            If an input cannot be decoded.
        UsageError
            If the task knows no probabilities.
        """
        answers = self._answers_to(inputs)
        if any("probabilities" not in answer for answer in answers):
            raise UsageError(f"a model for {self.task.name} gives no probabilities; use predict")
        return [answer["probabilities"] for answer in answers]

    def rows_of(self, inputs: Sequence[str | Path]) -> Dataset:
        """Return inputs as rows of this model's modality; what cannot be decoded is set aside."""
        if self.task.modality != "text":
            paths = [Path(cell) for cell in inputs]
            return self._own(from_cells(paths, [str(path) for path in paths]))
        # a string is a text, even one that ends like the name of a picture
        texts = bool(inputs) and all(isinstance(cell, str) for cell in inputs)
        known = modalities.get("text") if texts else None
        return self._own(from_cells(list(inputs), modality=known))

    def _answers_to(self, inputs: Sequence[str | Path]) -> list[dict[str, Any]]:
        rows = self.rows_of(inputs)
        if rows.set_aside:
            first = rows.set_aside[0]
            raise DataError(f"{first.where}: {first.reason}.")
        return list(self.answers(rows))

    def read(self, paths: Sequence[str | Path], input: str | None = None) -> Dataset:
        """Return the rows in files, folders and tables; bad ones are set aside."""
        return self._own(read_inputs(paths, input))

    def answers(self, rows: Dataset) -> Iterator[dict[str, Any]]:
        """Yield one decoded answer a row; any number of rows streams through."""
        for start in range(0, len(rows), _ROWS):
            some = rows.take(range(start, min(start + _ROWS, len(rows))))
            yield from self.task.decode(self.artifact.model.outputs(some), self.artifact.spec)

    def evaluate(
        self,
        data: str | Path,
        *,
        input: str | None = None,
        label: str | None = None,
        group: str | None = None,
    ) -> Scores:
        """Score the model on labelled rows; where the data give a test part, on that alone.

        Rows whose label the model does not know are set aside.

        Raises
        ------
        DataError
            If nothing usable is left.
        """
        rows = self._own(read(data, input=input, label=label, group=group))
        if "test" in rows.parts:
            rows = rows.take([i for i, part in enumerate(rows.parts) if part == "test"])
        rows = rows.without(self.task.unknown(rows, self.artifact.spec))
        if not len(rows):
            reason = rows.set_aside[-1].reason
            raise DataError(f"{data}: no row is left to score. The last one: {reason}.")
        targets = self.task.encode(rows, self.artifact.spec)
        outputs = self.artifact.model.outputs(rows)
        unit_of = units(rows)
        scores = {
            metric.name: score_interval(metric, outputs, targets, unit_of).data()
            for metric in self.task.metrics(self.artifact.spec).values()
        }
        return Scores(len(rows), self.artifact.metric, scores, rows.set_aside)

    def _own(self, rows: Dataset) -> Dataset:
        if rows.modality != self.task.modality:
            raise DataError(
                f"This model is for {self.task.modality} inputs, but these are {rows.modality}."
            )
        return rows
