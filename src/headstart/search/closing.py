"""After the race: the test rows are read once, the verdict is given, the winner refitted, saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.artifact.card import card
from headstart.artifact.loading import load
from headstart.artifact.saving import Artifact, save
from headstart.evidence.calibration import Calibration, Decisions, calibration
from headstart.evidence.comparisons import repeated_gain
from headstart.evidence.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    by_subgroup,
    figure,
    repeated_interval,
    score_interval,
)
from headstart.evidence.nested import GAIN_OVERLAP, SCORE_OVERLAP, Answered, chosen
from headstart.evidence.novelty import Novelty
from headstart.evidence.verdict import Comparison, Verdict, judge
from headstart.models import Model
from headstart.models.fused import Fused
from headstart.recipes import Recipe
from headstart.search.budget import Clock
from headstart.search.flagging import HeldOut, flagging_seconds
from headstart.search.folds import Fold, answered
from headstart.search.listener import Listener
from headstart.search.preparation import Prepared
from headstart.search.reach import AT_THE_END
from headstart.search.standing import Contender, Standing
from headstart.search.trial import (
    HURRIED,
    Bench,
    assign,
    hurried,
    on_all,
    reason_of,
    refit,
    validation_outputs,
    writing_seconds,
)
from headstart.sources.opening import find_source
from headstart.training.learners import Assignment, learners

COMPARING = 0.4
"""Seconds kept back for intervals and the verdict, besides the bootstrap."""
INTERVALS = 7
"""Bootstraps of a closing: five scores, and two sides of a comparison."""
_TRIED = 10
CONVERTING = 4.0
"""Seconds kept back for converting a tuned network to an engine."""


@dataclass
class Evaluation:
    """What the test rows said; empty where the run was stopped before they were read.

    `refitted` is on how many rows the model that is handed back was fitted again, 0 if it was not;
    `spread` the scores of each deal into folds, in nested cross-validation; `outlook` what more
    labels would bring.
    """

    test: dict[str, Interval] = field(default_factory=dict)
    validation: Interval | None = None
    verdict: Verdict | None = None
    subgroups: dict[str, dict[str, float]] = field(default_factory=dict)
    calibration: Calibration | None = None
    decisions: Decisions | None = None
    refitted: int = 0
    seconds: float = 0.0
    held: HeldOut = field(default_factory=HeldOut)
    flagging: float = 0.0
    spread: dict[str, list[float]] = field(default_factory=dict)
    outlook: dict[str, Any] | None = None


def comparing_seconds(prepared: Prepared) -> float:
    """Return the seconds that the intervals of all scores will take, from a few resamples.

    They are drawn of made-up outputs: the test rows are not read for it.
    """
    bench, rows = prepared.bench, len(prepared.test.data)
    if bench.metric.proportion or not rows:
        return COMPARING
    held = bench.validation
    some = np.arange(rows) % len(held.targets)
    shape = bench.task.constant(held.targets, bench.spec).outputs(held.data.take([0])).shape[1:]
    made_up = torch.randn(rows, *shape, generator=torch.Generator().manual_seed(bench.seed))
    statistics = bench.metric.statistics(made_up, held.targets[some])
    started = time.monotonic()
    bench.metric.aggregate(statistics, np.ones((_TRIED, len(statistics))))
    each = (time.monotonic() - started) / _TRIED
    return COMPARING + INTERVALS * RESAMPLES * each


def closing_seconds(prepared: Prepared, recipes: Iterable[Recipe], besides: float) -> float:
    """Return the seconds to keep back for evaluating and saving models of these recipes.

    `besides` is what does not depend on them: comparing, and saving.
    """
    rate = prepared.pace()
    recipes = list(recipes)
    converting = CONVERTING if any(recipe.learner == "tune" for recipe in recipes) else 0.0
    done = prepared.bench.extractors.keys() <= prepared.embedded.values.keys()
    tuned = sum(recipe.learner == "tune" for recipe in recipes) if done else len(recipes)
    scoring = (1 + tuned) * len(prepared.test.data) / rate  # the small model has its own pace
    for long in {recipe.long for recipe in recipes if recipe.long}:
        scoring += len(prepared.test.data) / prepared.pace(long)
    flagging = max(flagging_seconds(recipe, prepared, rate, converting) for recipe in recipes)
    return converting + scoring + _writing_seconds(prepared) + flagging + besides


def _writing_seconds(prepared: Prepared) -> float:
    """Return the seconds in which the winner, and the source as it is, write what they shall."""
    bench = prepared.bench
    return AT_THE_END * writing_seconds(bench, bench.extractors, len(prepared.test.data))


def model_of(contender: Contender, run: Path) -> Model:
    """Return a contender's model, from its checkpoint where it is not in memory."""
    if contender.model is None:
        contender.model = load(run / "trials" / str(contender.record.id)).model
        contender.restored = True
    return contender.model


