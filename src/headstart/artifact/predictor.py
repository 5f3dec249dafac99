"""Using a saved model: predictions, and scores on labelled rows."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.artifact.loading import load
from headstart.artifact.saving import Artifact
from headstart.data.columns import Roles
from headstart.data.dataset import Cell, Data, Dataset, SetAside
from headstart.data.inputs import cell_of
from headstart.data.modalities import Excerpt, Preprocessing, View, modalities, sniff
from headstart.data.readers import is_in_memory
from headstart.data.reading import read
from headstart.data.splits import units
from headstart.data.unlabelled import Asked, inputs_in
from headstart.devices import on_cores
from headstart.errors import DataError, Unreadable, UsageError
from headstart.evidence.calibration import threshold_for
from headstart.evidence.intervals import by_subgroup, score_interval
from headstart.models import Response
from headstart.models.network import AT_ONCE, Network
from headstart.tasks import tasks

_FIRST = 64
"""Rows that are answered at first, so that the first answer comes soon."""
_ROWS = 512
"""Rows that are answered at a time from then on."""


@dataclass(frozen=True)
class Answer:
    """What a model says of one input, or why it says nothing.

    Attributes
    ----------
    name
        Where the input is: a path, or ``file, line 7``.
    data
        JSON data: ``prediction``, what else the task gives (``probabilities``), and how unlike the
        training rows the input is: ``novelty``, a p-value, and ``unlike``, whether that is so small
        that it is flagged. Both are None where they are not known; empty where the input is bad.
    problem
        Why the input cannot be decoded, or empty.
    columns
        Its row in the table it stands in; None of files.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    columns: Mapping[str, Cell] | None = None


@dataclass(frozen=True)
class Scores:
    """Scores of a model on labelled rows, each with its interval; rows set aside are listed."""

    rows: int
    metric: str
    scores: dict[str, dict[str, float]]
    set_aside: tuple[SetAside, ...]
    subgroups: dict[str, dict[str, float]] = field(default_factory=dict)
    """Rows and the score of the model's own metric by subgroup, if one was named."""

    def data(self) -> dict[str, Any]:
        """Return the scores as JSON data."""
        return {
            "schema": 1,
            "rows": self.rows,
            "set_aside": len(self.set_aside),
            "metric": self.metric,
            "scores": self.scores,
            **({"subgroups": self.subgroups} if self.subgroups else {}),
        }


