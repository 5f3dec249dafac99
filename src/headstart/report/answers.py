"""A model's answers as text, JSON or a CSV table, written as they come."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from headstart.artifact.predictor import Answer
from headstart.data.dataset import Cell
from headstart.errors import DataError, UsageError
from headstart.evidence.novelty import ENOUGH
from headstart.wording import counted

_LISTED = 5


class Counted:
    """Lets answers pass, names those that were set aside, and counts.

    Parameters
    ----------
    answers
        As they come.
    say
        Receives a line for each input that was set aside, when it is.
    """

    def __init__(self, answers: Iterable[Answer], say: Callable[[str], None]) -> None:
        self._answers = answers
        self._say = say
        self._bad: list[str] = []
        self.rows = 0
        self.unlike = 0
        self.judged = 0
        self.weighed = 0
        self.sure: int | None = None

    def __iter__(self) -> Iterator[Answer]:
        for answer in self._answers:
            if answer.problem:
                self._say(f"set aside: {answer.name}: {answer.problem}")
                self._bad = [*self._bad, f"{answer.name}: {answer.problem}"][:_LISTED]
            else:
                self.rows += 1
                self.unlike += answer.data["unlike"] is True
                self.judged += answer.data["unlike"] is not None
                self.weighed += answer.data["novelty"] is not None
                if "sure" in answer.data:
                    self.sure = (self.sure or 0) + answer.data["sure"]
            yield answer

    def close(self) -> None:
        """Say how many rows are unlike the training rows.

        Raises
        ------
        DataError
            If there was no input, or none that could be decoded.
        """
        if not self.rows:
            named = f" {'; '.join(self._bad)}." if self._bad else ""
            raise DataError(f"There is nothing to predict: no input can be used.{named}")
        if self.sure is not None:
            self._say(
                f"{self.sure:,} of {counted(self.rows, 'answer is', 'answers are')} sure enough"
            )
        if self.judged:
            rows = counted(self.judged, "row is", "rows are")
            self._say(
                f"{self.unlike:,} of {rows} unlike the training data"
                + ("; do not rely on their predictions" if self.unlike else "")
            )
        elif self.weighed:
            self._say(
                "whether rows are unlike the training data cannot be said: the model was made "
                f"with fewer than {ENOUGH} held-out rows to compare with"
            )


def write_text(answers: Iterable[Answer], out: TextIO) -> None:
    """Write a line each: input, prediction, its probability; ``unlike``, ``unsure`` if it is so."""
    for answer in answers:
        if answer.problem:
            continue
        data = answer.data
        said = _by_output(data["prediction"])
        shown = [f"{name}={value}" if name else str(value) for name, value in said.items()]
        if "probabilities" in data and isinstance(data["prediction"], str):
            shown.append(f"{max(data['probabilities'].values()):.3f}")
        mark = ["unlike"] if data["unlike"] else []
        mark += [] if data.get("sure", True) else ["unsure"]
        out.write("\t".join([answer.name, *shown, *mark]) + "\n")


def write_json(answers: Iterable[Answer], out: TextIO) -> None:
    """Write a JSON object each, on a line of its own."""
    for answer in answers:
        if not answer.problem:
            line = {"input": answer.name, **answer.data}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_csv(answers: Iterable[Answer], out: TextIO, alone: bool) -> None:
    """Write a CSV table, in which every input has a row, also one that was set aside.

    A table's own columns come first, as they are; of other inputs the column ``input``. Then
    ``prediction`` (of several outputs ``prediction(output)`` for each; several labels are joined by
    ``|``), ``p(class)`` for each class, ``unlike``, ``sure`` where a precision was asked for, and
    last ``problem``, which says why a row was set aside. It is always there, since the header is
    written before that is known. A name that the table has already gets a number: ``prediction.1``.

    Parameters
    ----------
    alone
        All answers are of one file, folder or table; of several, each row says where it is.
    """
    coming = iter(answers)
    held, first = _until_answered(coming)
    table = alone and first.columns is not None
    own = list(first.columns or ()) if table else ["input"]
    classes = list(first.data.get("probabilities", ()))
    outputs = list(_by_output(first.data.get("prediction", "")))
    named = [f"prediction({name})" if name else "prediction" for name in outputs]
    sure = ["sure"] if "sure" in first.data else []
    added = [*named, *(f"p({name})" for name in classes), "unlike", *sure, "problem"]

    def write(row: list[Any]) -> None:
        made = io.StringIO()
        csv.writer(made).writerow(row)  # which quotes both letters that may end a line
        out.write(made.getvalue().removesuffix("\r\n") + "\n")

    write([*own, *_distinct(added, own)])
    for answer in itertools.chain(held, coming):
        columns: Mapping[str, Any] = answer.columns or {}
        row = [_flat(columns[name]) for name in own] if table else [answer.name]
        write([*row, *_added(answer, outputs, classes, sure)])


def _flat(cell: Cell) -> str | Path:
    """Return a cell of a table as CSV has it: several labels joined by ``|``, no pictures."""
    if isinstance(cell, tuple):
        return "|".join(map(str, cell))
    return "" if isinstance(cell, bytes) else cell


def write_subtitles(answers: Iterable[Answer], folder: str | Path) -> None:
    """Write a subtitle file (SRT) for each recording, ``NAME.srt``, as soon as it is there.

    Of a row of a table it is called after the table and the row's place in it.

    Raises
    ------
    UsageError
        If the model says nothing at a time.
    DataError
        If a file cannot be written.
    """
    taken: set[str] = set()
    for answer in answers:
        if answer.problem:
            continue
        if "segments" not in answer.data:
            raise UsageError("--srt is for models that write what is said in recordings")
        path = Path(answer.name)
        [name] = _distinct([path.name if answer.columns else path.stem], list(taken))
        taken.add(name)
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.srt").write_text(subtitles(answer.data["segments"]), "utf-8")
        except OSError as error:
            raise DataError(f"{folder} cannot be written ({error.strerror or error}).") from None


def subtitles(segments: Sequence[Mapping[str, Any]]) -> str:
    """Return segments (``begin`` and ``end`` in seconds, ``text``) as SubRip has them.

    Those in which nothing is said are left out.
    """
    said = [segment for segment in segments if segment["text"]]
    return "\n".join(
        f"{number}\n{_clock(one['begin'])} --> {_clock(one['end'])}\n{one['text']}\n"
        for number, one in enumerate(said, 1)
    )


def _clock(seconds: float) -> str:
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02},{rest % 1000:03}"


def _until_answered(coming: Iterator[Answer]) -> tuple[list[Answer], Answer]:
    """Return answers up to the first that has data, which names the classes, and that one."""
    held = []
    for answer in coming:
        held.append(answer)
        if not answer.problem:
            return held, answer
    return held, held[0] if held else Answer("")


def _added(answer: Answer, outputs: list[str], classes: list[str], sure: list[str]) -> list[Any]:
    if answer.problem:
        empty = [""] * (len(outputs) + len(classes) + 1 + len(sure))
        return [*empty, f"{answer.name}: {answer.problem}"]
    data = answer.data
    said = _by_output(data["prediction"]).values()
    unlike = "" if data["unlike"] is None else json.dumps(data["unlike"])
    kept = [json.dumps(data[name]) for name in sure]
    return [*said, *(data["probabilities"][name] for name in classes), unlike, *kept, ""]


def _by_output(prediction: Any) -> dict[str, Any]:
    """Return a prediction as cells by output: several labels as one, a single output unnamed."""
    if isinstance(prediction, dict):
        return prediction
    return {"": "|".join(prediction) if isinstance(prediction, list) else prediction}


def _distinct(names: list[str], taken: list[str]) -> list[str]:
    """Return `names`, each with the least number behind it that makes it none of `taken`."""
    found: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}.{i}" for i in itertools.count(1)))
        used = {*taken, *found}
        found.append(next(candidate for candidate in candidates if candidate not in used))
    return found