def evaluate(prepared: Prepared, standing: Standing, run: Path, listener: Listener) -> Evaluation:
    """Score the finalists, the probe and the trivial answer on the test rows, each once."""
    started = time.monotonic()
    bench, test = prepared.bench, prepared.test
    winner = standing.winner
    assert winner is not None
    held = bench.validation
    found = Evaluation()
    if bench.task.output == "text" and winner.outputs is not None:
        answers = winner.outputs  # writing is dear: test rows are enough to tell what is unusual
    else:
        answers = validation_outputs(bench, model_of(winner, run), found.held.respond)
    found.validation = score_interval(bench.metric, answers, held.targets, held.units, bench.seed)
    if not len(test.data):
        found.verdict = no_verdict(prepared, "no rows were left to test on: groups hold too many")
        return found
    listener.say(f"reading {len(test.data):,} test rows, once")
    outputs: dict[str, Tensor] = {}
    scored: dict[int, Tensor] = {}
    for leader in standing.leaders():
        respond = found.held.respond if leader is winner else Model.outputs
        scored[leader.record.id] = respond(model_of(leader, run), test.data)
    for name in ("transfer", "scratch", "probe", "as_it_is"):
        contender: Contender | None = getattr(standing, name)
        if contender is not None:
            outputs[name] = scored[contender.record.id]
    outputs["majority"] = bench.task.constant(bench.train.targets, bench.spec).outputs(test.data)
    if test.data.subgroups is not None:
        found.subgroups = by_subgroup(
            bench.metric,
            scored[winner.record.id],
            test.targets,
            test.units,
            test.data.subgroups,
            bench.seed,
        )
    decided = bench.task.decided(scored[winner.record.id], test.targets)
    said = {name: [bench.metric.statistics(o, test.targets)] for name, o in outputs.items()}
    by_source = {
        source: [bench.metric.statistics(scored[contender.record.id], test.targets)]
        for source, contender in standing.by_source.items()
    }
    _judge(found, prepared, standing, said, by_source, decided, test.units)
    found.seconds = time.monotonic() - started
    return found


def estimate(prepared: Prepared, standing: Standing, run: Path, listener: Listener) -> Evaluation:
    """Say how the procedure does on rows held out, fold by fold: nested cross-validation.

    For each fold the finalists, and which of them is handed back, are chosen by the other folds.
    """
    started = time.monotonic()
    bench, winner = prepared.bench, standing.winner
    assert winner is not None
    found = Evaluation()
    validation_outputs(bench, model_of(winner, run), found.held.respond)  # its features are kept
    deals = standing.deals
    if not winner.answers or not deals:
        found.verdict = no_verdict(prepared, "the race ended before any row was held out")
        return found
    held = deals[0].held
    units = deals[0].rows.units[held]
    listener.say(
        f"{len(held):,} rows were held out in {len(deals[0].folds)} folds"
        + (f", {len(deals)} times" if len(deals) > 1 else "")
    )

    def handed(contenders: list[Contender]) -> list[Answered]:
        """Return what is said, deal by deal, by those of some contenders that the folds choose."""
        most = max(len(c.answers) for c in contenders)
        lasting = [c for c in contenders if len(c.answers) == most]
        return chosen(
            bench.metric,
            [deal.fold_of[held] for deal in deals[:most]],
            [c.answers for c in lasting],
            [c.prior for c in lasting],
        )

    transfer = [c for c in standing.tried if c.entry.recipe.has_head_start]
    sides = {
        "transfer": transfer,
        "scratch": [c for c in standing.tried if not c.entry.recipe.has_head_start],
        "probe": [c for c in standing.tried if c.entry.recipe.name == "probe"],
        "as_it_is": [c for c in standing.tried if not c.entry.recipe.learns],
        "winner": standing.tried,
    }
    said = {name: handed(contenders) for name, contenders in sides.items() if contenders}
    by_source = {
        source: [a.statistics for a in handed([c for c in transfer if c.entry.source == source])]
        for source in {c.entry.source: None for c in transfer}
        if source is not None
    }
    said["majority"] = [answered(deals[0], [_majority(bench, fold) for fold in deals[0].folds])]
    for name, repeats in said.items():
        found.spread[name] = [r.score(bench.metric) for r in repeats]
    found.validation = repeated_interval(
        bench.metric, [winner.answers[0].statistics], units, bench.seed, SCORE_OVERLAP
    )
    first = said["winner"][0]
    decided = None if first.sure is None or first.right is None else (first.sure, first.right)
    statistics = {name: [r.statistics for r in repeats] for name, repeats in said.items()}
    overlaps = SCORE_OVERLAP, GAIN_OVERLAP
    _judge(found, prepared, standing, statistics, by_source, decided, units, *overlaps)
    found.seconds = time.monotonic() - started
    return found


