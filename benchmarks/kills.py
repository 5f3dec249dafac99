"""A hundred kills at random moments: every run goes on, and ends as if nothing had happened."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from headstart.search.ledger import Ledger
from records import SAID, keep, own_cache, started, timeless
from repeat import EXAMPLES, fewer

KILLS = 100
OPTIONS = ("--max-trials", "7", "--budget", "30m")
STARTING = 2.0
"""Seconds in which a process imports what it needs, before which it is not killed."""


def session(cache: Path, data: Path, out: Path, kill_after: float | None) -> tuple[bool, float]:
    """Begin a run, or go on with it; say whether it ended by itself, and after how many seconds."""
    began = time.monotonic()
    again = ("--resume",) if out.exists() else ()
    process = started(cache, data, "--out", out, *OPTIONS, *again)
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False, time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{data} ended with {process.returncode}: {(cache / SAID).read_text()}")
    return True, time.monotonic() - began


def found(out: Path) -> dict[str, Any]:
    """Return what a run came to: its result, and the score of each trial."""
    with contextlib.closing(Ledger(out / "ledger.db")) as ledger:
        trials = [
            [record.id, record.key, record.status, record.score] for record in ledger.trials()
        ]
    return {"result": timeless(json.loads((out / "result.json").read_text())), "trials": trials}


def main() -> None:
    """Kill runs on pictures and on texts in turn, and compare each with one that was left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    asked, random = parser.parse_args(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        cache = own_cache(place / "cache")
        targets = [fewer(place / "pictures"), EXAMPLES / "spam.csv"]
        whole, seconds = {}, {}
        for data in targets:
            _, seconds[data] = session(cache, data, place / f"whole-{data.stem}", None)
            whole[data] = found(place / f"whole-{data.stem}")
        runs: list[dict[str, Any]] = []
        while sum(len(run["killed_after"]) for run in runs) < asked.kills:
            data, kills = targets[len(runs) % len(targets)], list[float]()
            out = place / f"run-{len(runs)}"
            shutil.rmtree(cache / "activations", ignore_errors=True)
            ended = False
            while not ended:
                after = random.uniform(STARTING, seconds[data])
                ended, took = session(cache, data, out, after)
                kills += [] if ended else [round(took, 2)]
            its = found(out)
            runs.append(
                {
                    "data": data.stem,
                    "killed_after": kills,
                    "trials": len(its["trials"]),
                    "twice": len(its["trials"]) - len({key for _, key, _, _ in its["trials"]}),
                    "same_trials": its["trials"] == whole[data]["trials"],
                    "same_result": its["result"] == whole[data]["result"],
                }
            )
            print(runs[-1], flush=True)
            shutil.rmtree(out)
    keep(
        "kills",
        {
            "kills": sum(len(run["killed_after"]) for run in runs),
            "different": sum(not (run["same_trials"] and run["same_result"]) for run in runs),
            "seconds_alone": {data.stem: seconds[data] for data in targets},
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
