"""What a run writes, and what it does when it cannot; and what a recipe costs that diverges.

A full disk is a small file system in memory, for which root is needed.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import headstart as hs
from headstart.recipes import Recipe, recipes, register
from headstart.search.ledger import Ledger
from kills import found
from records import SAID, keep, own_cache, started
from repeat import fewer

ROOM, MORE = 14, 512
"""MiB of a file system on which a run does not fit, and of one on which it does."""
OPTIONS = ("--max-trials", "5", "--budget", "20m")
TRIALS = 100
BUDGET = 60.0
RATE = 1e3


@contextlib.contextmanager
def small(place: Path) -> Iterator[Path]:
    """Yield a folder in which there is hardly any room."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def full(place: Path, data: Path) -> dict[str, Any]:
    """Run out of room, make some, and go on; compare with a run that had enough."""
    cache, alone = own_cache(place / "cache"), place / "alone"
    started(cache, data, "--out", alone, *OPTIONS).wait()
    with small(place / "disk") as disk:
        out = disk / "run"
        status = started(cache, data, "--out", out, *OPTIONS).wait()
        said = (cache / SAID).read_text().strip().splitlines()[-1]
        with contextlib.closing(sqlite3.connect(out / "ledger.db")) as ledger:
            intact = ledger.execute("pragma integrity_check").fetchone()[0]
        subprocess.run(["mount", "-o", f"remount,size={MORE}m", str(disk)], check=True)
        again = started(cache, data, "--out", out, "--resume", *OPTIONS).wait()
        same = again == 0 and found(out) == found(alone)
    return {
        "status": status,
        "said": said,
        "ledger": intact,
        "status_with_room": again,
        "same_as_with_room_at_once": same,
    }


def tuned() -> Recipe:
    """Return the cheapest recipe that tunes stages of a picture network."""
    variants = [r for r in recipes.get("finetune") if r.modality == "image"]
    return min(variants, key=lambda recipe: recipe.rank)


def hundred(place: Path, data: Path) -> dict[str, Any]:
    """Run many trials of EfficientNet-Lite0; return the most that the run folder ever held."""
    base = tuned()
    short = tuple(replace(phase, epochs=1) for phase in base.phases)
    alike = [replace(base, name="alike", phases=short, decay=n / 1e4) for n in range(TRIALS)]
    register("alike", alike)
    sizes, over, out = [0], threading.Event(), place / "hundred"

    def look() -> None:
        while not over.wait(0.1):
            with contextlib.suppress(OSError):
                sizes.append(sum(p.stat().st_size for p in out.rglob("*") if p.is_file()))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        study = hs.fit(data, recipe="alike", max_trials=TRIALS, budget="60m", out=out)
    finally:
        over.set()
        watching.join()
    return {
        "trials": study.result["trials"],
        "most_mib": max(sizes) / 2**20,
        "in_the_end_mib": sizes[-1] / 2**20,
    }


def diverging(place: Path, data: Path) -> dict[str, Any]:
    """Give a recipe a learning rate that no network bears; return what it cost, and its end."""
    base = tuned()
    wild = tuple(replace(phase, rate=RATE) for phase in base.phases)
    register("wild", [replace(base, name="wild", phases=wild)])
    out = place / "wild"
    hs.fit(data, recipe=("wild", "probe"), budget=BUDGET, out=out)
    with contextlib.closing(Ledger(out / "ledger.db")) as ledger:
        (record,) = (r for r in ledger.trials() if r.spec["recipe"]["name"] == "wild")
    return {
        "status": record.status,
        "reason": record.details.get("reason"),
        "seconds": record.seconds,
        "share_of_budget": record.seconds / BUDGET,
    }


def main() -> None:
    """Do all three, and keep what happened."""
    kept = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        data = fewer(place / "pictures")
        for part in (diverging, full, hundred):
            kept[part.__name__] = part(place, data)
            print(json.dumps(kept), flush=True)
    keep("disk", kept)


if __name__ == "__main__":
    main()