def _majority(bench: Bench, fold: Fold) -> Tensor:
    return bench.task.constant(fold.learnt.targets, bench.spec).outputs(fold.held.data)


def _judge(
    found: Evaluation,
    prepared: Prepared,
    standing: Standing,
    said: dict[str, list[np.ndarray]],
    by_source: dict[str, list[np.ndarray]],
    decided: tuple[np.ndarray, np.ndarray] | None,
    units: np.ndarray,
    score_overlap: float = 1.0,
    gain_overlap: float = 1.0,
) -> None:
    """Put scores, calibration and verdict into `found`.

    Parameters
    ----------
    said
        The metric's statistics of the same rows for each model, once a repeat.
    by_source
        Those of each source's best model, of as many repeats as it took part in.
    decided
        How sure the model that is handed back was, and whether it was right; as a task says it.
    units
        (n,) unit of each row.
    score_overlap, gain_overlap
        How many times the variance is that of independent rows.
    """
    bench = prepared.bench
    for name, repeats in said.items():
        found.test[name] = repeated_interval(
            bench.metric, repeats, units, bench.seed, score_overlap
        )
    if decided is not None:
        sure, right = decided
        each = np.repeat(units, sure.shape[1])
        found.calibration = calibration(sure.ravel(), right.ravel(), each, bench.seed)
        found.decisions = Decisions.of(sure, right, bench.seed)
    if len(np.unique(units)) < 2:
        found.verdict = no_verdict(prepared, "all test rows belong together: they count as one")
        return
    if "transfer" not in said or "scratch" not in said:
        found.verdict = no_verdict(prepared, _missing(prepared, "transfer" not in said))
        return
    apart = repeated_gain(
        bench.metric, said["transfer"], said["scratch"], units, bench.seed, gain_overlap
    )
    level = 1 - (1 - LEVEL) / max(1, len(by_source))
    compared = []
    for source, repeats in by_source.items() if len(by_source) > 1 else ():
        over = said["scratch"][: len(repeats)]
        its = repeated_gain(bench.metric, repeats, over, units, bench.seed, gain_overlap, level)
        recipe = standing.by_source[source].entry.recipe.name
        compared.append(Comparison(source, recipe, its, level))
    adapted = None
    if "as_it_is" in said and standing.as_it_is is not standing.transfer:
        own, ours = said["as_it_is"], said["transfer"]
        both = min(len(own), len(ours))
        adapted = repeated_gain(
            bench.metric, ours[:both], own[:both], units, bench.seed, gain_overlap
        )
    found.verdict = Verdict(
        judge(apart),
        apart,
        bench.metric.name,
        prepared.split.method,
        comparisons=tuple(compared),
        adapted=adapted,
    )


def _missing(prepared: Prepared, transfer: bool) -> str:
    """Return why there is no transfer finalist, or else no scratch finalist."""
    kind = "with a head start" if transfer else "from scratch"
    if any(entry.recipe.has_head_start is transfer for entry in prepared.entries):
        return f"the race ended (by --budget or --max-trials) before a model {kind} to compare with"
    return f"there is no recipe {kind} for {prepared.bench.task.name}"


def no_verdict(prepared: Prepared, reason: str) -> Verdict:
    """Return the verdict where there is nothing to compare."""
    return Verdict("no evidence", None, prepared.bench.metric.name, prepared.split.method, reason)


def refitted(
    prepared: Prepared, standing: Standing, clock: Clock, listener: Listener
) -> tuple[Model, int] | None:
    """Fit the winner's recipe again on all rows, if the time that is left reaches for it.

    Rows that the budget left out take part as far as there is time for them now; where there is
    not even time for the others it is carried out in fewer epochs, down to `HURRIED` of them.
    Returned are the model and the number of rows.
    """
    winner = standing.winner
    assert winner is not None
    if winner.cut_short:
        return None
    rows = len(prepared.dataset)
    a_row, a_spare_row = _paces(prepared, winner)
    left = clock.left - clock.saving
    whole = _again(prepared, winner, lambda: clock.left < clock.saving)
    share = _share(whole, a_row * rows, left)
    if not share:
        listener.say(
            f"no time to refit on all rows (forecast {a_row * rows:.1f} s, {clock.left:.1f} s left)"
        )
        return None
    entry = winner.entry
    if len(prepared.spare.data) and share == 1:
        fitting = min(len(prepared.spare.data), int((left - a_row * rows) / a_spare_row))
        spare = (prepared.spare.take(np.arange(fitting)),) if fitting else ()
        whole = [replace(part, train=(*part.train, *spare)) for part in whole]
        rows += fitting
    less = "" if share == 1 else f", with time for {share:.0%} of its epochs"
    listener.say(f"refitting {entry.name} on {rows:,} rows{less}")
    models = []
    for part in whole:
        try:
            fitted = refit(part if share == 1 else hurried(part, share))
        except Exception as error:  # the model that was evaluated is handed back
            listener.say(f"not refitted: {reason_of(error)}")
            return None
        if fitted.cut_short:
            listener.say("not refitted: the deadline came")
            return None
        models.append(fitted.model)
    return (Fused(models) if winner.members else models[0]), rows


