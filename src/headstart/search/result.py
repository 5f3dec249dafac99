"""The content of ``result.json``, and writing it."""

from __future__ import annotations

import json
import math
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.artifact.loading import read_versioned
from headstart.errors import ArtifactError, HeadstartError
from headstart.evidence.intervals import Interval
from headstart.search.budget import Clock
from headstart.search.closing import Evaluation, no_verdict
from headstart.search.ledger import TrialRecord
from headstart.search.preparation import Prepared
from headstart.search.standing import Contender, Standing
from headstart.training.learners import PASSES

SCHEMA = 1
NOT_MEASURED = "not measured"


def result(
    options_path: str,
    prepared: Prepared,
    standing: Standing,
    found: Evaluation,
    status: str,
    clock: Clock,
    race_seconds: float,
    records: list[TrialRecord],
) -> dict[str, Any]:
    """Return the content of ``result.json``."""
    bench, winner = prepared.bench, standing.winner
    assert winner is not None
    data = prepared.dataset
    verdict = found.verdict or no_verdict(prepared, "stopped before the test rows were read")
    return {
        "schema": SCHEMA,
        "headstart": version("headstart"),
        "status": status,
        "task": bench.task.name,
        "metric": bench.metric.name,
        "greater_is_better": bench.metric.greater_is_better,
        "seed": bench.seed,
        "data": {
            "path": options_path,
            "fingerprint": bench.data,
            "rows": len(data),
            "train": len(bench.train.data),
            "validation": len(bench.validation.data),
            "test": len(prepared.deal.held if prepared.deal else prepared.test.data),
            "quarantined": len(data.set_aside),
            "left_out": prepared.left_out,
            "classes": bench.spec.get("classes", []),
            "outputs": bench.spec.get("names", []),
        },
        "findings": prepared.findings,
        "sources": {name: known.data() for name, known in prepared.coverage.items()},
        **({"ranking": prepared.ranking} if prepared.ranking else {}),
        "winner": _winner(winner, prepared, standing, found),
        "finalists": {
            "transfer": _finalist(standing.transfer, found.test.get("transfer")),
            "scratch": _finalist(standing.scratch, found.test.get("scratch")),
        },
        "baselines": _baselines(standing, found, bench.task.trivial),
        "verdict": verdict.data(),
        **({"subgroups": found.subgroups} if found.subgroups else {}),
        **({"nested": _nested(standing, found)} if found.spread else {}),
        **({"calibration": found.calibration.data()} if found.calibration else {}),
        **({"learning_curve": found.outlook} if found.outlook else {}),
        "trials": sum(not record.joins for record in records),
        "left_out": standing.skipped,
        "seconds": {
            "total": round(clock.used, 2),
            "embed": round(prepared.embedded.seconds, 2),
            "race": round(race_seconds, 2),
            "evaluate": round(found.seconds, 2),
            "flagging": round(found.flagging, 2),
            "savings": savings(records, standing, _embedding(prepared)),
        },
    }


def _winner(
    winner: Contender, prepared: Prepared, standing: Standing, found: Evaluation
) -> dict[str, Any]:
    side = "transfer" if winner.entry.recipe.has_head_start else "scratch"
    rival = standing.outscored_by if winner is standing.transfer else None
    test = found.test.get("winner", found.test.get(side))
    return {
        "source": winner.entry.source if winner.entry.recipe.has_head_start else None,
        "recipe": winner.entry.recipe.name,
        "cut": winner.record.details["cut"],
        "trial": winner.record.id,
        **({"members": [c.entry.name for c in winner.members]} if winner.members else {}),
        **({"outscored_by": rival.entry.name} if rival is not None else {}),
        "refitted": bool(found.refitted),
        "rows": found.refitted or len(prepared.bench.train.data),
        "validation": found.validation.data()
        if found.validation
        else {"value": winner.record.score, "low": None, "high": None},
        "test": test.data() if test else None,
    }


