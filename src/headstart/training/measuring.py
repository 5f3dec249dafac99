"""What is measured on the machine before a trial begins: the pace of a step, the best numerics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.devices import cores, device
from headstart.digest import digest_data
from headstart.features.engines import machine
from headstart.places import cache_folder, read_json, write_json
from headstart.recipes import Norm, Phase
from headstart.training.loop import train
from headstart.training.precision import Numerics, all_numerics

FORMAT = 1
"""Changes when the same key would come to mean another measurement."""
CLEAR = 0.9
"""The usual numerics are left only for others that take at most this share of their time."""
LONGEST = 0.25
"""Seconds that a measured step shall take; of what takes longer, fewer rows are measured. With much
less the costs that do not depend on the rows would weigh too much."""
GLANCE = 0.1
"""The same where numerics are compared, which have such costs alike."""
_FEW = 4
_STEPS = 5
_MEASURED = 0.6
"""Seconds that measuring may take, by what a few rows take, once it has two steps."""
_RATE = 1e-6


def step_seconds(
    module: nn.Module,
    groups: Mapping[str, Sequence[nn.Parameter]],
    step: Callable[[Tensor, int], Tensor],
    batch: int,
    norm: Norm,
    longest: float = LONGEST,
) -> float:
    """Return the seconds of a whole step of training on `batch` rows; the weights move a little.

    A step is what it is in the loop: forward, backward, and the optimiser's. It is measured on a
    few rows first, and then on as many as take about `longest` seconds.
    """
    few = min(batch, _FEW)
    _paced(module, groups, step, few, 1, norm)  # warm
    a_row = _paced(module, groups, step, few, 2, norm) / few
    rows = min(batch, max(few, int(longest / a_row)))
    if rows > few:
        steps = min(_STEPS, max(2, int(_MEASURED / (rows * a_row))))
        a_row = _paced(module, groups, step, rows, steps, norm) / rows
    return a_row * batch


def _paced(
    module: nn.Module,
    groups: Mapping[str, Sequence[nn.Parameter]],
    step: Callable[[Tensor, int], Tensor],
    rows: int,
    steps: int,
    norm: Norm,
) -> float:
    """Return the median seconds from the beginning of a step to that of the next one."""
    begun: list[float] = []

    def timed(taken: Tensor, epoch: int) -> Tensor:
        begun.append(time.perf_counter())
        return step(taken % rows, epoch)

    phases = (Phase(epochs=1, rate=_RATE),)
    train(module, groups, phases, rows * steps, rows, timed, decay=0.0, seed=0, norm=norm)
    return float(np.median(np.diff([*begun, time.perf_counter()])))


def fastest(
    key: object, seconds: Callable[[Numerics], float], among: Sequence[Numerics] = ()
) -> Numerics:
    """Return the numerics in which something trains fastest, measured once and kept.

    So the same seed gives the same result on the same machine, however busy it is: what is kept
    decides, not what would be measured now.

    Parameters
    ----------
    key
        What is measured, as JSON data; processor, threads and versions are added.
    seconds
        Measures a step with given numerics.
    among
        Numerics to choose from, the usual ones first; all if empty.
    """
    candidates = list(among) or all_numerics()
    place = numerics_folder() / f"{digest_data([FORMAT, key, _machine()])}.json"
    known = _kept(place)
    if known in candidates:
        return known
    best = candidates[0]
    taken = {numerics: seconds(numerics) for numerics in candidates}
    quickest = min(taken, key=lambda numerics: taken[numerics])
    if quickest != best:  # something else on the machine may have slowed one of them down
        for numerics in (best, quickest):
            taken[numerics] = min(taken[numerics], seconds(numerics))
    if taken[quickest] <= CLEAR * taken[best]:
        best = quickest
    measured = {f"{n.precision} {n.layout}": round(value, 6) for n, value in taken.items()}
    write_json(place, {**vars(best), "seconds": measured})
    return best


def numerics_folder() -> Path:
    """Return where it is kept which numerics were measured to be fastest."""
    return cache_folder() / "numerics"


def _machine() -> list[object]:
    """Return what else decides which numerics are fastest."""
    there = torch.cuda.get_device_name() if device().type == "cuda" else "cpu"
    return [*machine(), torch.get_num_threads(), cores(), there]


def _kept(place: Path) -> Numerics | None:
    """Return what was measured before, if anything was."""
    try:
        found = read_json(place)
        return Numerics(found["precision"], found["layout"])
    except (KeyError, TypeError):
        return None