class Predictor:
    """A model that answers.

    Parameters
    ----------
    artifact
        What was saved.
    beams
        Beginnings of a text that are followed where one is written: more are slower, and may be
        better.

    Raises
    ------
    UsageError
        If there are several beams, and the model writes no text word by word.
    """

    def __init__(self, artifact: Artifact, beams: int = 1) -> None:
        self.artifact = artifact
        self.task = tasks.get(artifact.task)
        if beams < 1:
            raise UsageError("--beams must be 1 or more")
        if beams > 1:
            model = artifact.model
            if not isinstance(model, Network):
                raise UsageError(
                    f"beams are for models that write; this one is for {self.task.name}"
                )
            model.follow(beams)

    @classmethod
    def load(cls, path: str | Path, beams: int = 1) -> Predictor:
        """Return the model in an artifact folder or a run folder."""
        return cls(load(path), beams)

    @property
    def roles(self) -> Roles:
        """Return the columns in which the model's inputs and labels were."""
        return Roles(self._columns("inputs"), self._columns("labels"))

    def predict(self, inputs: Data | Iterable[Cell]) -> list[Any]:
        """Return one prediction for each input.

        Parameters
        ----------
        inputs
            Texts, paths of pictures or text files, pictures as the bytes of their files, of Pillow,
            or as arrays of pixels; of several inputs a row, tuples.

        Raises
        ------
        DataError
            If an input cannot be decoded; `stream` sets such inputs aside instead.
        """
        return [data["prediction"] for data in self._answers_to(inputs)]

    def predict_proba(self, inputs: Data | Iterable[Cell]) -> list[dict[str, float]]:
        """Return the probability of each class, one mapping for each input.

        Raises
        ------
        DataError
            If an input cannot be decoded.
        UsageError
            If the task knows no probabilities.
        """
        answers = self._answers_to(inputs)
        if any("probabilities" not in data for data in answers):
            raise UsageError(f"a model for {self.task.name} gives no probabilities; use predict")
        return [data["probabilities"] for data in answers]

    def threshold(self, precision: float) -> float:
        """Return how sure an answer must be for so many of such answers to be right.

        It comes from rows that the model was tested on, and holds in nine of ten data sets like
        these.

        Parameters
        ----------
        precision
            Wanted share of right answers, above 0 and below 1.

        Raises
        ------
        UsageError
            If the precision has no meaning, or cannot be promised.
        """
        if not 0 < precision < 1:
            raise UsageError(f"a precision is between 0 and 1, not {precision:g}")
        known = self.artifact.facts.get("decisions")
        if not known:
            raise UsageError(
                f"a precision cannot be promised by this model: it is for {self.task.name}, or was "
                "saved before its test rows were read. It needs one class an input, and a run that "
                "came to its end."
            )
        found = threshold_for(precision, known["sure"], known["right"])
        if found is None:
            rows, right = len(known["sure"]), sum(known["right"])
            raise UsageError(
                f"a precision of {precision:g} cannot be promised: of {rows:,} answers to test "
                f"rows {right:,} were right, and the surest are too few or too often wrong. "
                "Ask for less, or fit with more rows."
            )
        return found

    def stream(
        self,
        paths: Data | Iterable[Data],
        input: tuple[str, ...] = (),
        precision: float | None = None,
    ) -> Iterator[Answer]:
        """Yield an answer for each input in files, folders and tables, as soon as it is there.

        However many inputs there are, some hundreds are decoded and held at a time. One that
        cannot be decoded gets an answer without data that says why.

        Parameters
        ----------
        paths
            Files; folders, which are searched through; tables, as files or in memory. Texts are
            given in files and tables.
        input
            Columns of a table; inferred where there are none.
        precision
            Each answer says as ``sure`` whether it is among those of which so many are right.

        Raises
        ------
        DataError
            If the inputs are of another modality, or a table cannot be read.
        UsageError
            If the precision cannot be promised.
        """
        threshold = None if precision is None else self.threshold(precision)
        answers = self._stream(inputs_in(_listed(paths), input, self._columns("inputs")))
        return answers if threshold is None else _weighed(answers, threshold)

    def _answers_to(self, inputs: Any) -> list[dict[str, Any]]:
        if is_in_memory(inputs):
            asked = list(inputs_in([inputs], known=self._columns("inputs")))
        else:
            asked = [self._asked(cell) for cell in _listed(inputs)]
        if not asked:
            raise DataError("There is nothing to predict: there are no inputs.")
        found = []
        for answer in self._stream(iter(asked)):
            if answer.problem:
                raise DataError(f"{answer.name}: {answer.problem}.")
            found.append(answer.data)
        return found

    def _columns(self, name: str) -> tuple[str, ...]:
        """Return the columns in which the model's ``inputs`` or ``labels`` were."""
        return tuple(self.artifact.facts.get(name, ()))

    def _asked(self, cell: Cell) -> Asked:
        """Return what a caller asks in Python, where a string is a text if texts are wanted."""
        cell = cell_of(cell, "an input")
        own = cell if self.task.modality == "text" else _with_path(cell)
        if isinstance(own, Path):
            return Asked(str(own), own)
        return Asked("an input" if isinstance(own, bytes) else str(own)[:80], own)

    def _whole(self, asked: Asked) -> Asked:
        """Return an input with what is wrong where it lacks a part of what the model reads."""
        columns = self._columns("inputs")
        if asked.cell is None or len(columns) < 2 or _parts_of(asked.cell) == len(columns):
            return asked
        read = " and ".join(map(repr, columns))
        return replace(asked, cell=None, problem=f"the model reads {read} of a row, as a tuple")

    def _stream(self, asked: Iterator[Asked]) -> Iterator[Answer]:
        unchecked = True
        size = _FIRST
        while chunk := list(map(self._whole, itertools.islice(asked, size))):
            cells = [one.cell for one in chunk if one.cell is not None]
            if unchecked and cells:
                self._check_modality(cells)
                unchecked = False
            answered = self._answer(cells)
            for one in chunk:
                data, problem = ({}, one.problem) if one.cell is None else next(answered)
                yield Answer(one.name, data, problem, one.columns)
            size = _ROWS

    def _answer(self, cells: list[Cell]) -> Iterator[_Answered]:
        """Yield data and problem of each cell, one of them empty.

        What is to be written of a long one is written part by part, and of each it is yielded as
        soon as its last part is answered.
        """
        if self.task.output != "text":
            yield from self._answer_at_once(cells)
            return
        parts = ((i, part) for i, cell in enumerate(cells) for part in self._parts(cell))
        for _, said in itertools.groupby(self._said(parts), key=lambda one: one[0]):
            yield _joined([part for _, part in said])

    def _said(self, parts: Iterator[tuple[int, _Part]]) -> Iterator[tuple[int, _Said]]:
        """Yield what is said of parts of inputs, each with the number of its input."""
        while some := list(itertools.islice(parts, AT_ONCE)):
            readable = [part.cell for _, part in some if isinstance(part, Excerpt)]
            answers = iter(self._answer_at_once(readable))
            for i, part in some:
                if isinstance(part, Excerpt):
                    yield i, (part.begin, part.end, *next(answers))
                else:
                    yield i, (0.0, 0.0, {}, str(part))

    def _parts(self, cell: Cell) -> Iterator[_Part]:
        """Yield the parts of an input that are read at once, and what is wrong if it cannot be."""
        known = self.artifact.model.preprocessing
        try:
            yield from modalities.get(self.task.modality).excerpts(
                cell, known or Preprocessing({}, {})
            )
        except Unreadable as reason:
            yield reason
        except OSError:  # it is said why when it is read
            yield Excerpt(cell, 0.0, 0.0)

    def _answer_at_once(self, cells: list[Cell]) -> list[_Answered]:
        """Return data and problem of each cell, one of them empty.

        Nothing is checked beforehand: each row is decoded once, for the model. Only where one
        of them is bad, or the model did not look at them, they are checked.
        """
        problems = [""] * len(cells)
        response = None
        with contextlib.suppress(Unreadable, OSError):  # the latter of a file that is not there
            response = self._respond(cells)
        if response is None or response.features is None:
            problems = self._problems(cells)
            response = self._respond([c for c, p in zip(cells, problems, strict=True) if not p])
        answered = iter(self._decoded(response) if response else ())
        return [({}, problem) if problem else (next(answered), "") for problem in problems]

    def _respond(self, cells: list[Cell]) -> Response | None:
        return self.artifact.model.respond(_rows(self.task.modality, cells)) if cells else None

    def _decoded(self, response: Response) -> list[dict[str, Any]]:
        """Return what the task reads in the outputs, and how unlike the training rows each is."""
        found = self.task.decode(response.outputs, self.artifact.spec)
        novelty = self.artifact.novelty
        if novelty is None or response.features is None:
            return [{**data, "unlike": None, "novelty": None} for data in found]
        return [
            {**data, "unlike": novelty.unlike(p), "novelty": round(p, 6)}
            for data, p in zip(found, novelty.p_values(response.features), strict=True)
        ]

    def _problems(self, cells: list[Cell]) -> list[str]:
        """Return why a cell cannot be read as the model reads it, or an empty text."""
        modality = modalities.get(self.task.modality)
        known = self.artifact.model.preprocessing

        def problem(cell: Cell) -> str:
            try:
                if known is None:
                    modality.check(cell)
                else:
                    modality.collate([cell], [""], known, View())
            except Unreadable as reason:
                return str(reason)
            return ""

        return list(on_cores(problem, cells))

    def _check_modality(self, cells: list[Cell]) -> None:
        """Raise `DataError` if most of `cells` look like those of another modality."""
        files = [cell for cell in cells if not isinstance(cell, str)]
        found = sniff(files) if files else modalities.get("text")
        if found is not None and found.name != self.task.modality:
            raise _of_another(self.task.modality, found.name)

    def evaluate(
        self,
        data: Data,
        roles: Roles | None = None,
    ) -> Scores:
        """Score the model on labelled rows; where the data give a test part, on that alone.

        Rows whose label the model does not know are set aside.

        Raises
        ------
        DataError
            If nothing usable is left.
        """
        rows = self._own(read(data, roles, known=self.roles))
        if "test" in rows.parts:
            rows = rows.take([i for i, part in enumerate(rows.parts) if part == "test"])
        rows = rows.without(self.task.unknown(rows, self.artifact.spec))
        if not len(rows):
            reason = rows.set_aside[-1].reason
            raise DataError(f"{rows.path}: no row is left to score. The last one: {reason}.")
        targets = self.task.encode(rows, self.artifact.spec)
        outputs = self.artifact.model.outputs(rows)
        unit_of = units(rows)
        metrics = self.task.metrics(self.artifact.spec)
        scores = {
            name: score_interval(metric, outputs, targets, unit_of).data()
            for name, metric in metrics.items()
        }
        subgroups = {}
        if rows.subgroups is not None:
            metric = metrics[self.artifact.metric]
            subgroups = by_subgroup(metric, outputs, targets, unit_of, rows.subgroups)
        return Scores(len(rows), self.artifact.metric, scores, rows.set_aside, subgroups)

    def _own(self, rows: Dataset) -> Dataset:
        if rows.modality != self.task.modality:
            raise _of_another(self.task.modality, rows.modality)
        return rows


