"""Speech recognition: what is said in a recording, in letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.letters import letters_of, normalised, texts_of
from headstart.data.modalities import modalities
from headstart.data.modalities.audio import FRAMES, WINDOW
from headstart.data.splits import units as units_of
from headstart.errors import DataError, UsageError
from headstart.models import Model
from headstart.models.constant import Constant
from headstart.models.heads import HeadSpec
from headstart.sources.families import Output
from headstart.tasks import Metric, TargetSpec, TuneDecision, tasks
from headstart.tasks.linear import AnyProblem, LinearSolution
from headstart.tasks.targets import are_numbers, require_rows
from headstart.tasks.transcripts import TRANSCRIPTS

DISTINCT = 0.5
"""Share of rows from which on, if they differ so much, texts are taken for transcripts."""
LETTERS = 6
"""Letters that transcripts have on average at least."""


@dataclass(frozen=True)
class SpeechRecognition:
    """Transcripts; outputs and targets are (rows, letters) as `headstart.data.letters` has them."""

    name: str = "speech-recognition"
    modality: str = "audio"
    output: Output = "text"
    default_metric: str = "cer"
    trivial: str = "always the most frequent transcript"

    def metrics(self, spec: TargetSpec) -> Mapping[str, Metric]:
        """Return the error rates of letters and words, and the share of rows without a mistake."""
        return TRANSCRIPTS

    def suits(self, dataset: Dataset) -> float:
        """One column of texts that seldom recur is nearly sure."""
        if dataset.modality != self.modality or len(dataset.targets) != 1:
            return 0.0
        values = dataset.targets[0].values
        if not values or not all(isinstance(v, str) for v in values) or are_numbers(values):
            return 0.0
        texts = [str(value) for value in values]
        long = sum(map(len, texts)) >= LETTERS * len(texts)
        return 0.8 if long and len(set(texts)) >= DISTINCT * len(texts) else 0.0

    def validate(self, dataset: Dataset) -> tuple[Dataset, TargetSpec]:
        """Return the rows that have a transcript, and the letters of all transcripts."""
        dataset = dataset.without(self.unknown(dataset, {}))
        require_rows(dataset)
        texts = _texts(dataset)
        if len({normalised(text) for text in texts}) < 2:
            raise DataError(
                f"{dataset.path}: all transcripts are {texts[0]!r}: there is nothing to learn. "
                "Is it the label? (--label COL)"
            )
        if len(set(units_of(dataset).tolist())) < 2:
            raise DataError(f"{dataset.path}: all rows belong together, so none can be held out.")
        letters = Counter(letter for text in texts for letter in normalised(text))
        notes = (
            *dataset.notes,
            f"the labels are taken as transcripts, of {len(letters)} letters and digits "
            f"(--task {self.modality}-classification takes them as classes)",
        )
        spec = {"name": dataset.targets[0].name, "letters": "".join(sorted(letters))}
        return replace(dataset, notes=notes), spec

    def unknown(self, dataset: Dataset, spec: TargetSpec) -> dict[int, str]:
        """Return the rows without a word in their transcript, and those too long to be read whole.

        What of a transcript is said after that nobody knows.
        """
        values = dataset.targets[0].values
        seconds = [size / FRAMES for size in modalities.get(self.modality).sizes(dataset.inputs)]
        long = {
            i: f"{length:.0f} seconds long, over {WINDOW:.0f}: cut it, and its transcript"
            for i, length in enumerate(seconds)
            if length > WINDOW
        }
        silent = {
            i: "its transcript has no words"
            for i, value in enumerate(values)
            if not isinstance(value, str) or not normalised(value)
        }
        return {**long, **silent}

    def encode(self, dataset: Dataset, spec: TargetSpec) -> np.ndarray:
        """Return the transcripts (rows, letters) int32."""
        return letters_of(_texts(dataset))

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return one stratum: transcripts have no kinds."""
        return np.zeros(len(targets), np.int64)

    def head(self, width: int, spec: TargetSpec) -> HeadSpec:
        """Return a head that says a letter, or none, at each position (CTC)."""
        return HeadSpec("ctc", width, len(spec["letters"]) + 1, letters=spec["letters"])

    def solve_linear(
        self,
        problem: AnyProblem,
        targets: np.ndarray,
        units: np.ndarray,
        spec: TargetSpec,
        seed: int,
        strengths: tuple[float, ...],
        strength: float | None,
    ) -> LinearSolution | None:
        """Return None: what writes is trained."""
        return None

    def loss(
        self, outputs: Tensor, targets: Tensor, spec: TargetSpec, smoothing: float = 0.0
    ) -> Tensor:
        """Return the mean error rate of letters, row by row.

        It tells models apart that are as good by another score. No gradient comes of it: what
        writes says itself what its texts cost.
        """
        statistics = TRANSCRIPTS["cer"].statistics(outputs, targets.numpy())
        return torch.tensor((statistics[:, 0] / statistics[:, 1].clip(1)).mean())

    def weighted(self, targets: np.ndarray, spec: TargetSpec) -> TargetSpec:
        """Transcripts have no classes to weigh."""
        raise UsageError(f"--class-weights is for classes; {self.name} has none")

    def tuner(self, metric: Metric, targets: np.ndarray, spec: TargetSpec) -> TuneDecision | None:
        """Return None: a transcript is its own decision."""
        return None

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the most frequent transcript, of equally frequent ones the shortest."""
        counts = Counter(texts_of(targets))
        most = min(counts, key=lambda text: (-counts[text], len(text), text))
        return Constant(torch.from_numpy(letters_of([most])[0]))

    def decided(self, outputs: Tensor, targets: np.ndarray) -> None:
        """Return None: transcripts are given without a probability."""

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Say in which pairs other words are written."""
        pairs = zip(texts_of(a), texts_of(b), strict=True)
        return np.array([normalised(one) != normalised(other) for one, other in pairs], bool)

    def suspects(self, outputs: Tensor, targets: np.ndarray, spec: TargetSpec) -> dict[int, str]:
        """Return nothing: that a transcript is hard to tell does not make it wrong."""
        return {}

    def decode(self, outputs: Tensor, spec: TargetSpec) -> list[dict[str, Any]]:
        """Return a transcript a row."""
        return [{"prediction": text} for text in texts_of(outputs)]


def _texts(dataset: Dataset) -> list[str]:
    """Return the transcripts, with single spaces."""
    return [" ".join(str(value).split()) for value in dataset.targets[0].values]


tasks.register("speech-recognition", SpeechRecognition())
