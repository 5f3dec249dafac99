"""How often the verdict is right, in made-up worlds where it is known whether a head start helps.

Each world goes the way of `headstart.fit` with a hold-out. What is true of its two finalists is
measured on 4,000 fresh rows, but where no model can be better than the other it is zero.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import headstart as hs
from headstart.data.reading import read
from headstart.evidence.intervals import wilson
from headstart.search import closing, run
from headstart.search.standing import Standing
from records import keep
from worlds.making import KINDS, NO_GAIN, World, source

ROWS = (100, 200, 400, 1_000)
CLASSES = (2, 5, 10)
FLIPPED = (0.0, 0.1, 0.3)
SEEDS = {True: 2, False: 3}
"""How many worlds there are of each sort without a gain, and with one."""
FRESH = 4_000
CLEAR = 4.0
"""Standard errors from which on a gain has to be found."""


def worlds() -> Iterator[World]:
    """Yield every world."""
    seed = 0
    for kind, rows, classes, flipped in itertools.product(KINDS, ROWS, CLASSES, FLIPPED):
        for _ in range(SEEDS[kind in NO_GAIN]):
            seed += 1  # what is easy is missed where labels are wrong
            yield World(kind, rows, classes, 0.0 if kind == "easy" else flipped, seed)


@contextlib.contextmanager
def finalists() -> Iterator[list[Standing]]:
    """Yield a list that is given the standing of each run when it is evaluated."""
    seen: list[Standing] = []

    def evaluated(prepared: Any, standing: Standing, *more: Any) -> Any:
        found = closing.evaluate(prepared, standing, *more)
        seen.append(standing)
        return found

    with mock.patch.object(run, "evaluate", evaluated):
        yield seen


def judged(world: World, folder: Path, place: Path) -> dict[str, Any]:
    """Return the verdict on a world, and the truth."""
    with finalists() as seen:
        study = hs.fit(
            world.draw(world.rows),
            label="label",
            source=str(folder),
            budget=1e6,
            max_trials=3,
            evaluation="holdout",
            refit=False,
            out=place,
        )
    verdict = study.result["verdict"]
    fresh = read(world.draw(FRESH, stream=1))
    classes = np.array(study.result["data"]["classes"])
    labels = np.array(fresh.targets[0].values)
    right = []
    for contender in (seen[0].transfer, seen[0].scratch):
        assert contender is not None and contender.model is not None
        answers = contender.model.outputs(fresh).argmax(1).numpy()
        right.append((classes[answers] == labels).astype(float))
    apart = right[0] - right[1]
    return {
        **vars(world),
        "transfer": verdict["transfer"],
        "gain": verdict["gain"],
        "true": 0.0 if world.kind in NO_GAIN else float(apart.mean()),
        "standard_error": float(apart.std() / np.sqrt(study.result["data"]["test"])),
        "accuracies": [float(r.mean()) for r in right],
    }


def summed_up(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how often the verdict was right and wrong."""
    side = {"helps": 1, "hurts": -1, "no evidence": 0}
    none = [w for w in found if w["kind"] in NO_GAIN]
    some = [w for w in found if w["kind"] not in NO_GAIN]
    clear = [w for w in some if abs(w["true"]) >= CLEAR * w["standard_error"]]
    false = sum(side[w["transfer"]] != 0 for w in none)
    wrong = sum(side[w["transfer"]] * w["true"] < 0 for w in some)
    hit = sum(side[w["transfer"]] * w["true"] > 0 for w in clear)
    held = sum(w["gain"]["low"] <= w["true"] <= w["gain"]["high"] for w in found)
    return {
        "worlds": len(found),
        "without_gain": len(none),
        "false_verdicts": false,
        "false_rate_lower_bound": wilson(false, len(none), level=0.9).low,
        "wrong_sign": wrong,
        "wrong_sign_rate": wrong / len(found),
        "clear_gains": len(clear),
        "clear_found": hit / len(clear),
        "intervals_that_hold_the_truth": held / len(found),
    }


def main() -> None:
    """Judge every world."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        os.environ["HEADSTART_CACHE"] = str(place / "cache")
        folders = {kind: source(kind, place) for kind, _, _ in KINDS.values()}
        for world in worlds():
            found.append(judged(world, folders[world.source], place / "run"))
            shutil.rmtree(place / "run")
    verdicts = {kind: Counter(w["transfer"] for w in found if w["kind"] == kind) for kind in KINDS}
    keep("worlds", {**summed_up(found), "verdicts": verdicts, "all": found})


if __name__ == "__main__":
    main()
