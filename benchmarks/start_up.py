"""`headstart --help`, as a ratio to starting Python alone."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from records import keep

RUNS = 11


def seconds(command: list[str]) -> float:
    """Return what a process takes."""
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Time both in turn and keep medians."""
    bare, helped = [], []
    for _ in range(RUNS):
        bare.append(seconds([sys.executable, "-c", "pass"]))
        helped.append(seconds([sys.executable, "-m", "headstart.cli", "--help"]))
    median = statistics.median(helped)
    keep(
        "start_up",
        {
            "help_seconds": median,
            "python_alone_seconds": statistics.median(bare),
            "ratio": median / statistics.median(bare),
            "wanted": 0.5,
        },
    )


if __name__ == "__main__":
    main()