def _again(
    prepared: Prepared, winner: Contender, late: Callable[[], bool] = lambda: False
) -> list[Assignment]:
    """Return how a contender, or each of its members, is fitted again on all rows."""
    more = (prepared.test,) if len(prepared.test.data) else ()
    found = []
    for part in winner.members or (winner,):
        assignment = assign(prepared.bench, part.entry.recipe, part.entry.source, late)
        found.append(on_all(assignment, part.record.details["settled"], more))
    return found


def _forecast(assignments: Iterable[Assignment]) -> float:
    return sum(learners.get(each.recipe.learner).forecast(each) for each in assignments)


def _share(whole: list[Assignment], seconds: float, left: float) -> float:
    """Return in what share of its epochs, which take so many seconds, a refit fits; 0 if in none.

    How much less time it takes is forecast.
    """
    if seconds <= left:
        return 1.0
    forecast = _forecast(whole)
    for tenths in range(9, int(10 * HURRIED) - 1, -1):
        less = _forecast(hurried(each, tenths / 10) for each in whole)
        if seconds * less / forecast <= left:
            return tenths / 10
    return 0.0


def refitting_seconds(prepared: Prepared, winner: Contender) -> float:
    """Return about how long it takes to fit a contender again on all rows, those left out too."""
    a_row, a_spare_row = _paces(prepared, winner)
    return a_row * len(prepared.dataset) + a_spare_row * len(prepared.spare.data)


def _paces(prepared: Prepared, winner: Contender) -> tuple[float, float]:
    """Return the seconds in which a contender is fitted to a row that is used, and to another.

    They are what its trial took, or less where more rows are forecast to take fewer epochs.
    """
    parts = winner.members or (winner,)
    known = sum(part.record.seconds for part in parts) / len(prepared.bench.train.data)
    forecast = _forecast(_again(prepared, winner)) / len(prepared.dataset)
    a_row = 1.15 * min(known, forecast)
    if not len(prepared.spare.data):
        return a_row, 0.0
    return a_row, 1.3 * (a_row + sum(_computing(part, prepared) for part in parts))


def _computing(winner: Contender, prepared: Prepared) -> float:
    """Return the seconds that it takes to compute what a spare row is to the winner's recipe."""
    if winner.entry.source is None:
        return 0.0
    entry = winner.entry
    extractor = assign(prepared.bench, entry.recipe, entry.source, lambda: False).extractor
    assert extractor is not None
    spare, views = prepared.spare.data, winner.record.details["settled"].get("views", 0)
    return (1 + views) * extractor.forecast(spare, extractor.backbone.end) / len(spare)


def save_model(
    prepared: Prepared,
    contender: Contender,
    model: Model,
    found: Evaluation,
    folder: Path,
    novelty: Novelty | None = None,
) -> None:
    """Write the artifact with its card."""
    bench = prepared.bench
    name = contender.entry.source
    source = find_source(name, prepared.dataset.modality) if name else None
    side = "transfer" if contender.entry.recipe.has_head_start else "scratch"
    facts = {
        "title": f"{bench.spec['name']}: {bench.task.name}",
        "verdict": f"Transfer {found.verdict}."
        if found.verdict
        else "The test rows were not read.",
        "task": bench.task.name,
        "spec": dict(bench.spec),
        "inputs": list(prepared.dataset.columns),
        "labels": [column.name for column in prepared.dataset.targets],
        "source": contender.entry.source,
        "licence": source.licence if source else None,
        "recipe": contender.entry.recipe.name,
        "cut": contender.record.details["cut"],
        "rows": found.refitted or len(prepared.dataset),
        "quarantined": len(prepared.dataset.set_aside),
        "metric": bench.metric.name,
        "validation": str(found.validation or figure(contender.record.score or 0.0)),
        "test": str(found.test[side]) if side in found.test else None,
        "fingerprint": bench.data,
        "version": version("headstart"),
        "seed": bench.seed,
        "refitted": bool(found.refitted),
        "decisions": found.decisions.data() if found.decisions else None,
    }
    artifact = Artifact(
        model, bench.task.name, bench.spec, bench.metric.name, card(facts), facts, novelty
    )
    save(artifact, folder)
