"""A budget is a promise: too many rows for it, and Ctrl-C at ten moments."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from records import evaluate, keep
from targets import fashion_folder

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion"
BUDGET = 20.0
AFTER = (0.0, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 9.0, 12.0)
"""Seconds after the first trial at which a run is interrupted."""


def large(place: Path) -> dict[str, Any]:
    """Fit 20,000 pictures in 20 seconds; time the whole process."""
    data = fashion_folder(place / "large", "train", 20_000)
    out = place / "large-run"
    command = [sys.executable, "-m", "headstart.cli", "fit", str(data), "--budget", f"{BUDGET:g}s"]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    scores = evaluate(out, fashion_folder(place / "some", "t10k", 2_000))
    said = [line for line in done.stderr.splitlines() if "left out" in line or "left no" in line]
    result = json.loads((out / "result.json").read_text())
    return {
        "status": done.returncode,
        "seconds": seconds,
        "late_by": seconds - BUDGET,
        "kept": seconds - BUDGET <= max(2.0, 0.05 * BUDGET),
        "accuracy": scores["scores"]["accuracy"],
        "said": said,
        "result": result,
    }


def interrupted(place: Path, after: float) -> dict[str, Any]:
    """Interrupt a run some seconds after its first trial; what it leaves must predict."""
    out = place / f"interrupted-{after}"
    command = [sys.executable, "-m", "headstart.cli", "fit", str(EXAMPLE), "--budget", "60s"]
    process = subprocess.Popen(
        [*command, "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "on the validation rows" in line:
            break
    time.sleep(after)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate()
    seconds = time.monotonic() - started
    scores = evaluate(out, EXAMPLE)
    return {
        "after": after,
        "status": process.returncode,
        "ended_within": seconds,
        "result_status": json.loads((out / "result.json").read_text())["status"],
        "rows_scored_afterwards": scores["rows"],
    }


def main() -> None:
    """Run both and keep what happened."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        stops = [interrupted(place, after) for after in AFTER]
        keep("promise", {"large": large(place), "interrupted": stops})


if __name__ == "__main__":
    main()
