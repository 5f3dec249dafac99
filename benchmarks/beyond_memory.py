"""Memory does not grow with the rows, and what was computed before a kill is not lost.

What counts is anonymous memory (RssAnon): files that are mapped are given back when others need it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.allocator import anonymous
from records import SAID, keep, own_cache, started, timeless
from targets import NAMES, fashion

ROWS = (10_000, 100_000)
FEW = ("--max-trials", "3", "--budget", "20m")
"""The probe, the probe on middle stages, and the small model: every row is read, learnt, tested."""
KILLED_ROWS = 6_000
KILLED_AFTER = (9.0, 13.0, 16.0)
"""Seconds after the first feature at which a run is killed."""


def many(folder: Path, rows: int) -> Path:
    """Write so many different pictures of Fashion-MNIST; the later ones differ in brightness."""
    pictures, classes = fashion("train")
    for i in range(rows):
        picture = pictures[i % len(pictures)].astype(np.float32)
        darker = (picture * (1 - 0.1 * (i // len(pictures)))).astype(np.uint8)
        place = folder / NAMES[classes[i % len(pictures)]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(darker).save(place / f"{i:06d}.png", compress_level=1)
    return folder


def peak(place: Path, rows: int) -> dict[str, Any]:
    """Fit so many pictures; return the peak of anonymous memory, and where the run ended."""
    data = many(place / f"pictures-{rows}", rows)
    cache = own_cache(place / f"cache-{rows}")
    process = started(cache, data, "--out", place / f"run-{rows}", *FEW)
    begin = time.monotonic()
    course: list[tuple[float, int, str]] = []
    while process.poll() is None:
        said = (cache / SAID).read_text().strip().rpartition("\n")[2]
        course.append((time.monotonic() - begin, anonymous(process.pid), said))
        time.sleep(0.1)
    most = max(course, key=lambda moment: moment[1])
    return {
        "rows": rows,
        "status": process.returncode,
        "seconds": course[-1][0],
        "peak": most[1],
        "at": most[0],
        "after": most[2],
    }


def finished(cache: Path) -> dict[Path, int]:
    """Return the shards of features that are finished, and when each was written."""
    found = (cache / "activations").rglob("*.safetensors")
    return {path: path.stat().st_mtime_ns for path in found}


def outcome(run: Path) -> Any:
    """Return what a run found, without times."""
    return timeless(json.loads((run / "result.json").read_text()))


def killed(place: Path, data: Path, after: float, whole: dict[str, Any]) -> dict[str, Any]:
    """Kill a run while it extracts; the same command must keep what was finished."""
    cache, out = own_cache(place / f"killed-cache-{after}"), place / f"killed-run-{after}"
    process = started(cache, data, "--out", out, *FEW)
    while not (cache / "activations").is_dir():
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = finished(cache)
    shutil.rmtree(out)  # the same command once more, not --resume
    again = started(cache, data, "--out", out, *FEW)
    again.wait()
    now = finished(cache)
    return {
        "after": after,
        "status": again.returncode,
        "finished_shards": len(before),
        "of": len(now),
        "kept": all(now.get(path) == written for path, written in before.items()),
        "same_result": outcome(out) == whole,
    }


def main() -> None:
    """Measure both, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        data = many(place / "some", KILLED_ROWS)
        process = started(own_cache(place / "whole-cache"), data, "--out", place / "whole", *FEW)
        process.wait()
        whole = outcome(place / "whole")
        kills = [killed(place, data, after, whole) for after in KILLED_AFTER]
        runs = [peak(place, rows) for rows in asked.rows]
    ratio = runs[-1]["peak"] / runs[0]["peak"]
    keep("beyond_memory", {"ratio": ratio, "runs": runs, "killed": kills})


if __name__ == "__main__":
    main()
