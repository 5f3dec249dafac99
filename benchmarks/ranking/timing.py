"""How long `headstart rank` takes once the features are computed: 1,000 rows, eight sources."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import headstart as hs
from headstart.places import cache_folder
from ranking.making import BUNDLED, own
from records import keep
from targets import fashion_folder

ROWS = 1_000
OWN = ("products", "digits", "random")


def main() -> None:
    """Rank twice, and time it the second time; how like the rows are is found anew."""
    named = [*BUNDLED, *(own(name) for name in OWN)]
    with tempfile.TemporaryDirectory() as scratch:
        data = fashion_folder(Path(scratch) / "rows", "train", ROWS)
        hs.rank(data, source=named, rows=ROWS)
        shutil.rmtree(cache_folder() / "similarity", ignore_errors=True)
        started = time.monotonic()
        found = hs.rank(data, source=named, rows=ROWS)
        seconds = time.monotonic() - started
    keep(
        "rank_seconds",
        {"rows": found.rows, "sources": len(found.candidates), "seconds": seconds},
    )


if __name__ == "__main__":
    main()
