"""Memory does not grow with the rows, and what was computed before a kill is not lost.

What counts is anonymous memory (RssAnon): files that are mapped are given back when others need it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from records import keep
from targets import NAMES, fashion

ROWS = (10_000, 100_000)
BUDGETS = ("6m", "40m")
KILLED_AFTER = (3.0, 5.0, 7.0)
"""Seconds of extraction after which a run is killed."""


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


def anonymous(process: int) -> int:
    """Return the bytes of anonymous memory of a process; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((1024 * int(x.split()[1]) for x in lines if x.startswith("RssAnon")), default=0)


def started(data: Path, out: Path, cache: Path, *more: str) -> subprocess.Popen[str]:
    """Start `headstart fit` with a cache of its own for what is computed."""
    command = [sys.executable, "-m", "headstart.cli", "fit", str(data), "--out", str(out), *more]
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def own_cache(folder: Path) -> Path:
    """Return a cache folder that has the fetched sources, and nothing computed."""
    from headstart.places import cache_folder

    folder.mkdir(parents=True)
    (folder / "sources").symlink_to(cache_folder() / "sources")
    return folder


def peak(place: Path, rows: int, budget: str) -> dict[str, Any]:
    """Fit so many pictures; return the peak of anonymous memory, and where the run ended."""
    data = many(place / f"pictures-{rows}", rows)
    process = started(
        data, place / f"run-{rows}", own_cache(place / f"cache-{rows}"), "--budget", budget
    )
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    begin = time.monotonic()
    course: list[tuple[float, int, str]] = []
    said = ""
    while process.poll() is None:
        said = (process.stderr.read() or "").strip().rpartition("\n")[2] or said
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


def killed(place: Path, after: float) -> dict[str, Any]:
    """Kill a run while it extracts; the same command must keep what was finished."""
    data = place / "killed"
    cache = own_cache(place / f"killed-cache-{after}")
    out = place / f"killed-run-{after}"
    shards = cache / "activations"
    process = started(data, out, cache, "--max-trials", "3", "--budget", "10m")
    while not list(shards.rglob("*.part")) and not list(shards.rglob("*.safetensors")):
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {path: path.stat().st_mtime_ns for path in shards.rglob("*.safetensors")}
    again = started(data, out, cache, "--max-trials", "3", "--budget", "10m", "--resume")
    again.communicate()
    kept = all(path.exists() and path.stat().st_mtime_ns == t for path, t in left.items())
    return {"after": after, "status": again.returncode, "finished": len(left), "kept": kept}


def main() -> None:
    """Measure both, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    parser.add_argument("--budgets", nargs="*", default=BUDGETS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        runs = [peak(place, n, b) for n, b in zip(asked.rows, asked.budgets, strict=True)]
    keep("beyond_memory", {"ratio": runs[-1]["peak"] / runs[0]["peak"], "runs": runs})


if __name__ == "__main__":
    main()
