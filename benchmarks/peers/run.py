"""One task against the peers: fit, score on the full test set, keep the curves, draw them.

    python benchmarks/peers/run.py fashion-1000 [--systems headstart,fastai] [--limit 1800]

Systems that are not named keep the results that they have.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from headstart.places import cache_folder
from peers.curves import compare
from peers.environments import python
from peers.job import Job, files
from peers.picture import Line, drawn
from peers.systems import SYSTEMS
from peers.tasks import TASKS, Task
from peers.weights import SOURCES, weights
from records import RESULTS, keep, machine

KEPT = RESULTS / "peers"
THREADS = 2
BUDGETS = "3,5,10,20,40,80,160,320"
SCORING = 3600.0
"""Seconds that a system may take besides its limit: scoring its points is not on the clock."""
LAST_WORDS = 500
"""Letters that are kept of what a process wrote before it died."""

NOTHING = {"curve": [], "stopped": False, "start_up": 0.0, "configuration": {}, "versions": {}}
"""What a process gives that died early."""


def measured(system: str, task: Task, rows: Path, limit: float, budgets: list[float]) -> Any:
    """Return the curve of a system and all that it depends on, from one run or one a budget."""
    asked = budgets if SYSTEMS[system].budgeted else [None]
    runs = [one_run(system, task, rows, limit, budget) for budget in asked]
    errors = [run["error"] for run in runs if "error" in run]
    known = machine()
    return {
        "curve": sorted(point for run in runs for point in run["curve"]),
        "stopped": any(run["stopped"] for run in runs),
        "start_up": max(run["start_up"] for run in runs),
        "preparing": max(run["preparing"] for run in runs),
        "runs": [run["configuration"] for run in runs],
        "limit": limit,
        **{name: known[name] for name in ("processor", "precision")},
        "versions": runs[-1]["versions"],
        **({"error": "\n".join(errors)} if errors else {}),
    }


def one_run(system: str, task: Task, rows: Path, limit: float, budget: float | None) -> Any:
    """Return what one process of a system gives: its points, or why there are none."""
    interpreter, network = python(system), weights(task.modality)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        out = Path(scratch)
        surroundings = _surroundings(system, out)
        began = time.monotonic()
        if SYSTEMS[system].budgeted:  # once on a machine, where a source is fetched
            fetch = ["-m", "headstart.cli", "sources", "fetch", SOURCES[task.modality]]
            _run([str(interpreter), *fetch], out, surroundings, limit)
        preparing = time.monotonic() - began
        job = Job(
            modality=task.modality,
            train=rows / "train",
            test=rows / "test",
            weights=network,
            out=out,
            epochs=task.epochs,
            limit=limit,
            budget=budget,
            launched=time.time(),
        )
        job.write(out / "job.json")
        command = [str(interpreter), "-P", "-m", f"peers.systems.{system}", str(out / "job.json")]
        status = _run(command, out, surroundings, limit + SCORING)
        result, given = out / "result.json", dict(NOTHING)
        if result.is_file():
            given = json.loads(result.read_text(encoding="utf-8"))
        given["preparing"] = round(preparing, 2)
        if status:
            words = (out / "log.txt").read_text(errors="replace").strip()[-LAST_WORDS:]
            given["error"] = f"ended with {status}: {words}"
        return given


def _run(command: list[str], out: Path, surroundings: dict[str, str], limit: float) -> int:
    """Run a process in `out`, whatever it says going to ``log.txt``; return its exit status."""
    with (out / "log.txt").open("w") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=out,
            env=surroundings,
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(limit)
        finally:
            with contextlib.suppress(ProcessLookupError):  # it, or workers that it left behind
                os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def _surroundings(system: str, out: Path) -> dict[str, str]:
    """Return the environment variables: two threads, no hub, empty caches, fetched sources."""
    own = out / "headstart"
    own.mkdir()
    (own / "sources").symlink_to(cache_folder() / "sources")
    inherited = [] if SYSTEMS[system].apart else [os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(RESULTS.parent), *filter(None, inherited)]),
        "OMP_NUM_THREADS": str(THREADS),
        "HEADSTART_CACHE": str(own),
        "HF_HOME": str(out / "huggingface"),
        "HF_HUB_OFFLINE": "1",
    }


def kept(name: str) -> dict[str, Any]:
    """Return the systems' results of a task as they were kept."""
    path = KEPT / f"{name}.json"
    systems: dict[str, Any] = json.loads(path.read_text())["systems"] if path.is_file() else {}
    return systems


def write(name: str, task: Task, rows: Path, systems: dict[str, Any]) -> None:
    """Write the results of a task and its picture."""
    ours = systems.get("headstart", {"curve": []})["curve"]
    for system, entry in systems.items():
        if system != "headstart":
            entry["headstart"] = compare(ours, entry["curve"])
    keep(
        f"peers/{name}",
        {
            "task": task.title,
            "train_rows": len(files(rows / "train")),
            "test_rows": len(files(rows / "test")),
            "threads": THREADS,
            "systems": systems,
        },
    )
    lines = [
        Line(SYSTEMS[system].title, SYSTEMS[system].colour, entry["curve"])
        for system, entry in systems.items()
    ]
    (KEPT / f"{name}.svg").write_text(drawn(task.title, lines), encoding="utf-8")


def main() -> None:
    """Run the systems on the task one after the other; what each gives is kept at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="separated by commas")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for each system")
    parser.add_argument("--budgets", default=BUDGETS, help="headstart's, in seconds")
    asked = parser.parse_args()
    task = TASKS[asked.task]
    named = asked.systems.split(",")
    if unknown := set(named) - set(SYSTEMS):
        parser.error(f"no such system: {', '.join(sorted(unknown))}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    budgets = [float(budget) for budget in asked.budgets.split(",")]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the process that runs ends too
    rows = task.folder(asked.task)
    systems = kept(asked.task)
    for system in SYSTEMS:
        if system in named and task.modality in SYSTEMS[system].modalities:
            print(f"{asked.task}: {system}", file=sys.stderr)
            systems[system] = measured(system, task, rows, asked.limit, budgets)
            ordered = {name: systems[name] for name in SYSTEMS if name in systems}
            write(asked.task, task, rows, ordered)


if __name__ == "__main__":
    main()
