"""The one-call layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.artifact.predictor import Predictor
from headstart.data.columns import Roles
from headstart.data.dataset import Data, SetAside
from headstart.devices import AUTO, using
from headstart.evidence.learning_curve import LearningCurve
from headstart.evidence.verdict import sentence
from headstart.report.live import Live
from headstart.report.page import write_page
from headstart.report.summary import summary
from headstart.report.tracking import followed
from headstart.search.budget import Clock, parse_budget
from headstart.search.preparation import Options
from headstart.search.run import run


@dataclass(frozen=True)
class Study:
    """A finished run.

    Attributes
    ----------
    folder
        The run folder.
    result
        Content of its ``result.json``.
    set_aside
        Rows that could not be used, each with its reason.
    """

    folder: Path
    result: dict[str, Any]
    set_aside: tuple[SetAside, ...] = ()
    _place: Path = field(init=False, repr=False)
    """The folder wherever the program goes from here."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", self.folder.absolute())

    @property
    def verdict(self) -> str:
        """Return the verdict in one line, such as ``helps: +0.31 accuracy [0.27, 0.35] …``."""
        return sentence(self.result["verdict"], self.result["metric"])

    @property
    def learning_curve(self) -> LearningCurve | None:
        """Return the score by the number of labels, such as ``learning_curve.at(2000)``.

        It is that of a linear head on the source's features, or of the small model where that is
        handed back; None where there was no time.
        """
        data = self.result.get("learning_curve")
        return LearningCurve.of(data) if data else None

    @cached_property
    def model(self) -> Predictor:
        """Return the model that was handed back."""
        return Predictor.load(self._place)

    def __str__(self) -> str:
        return summary(self.result, self.folder)


def fit(
    data: Data,
    *,
    input: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    task: str | None = None,
    metric: str | None = None,
    group: str | None = None,
    subgroup: str | None = None,
    time: str | None = None,
    class_weights: str | None = None,
    test: Data | None = None,
    source: str | tuple[str, ...] | list[str] = (),
    budget: str | float = "5m",
    max_trials: int | None = None,
    recipe: str | Sequence[str] = (),
    quality: str = "balanced",
    seed: int = 0,
    out: str | Path | None = None,
    refit: bool = True,
    resume: bool = False,
    long: str = "truncate",
    evaluation: str = "auto",
    device: str = AUTO,
    track: str | None = None,
    quiet: bool = True,
    clock: Clock | None = None,
) -> Study:
    """Fit a model to labelled data within a budget, and say whether a head start helped.

    Parameters
    ----------
    data
        A folder with a sub-folder per class, or with ``train/``, ``validation/`` and ``test/`` of
        such; a CSV, TSV, JSON Lines or Parquet file, or a folder of them; a folder written by
        ``datasets``; the name of a data set on the Hugging Face hub; a pandas DataFrame; a
        ``datasets.Dataset`` or ``DatasetDict``.
    input, label
        Columns of a table, one or several; inferred where None. Several inputs of a row are a pair
        of texts, say, or a picture and a text; several labels are several outputs.
    group, subgroup, time
        Further columns. Rows of one group stay on one side of the split; scores are told by
        subgroup; with times, older rows are learnt from and newer ones tested on.
    task, metric
        Inferred where None.
    class_weights
        ``"balanced"``: rare classes count as much as frequent ones in what is learnt.
    test
        The user's own test rows.
    source
        Sources to try, such as ``bundled/minilm``, ``timm/NAME``, ``hf/OWNER/NAME`` or a folder;
        if empty, the catalogue's default one, and others on this machine as far as there is time.
    budget
        Such as ``"60s"`` or ``"5m"``, or seconds. The clock starts with this call.
    max_trials
        Largest number of trials. With a budget that does not bind, the same seed on the same
        machine then gives the same result.
    recipe
        Ways to carry knowledge over, such as ``probe`` or ``lora``; those of `quality` if empty.
    quality
        Which recipes are tried: ``fast`` those that train nothing but heads, ``balanced`` with
        tuning as well, ``best`` all.
    seed
        Of every random choice: the split, the order of rows, fresh weights.
    out
        The run folder; ``runs/NAME`` where None.
    refit
        Fit the winner again on all rows where time remains.
    resume
        Go on with the run in `out`.
    long
        How a text longer than a source's window is read: ``truncate`` its beginning, ``head-tail``
        its beginning and its end, ``chunks`` windows all over it, whose features are averaged.
    evaluation
        ``holdout``: the models are judged by rows that are set aside; ``nested-cv``: all rows are
        held out in turn, which says more where they are few, and takes some ten times as long;
        ``auto``: the latter below 320 rows, if there is time.
    device
        ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.
    track
        ``tensorboard``: write losses and scores of all epochs into ``RUN/tensorboard``, too.
    quiet
        Print no progress.
    clock
        The budget's clock where it began before this call; a new one where None.

    Raises
    ------
    HeadstartError
        If the data or an option cannot be used; the text says what to do.
    """
    seconds = parse_budget(budget)
    options = Options(
        data=data,
        roles=Roles.of(input, label, group=group, subgroup=subgroup, time=time),
        task=task,
        metric=metric,
        class_weights=class_weights,
        test=test,
        source=(source,) if isinstance(source, str) else tuple(source),
        budget=seconds,
        max_trials=max_trials,
        recipe=(recipe,) if isinstance(recipe, str) else tuple(recipe),
        quality=quality,
        seed=seed,
        out=out,
        refit=refit,
        resume=resume,
        long=long,
        evaluation=evaluation,
    )
    clock = clock or Clock(seconds)
    with using(device):
        outcome = run(options, clock, followed(Live(clock, quiet), track))
    write_page(outcome.result, outcome.folder)
    return Study(outcome.folder, outcome.result, outcome.set_aside)


def load(path: str | Path, beams: int = 1) -> Predictor:
    """Return the saved model in an artifact folder or a run folder.

    One that writes texts follows so many beginnings of each: more are slower, and may be better.
    """
    return Predictor.load(path, beams)
