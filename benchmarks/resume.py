"""Training that is killed and resumed ends as if it had never stopped: every recipe, every family.

Each recipe that tunes is carried out on a small network of each architecture, with random weights
and made-up rows, for an epoch of each of its phases, or for two. It is killed at the end of every
epoch and in the middle of every one, and goes on from what was kept. Weights and the moments of the
optimiser have to be those of the uninterrupted run, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.models.heads import HeadSpec
from headstart.recipes import Recipe, recipes_for
from headstart.sources.families import families
from headstart.sources.staged import Backbone
from headstart.training.adapters import adapters
from headstart.training.checkpoint import Checkpoint
from headstart.training.learners.tune import Tuned
from headstart.training.loop import train
from headstart.training.objectives import objectives
from headstart.training.precision import usual
from records import RESULTS, keep
from tiny import NETWORKS, build, inputs_for

SLOW = 1e-2
"""Random weights would not bear the recipes' own learning rates."""
BATCH = 2
"""Of five rows: three steps an epoch, of which the last is a single row and left out."""


class Killed(BaseException):
    """Stands for the end of the process."""


def recipes(modality: str) -> Iterator[Recipe]:
    """Yield each recipe that tunes once, in few epochs."""
    seen = set()
    for recipe in recipes_for(modality, "pooled", "best"):
        if recipe.learner == "tune" and recipe.name not in seen:
            seen.add(recipe.name)
            several = len(recipe.phases) > 1
            phases = tuple(
                replace(p, epochs=1 if several else 2, rate=SLOW * p.rate) for p in recipe.phases
            )
            yield replace(recipe, phases=phases)


class Course:
    """A recipe on an architecture, carried out any number of times."""

    def __init__(self, backbone: Backbone, recipe: Recipe, rows: dict[str, Tensor]) -> None:
        self.backbone, self.recipe = backbone, recipe
        stages = recipe.stages
        self.cut = 0 if stages is None else backbone.cut_before_last(stages)
        with torch.no_grad():
            self.boundary = backbone.prefix(self.cut)(**rows)
        self.targets = torch.tensor([0, 1, 0, 1, 0])
        self.numerics = usual()
        try:
            self.tuned()(self.boundary)
        except RuntimeError:  # some networks do not compute in bfloat16
            self.numerics = replace(self.numerics, precision="f32")

    def tuned(self) -> Tuned:
        """Return the suffix with a head, always the same at first."""
        torch.manual_seed(0)
        head = HeadSpec("linear", self.backbone.width, 2).build()
        adapter = adapters.get(self.recipe.adapter) if self.recipe.adapter else None
        return Tuned(self.backbone.suffix(self.cut), head, self.numerics, adapter)

    def run(
        self, kept: Checkpoint | None, steps: int | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Train; end as a killed process does after so many steps. Return weights and moments."""
        tuned, taken_steps = self.tuned(), 0
        name = self.recipe.objective
        objective = objectives.get(name) if name else None

        def step(taken: Tensor, _epoch: int) -> Tensor:
            nonlocal taken_steps
            if taken_steps == steps:
                raise Killed
            taken_steps += 1
            some = {n: v[taken] for n, v in self.boundary.items()}
            if objective is not None:
                return objective.loss(tuned.features(some)["features"], self.targets[taken])
            outputs = nn.functional.softsign(tuned(some))  # of random weights they may be huge
            return nn.functional.cross_entropy(outputs, self.targets[taken])

        train(
            tuned,
            tuned.groups(),
            self.recipe.phases,
            len(self.targets),
            BATCH,
            step,
            optimizer=self.recipe.optimizer,
            decay=self.recipe.decay,
            towards=self.recipe.towards,
            average=self.recipe.average,
            seed=0,
            norm=self.recipe.norm,
            checkpoint=kept,
        )
        weights = {n: v.clone() for n, v in tuned.state_dict().items()}
        known = kept.read() if kept is not None else None
        return weights, known[0] if known is not None else {}


def cell(course: Course, place: Path, every: int = 1) -> dict[str, Any]:
    """Return at which steps it was killed, and whether it always ended the same."""
    adapter = course.recipe.adapter
    if adapter and not any(course.tuned().groups()[n] for n in _stages(course)):
        return {"refused": f"no parts for {adapter}"}
    once = Checkpoint(place / "whole.safetensors", every=0.0)
    whole, moments = course.run(once)
    once.clear()
    an_epoch = len(course.targets) // BATCH
    points = [*range(1, course.recipe.epochs * an_epoch, every)]
    different = []
    for steps in points:
        kept = Checkpoint(place / f"{steps}.safetensors", every=0.0)
        with contextlib.suppress(Killed):
            course.run(kept, steps)
        weights, found = course.run(kept)
        same = all(torch.equal(weights[n], whole[n]) for n in whole)
        same = same and all(torch.equal(found[n], moments[n]) for n in moments)
        if not same:
            different.append(steps)
        kept.clear()
    return {"killed_after_steps": points, "different": different}


def _stages(course: Course) -> list[str]:
    return [name for name in course.tuned().groups() if name != "head"]


def main() -> None:
    """Fill the table for the architectures that are asked for; the others stay."""
    known = [name for name in NETWORKS if name != "joint"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=known, metavar="NAME")
    place = RESULTS / "resume.json"
    table = json.loads(place.read_text())["table"] if place.is_file() else {}
    for name in parser.parse_args().names:
        backbone = build(name)
        modality = families.get(backbone.family).modality
        with tempfile.TemporaryDirectory() as scratch:
            table[name] = {
                recipe.name: cell(
                    Course(backbone, recipe, inputs_for(backbone, 5, most=5)), Path(scratch)
                )
                for recipe in recipes(modality)
            }
        print(name, table[name], flush=True)
        cells = [one for row in table.values() for one in row.values() if "different" in one]
        keep(
            "resume",
            {
                "cells": len(cells),
                "kills": sum(len(one["killed_after_steps"]) for one in cells),
                "different": sum(len(one["different"]) for one in cells),
                "table": table,
            },
        )


if __name__ == "__main__":
    main()
