"""Using a saved model: predictions, and scores on labelled rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.artifact.loading import load
from headstart.artifact.saving import Artifact
from headstart.data.dataset import Dataset, SetAside
from headstart.data.reading import from_cells, read, read_inputs
from headstart.data.splits import units
from headstart.errors import DataError
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
        rows = self.rows_of(inputs)
        if rows.set_aside:
            first = rows.set_aside[0]
            raise DataError(f"{first.where}: {first.reason}.")
        return [answer["prediction"] for answer in self.answers(rows)]

    def predict_proba(self, inputs: Sequence[str | Path]) -> list[dict[str, float]]:
        """Return the probability of each class, one mapping for each input."""
        return [answer["probabilities"] for answer in self.answers(self.rows_of(inputs))]

    def rows_of(self, inputs: Sequence[str | Path]) -> Dataset:
        """Return inputs as rows of this model's modality."""
        if self.task.modality == "text":
            return from_cells(list(inputs))
        return from_cells([Path(cell) for cell in inputs], [str(cell) for cell in inputs])

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
        targets = self.task.encode(rows, self.artifact.spec)
        column = rows.targets[0]
        rows = rows.without(
            {
                int(i): f"the model does not know the label {column.values[i]!r}"
                for i in (targets < 0).nonzero()[0]
            }
        )
        if not len(rows):
            raise DataError(f"{data}: the model knows none of these labels.")
        targets = self.task.encode(rows, self.artifact.spec)
        outputs = self.artifact.model.outputs(rows)
        unit_of = units(rows)
        scores = {
            metric.name: score_interval(metric, outputs, targets, unit_of).data()
            for metric in self.task.metrics.values()
        }
        return Scores(len(rows), self.artifact.metric, scores, rows.set_aside)

    def _own(self, rows: Dataset) -> Dataset:
        if rows.modality != self.task.modality:
            raise DataError(
                f"This model is for {self.task.modality} inputs, but these are {rows.modality}."
            )
        return rows
