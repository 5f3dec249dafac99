"""How long `headstart rank` takes once the features are computed: 1,000 rows, eight sources."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import headstart as hs
from headstart.evidence.shortlist import Ranking
from headstart.places import cache_folder
from ranking.making import BUNDLED, own
from records import keep
from targets import fashion_folder

ROWS = 1_000
OWN = ("products", "digits", "random")


def main() -> None:
    """Rank once, and time it twice more: with all that was computed, and without similarities."""
    named = [*BUNDLED, *(own(name) for name in OWN)]
    with tempfile.TemporaryDirectory() as scratch:
        data = fashion_folder(Path(scratch) / "rows", "train", ROWS)
        found, _ = timed(data, named)
        _, seconds = timed(data, named)
        shutil.rmtree(cache_folder() / "similarity", ignore_errors=True)
        _, anew = timed(data, named)
    keep(
        "rank_seconds",
        {
            "rows": found.rows,
            "sources": len(found.candidates),
            "seconds": seconds,
            "seconds_with_similarities_anew": anew,
        },
    )


def timed(data: Path, named: list[str]) -> tuple[Ranking, float]:
    """Rank sources; return the ranking and how many seconds it took."""
    started = time.monotonic()
    found = hs.rank(data, source=named, rows=ROWS)
    return found, time.monotonic() - started


if __name__ == "__main__":
    main()