def savings(
    records: list[TrialRecord], standing: Standing, embedding: float
) -> dict[str, Any] | None:
    """Return what it cost either side to reach the best score from scratch, by validation.

    For the head start it is the trial that was first to reach it, with embedding all rows once.
    None where one side is missing; `transfer` is None where no trial of it reached the score.
    """
    scratch = standing.scratch
    if scratch is None or standing.transfer is None or scratch.record.score is None:
        return None
    wanted = standing.metric.signed(scratch.record.score)
    reached = [
        record
        for record in records
        if record.score is not None
        and record.spec["recipe"]["start"] == "source"
        and standing.metric.signed(record.score) >= wanted
    ]
    ours = None if not reached else _cost(reached[0], embedding)
    theirs = _cost(scratch.record)
    times = theirs["seconds"] / max(ours["seconds"], 1e-3) if ours else None
    return {
        "score": scratch.record.score,
        "transfer": ours,
        "scratch": theirs,
        "times_sooner": None if times is None else round(times, 2),
    }


def _embedding(prepared: Prepared) -> float:
    """Return the seconds that embedding all rows takes the first time, be it in this run or not."""
    first = sum(
        len(prepared.dataset) / (extractor.pace(extractor.backbone.end) or math.inf)
        for extractor in prepared.bench.extractors.values()
    )
    return max(prepared.embedded.seconds, first)


def _cost(record: TrialRecord, before: float = 0.0) -> dict[str, Any]:
    memory = record.details.get("memory")
    return {
        "trial": record.id,
        "seconds": round(record.seconds + before, 3),
        "memory_mib": None if memory is None else round(memory / 2**20, 1),
    }


def _nested(standing: Standing, found: Evaluation) -> dict[str, Any]:
    """Return how the rows were held out, and how far the scores lie apart from deal to deal."""
    return {
        "folds": len(standing.deals[0].folds),
        "repeats": len(standing.deals),
        "scores": {name: [round(s, 6) for s in spread] for name, spread in found.spread.items()},
    }


AS_IT_IS = "the source as it is"


def _finalist(contender: Contender | None, test: Interval | None) -> dict[str, Any] | None:
    if contender is None:
        return None
    return {
        "trial": contender.record.id,
        "recipe": contender.entry.recipe.name,
        "source": contender.entry.source,
        "cut_short": contender.cut_short,
        **_hurried(contender),
        "test": test.data() if test else None,
    }


def _hurried(contender: Contender) -> dict[str, Any]:
    """Return in how many epochs a recipe was carried out, of how many, where time was short."""
    passes = contender.record.details.get("settled", {}).get(PASSES)
    planned = contender.entry.recipe.epochs
    return {"epochs": passes, "planned": planned} if passes else {}


def _baselines(standing: Standing, found: Evaluation, trivial: str) -> dict[str, Any]:
    baselines: dict[str, Any] = {"scratch-same-architecture": NOT_MEASURED}
    if standing.probe is not None and "probe" in found.test:
        baselines["probe"] = {
            "source": standing.probe.entry.source,
            "test": found.test["probe"].data(),
        }
    if standing.as_it_is is not None and "as_it_is" in found.test:
        baselines["as_it_is"] = {
            "says": AS_IT_IS,
            "source": standing.as_it_is.entry.source,
            "test": found.test["as_it_is"].data(),
        }
    if "majority" in found.test:
        baselines["majority"] = {"says": trivial, "test": found.test["majority"].data()}
    same = standing.same_architecture
    if same is not None:
        baselines["scratch-same-architecture"] = {
            "trial": same.record.id,
            "validation": same.record.score,
        }
    return baselines


def read_result(run: Path) -> dict[str, Any]:
    """Return what ``result.json`` of a run holds.

    Raises
    ------
    ArtifactError
        If there is none, it is damaged, or of a newer headstart.
    """
    path = run / "result.json"
    if not path.is_file():
        raise ArtifactError(f"{run} holds no result.json: it is no run folder, or not finished.")
    return read_versioned(path, SCHEMA)


def write_result(content: dict[str, Any], run: Path) -> None:
    """Write ``result.json`` in one step."""
    partial = run / ".result.json"
    try:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(partial, run / "result.json")
    except OSError as error:
        raise HeadstartError(f"{run}/result.json cannot be written ({error.strerror}).") from None