_Answered = tuple[dict[str, Any], str]
"""Data and problem of an input, one of them empty."""
_Part = Excerpt | Unreadable
"""A part of an input, or why there is no further one."""
_Said = tuple[float, float, dict[str, Any], str]
"""When a part of an input begins and ends, in seconds; data and problem of it."""


def _joined(parts: list[_Said]) -> _Answered:
    """Return what is said of an input whose parts are answered: their texts, and when each is said.

    As unlike the training rows it is as the middle one of its parts.
    """
    for *_, problem in parts:
        if problem:
            return {}, problem
    order = sorted((data for _, _, data, _ in parts), key=lambda data: data["novelty"] or 0.0)
    segments = [
        {"begin": round(begin, 2), "end": round(end, 2), "text": data["prediction"]}
        for begin, end, data, _ in parts
    ]
    whole = " ".join(segment["text"] for segment in segments if segment["text"])
    return {**order[len(order) // 2], "prediction": whole, "segments": segments}, ""


def _weighed(answers: Iterator[Answer], threshold: float) -> Iterator[Answer]:
    """Yield answers which say whether they are as sure as `threshold`."""
    for answer in answers:
        if not answer.problem:
            sure = max(answer.data["probabilities"].values())
            answer = replace(answer, data={**answer.data, "sure": sure >= threshold})
        yield answer


def _with_path(cell: Cell) -> Cell:
    """Return an input with its file as a path, where that is given as a string."""
    if isinstance(cell, tuple):
        return (_with_path(cell[0]), *cell[1:])
    return Path(cell) if isinstance(cell, str) else cell


def _parts_of(cell: Cell) -> int:
    """Return how many texts and files an input consists of."""
    return sum(map(_parts_of, cell)) if isinstance(cell, tuple) else 1


def _of_another(wanted: str, found: str) -> DataError:
    return DataError(f"This model is for {wanted} inputs, but these are {found}.")


def _listed(inputs: Any) -> list[Any]:
    """Return the inputs as a list; one alone is a list of one, not of its letters or columns."""
    alone = isinstance(inputs, str | Path) or is_in_memory(inputs)
    return [inputs] if alone else list(inputs)


def _rows(modality: str, cells: list[Cell]) -> Dataset:
    """Return cells as rows that were not looked at yet, so without digests."""
    unknown = ("",) * len(cells)
    return Dataset(
        path="",
        modality=modality,
        inputs=tuple(cells),
        names=unknown,
        digests=unknown,
        targets=(),
        groups=None,
        parts=(None,) * len(cells),
    )
